import { describe, expect, it } from 'vitest'
import { tableOfCallers } from './callers.ts'
import type { CallersReport } from './callers.ts'

const report: CallersReport = {
  load: [0.5, 1.25],
  verified: { warmPerSecond: 200_000, readAgainPerSecond: 4_000, firstPerSecond: 95, argon2PerSecond: 100 },
  decision: { p50Ns: 400, p99Ns: 900 },
  denial: { heard: { times: 200, p50Ms: 2, p99Ms: 9, worstMs: 12 }, unheard: null },
}

describe('the figures of who calls', () => {
  it('stand beside argon2id on every call', () => {
    const table = tableOfCallers(report)
    expect(table).toMatch(/in memory +200000 +2000 x argon2id on every call/u)
    expect(table).toMatch(/first seen +95 +0\.9 x/u)
    expect(table).not.toContain('without          ')
  })
})
