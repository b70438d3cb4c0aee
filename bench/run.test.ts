import { describe, expect, it } from 'vitest'
import { PLANS } from './plan.ts'
import { errorsOf, PROXIES, SCENARIOS, tableOf, TARGETS } from './report.ts'
import type { Report } from './report.ts'
import { runBenchmark } from './run.ts'

describe('a benchmark run', () => {
  it('loads every target in every scenario and round, gets right answers only, and reports in full', { timeout: 120_000 }, async () => {
    const plan = PLANS.tiny
    const report = await runBenchmark({ plan, progress: () => undefined })
    expect(errorsOf(report)).toEqual({})

    const seen = new Set(report.samples.map(({ scenario, target, round }) => `${scenario} ${target} ${round}`))
    const wanted = SCENARIOS.flatMap((scenario) => TARGETS.flatMap((target) => [0, 1].map((round) => `${scenario} ${target} ${round}`)))
    expect([...seen].sort()).toEqual(wanted.sort())
    for (const { answered, perSecond } of report.samples) {
      expect(answered).toBeGreaterThan(0)
      expect(perSecond).toBeGreaterThan(0)
    }
    expect(report.streams.map(({ target }) => target).sort()).toEqual([...PROXIES].sort())
    expect(report.resting.every(({ idleBytes, afterBytes }) => idleBytes > 0 && afterBytes > 0)).toBe(true)
    // The warm path never runs the slow hash, whatever the speed.
    expect(report.figures.perCall.argon2).toBe(0)
    expect(report.counts.sequential.queries).toBeGreaterThan(0)

    // What is written is what is read: no NaN, no undefined, nothing that JSON drops.
    const written = JSON.parse(JSON.stringify(report)) as Report
    expect(written).toEqual(report)
    expect(tableOf(written)).toContain('no errors')
  })
})
