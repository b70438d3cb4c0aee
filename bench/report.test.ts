import { describe, expect, it } from 'vitest'
import type { MachineFacts } from './machine.ts'
import { errorsOf, figuresOf, PROXIES, SCENARIOS, tableOf, TARGETS } from './report.ts'
import type { Measurements, Report, Sample } from './report.ts'

const SPEEDS = { direct: 20_000, bare: 10_000, gateway: 8_000, 'reply-from': 5_000 } as const
const CPU = { direct: null, bare: 100, gateway: 125, 'reply-from': 200 } as const

/** Two rounds, the second at half speed throughout. */
const samples: Sample[] = SCENARIOS.flatMap((scenario) =>
  TARGETS.flatMap((target) =>
    [0, 1].map((round) => ({
      scenario,
      target,
      round,
      answered: 100,
      perSecond: SPEEDS[target] / (round + 1),
      latencyUs: { p50: 1e6 / SPEEDS[target], p90: 0, p99: 2e6 / SPEEDS[target], max: 0 },
      errors: {},
      unsent: 0,
      cpuUsPerCall: CPU[target],
      databaseUsPerCall: 0,
      proxyCoreBusy: 1,
      otherCoreBusy: 0.5,
      foreignCores: 0.05,
      stolenCores: 0,
    })),
  ),
)

const measured: Measurements = {
  samples,
  streams: PROXIES.map((target) => ({ target, round: 0, rssBytes: target === 'bare' ? 50_000 : 60_000, heldBytes: 20_000 })),
  resting: PROXIES.map((target) => ({ target, idleBytes: 1e8, afterBytes: 2e8 })),
  counts: {
    sequential: { calls: 100, queries: 20, argon2: 0 },
    saturated: { calls: 1000, queries: 10, argon2: 0 },
    idle: { calls: 0, queries: 0, argon2: 0 },
  },
  otherErrors: {},
}

const machine: MachineFacts = {
  cpu: 'a processor',
  cores: 2,
  memoryBytes: 1e9,
  kernel: '6.1',
  node: 'v24.0.0',
  undici: '8.0.0',
  loadBefore: 0,
  revision: 'abc',
  modified: false,
  pinned: { proxy: 0, rest: 1 },
  unpinnedBecause: null,
}

const report = (over: Partial<Measurements> = {}): Report => ({
  version: 1,
  startedAt: '2026-01-01T00:00:00.000Z',
  seconds: 1,
  plan: 'tiny',
  profiled: false,
  machine,
  figures: figuresOf(measured),
  ...measured,
  ...over,
})

describe('figures', () => {
  it('pairs the rounds, so that a machine at half speed changes no ratio', () => {
    const { gateway, bare } = figuresOf(measured).throughput.saturation
    expect(gateway.throughputToBare).toMatchObject({ median: 0.8, low: 0.8, high: 0.8 })
    expect(gateway.cpuToBare).toMatchObject({ median: 0.8 })
    expect(bare.throughputToBare.median).toBe(1)
    expect(figuresOf(measured).gatewayToReplyFrom).toMatchObject({ throughput: { median: 1.6 }, cpu: { median: 1.6 } })
  })

  it('has no CPU time of a target without a proxy, nor a ratio of a time too short to be seen', () => {
    expect(figuresOf(measured).throughput.saturation.direct).toMatchObject({ cpuUsPerCall: null, cpuToBare: null })
    const unseen = samples.map((sample) => (sample.target === 'gateway' && sample.round === 1 ? { ...sample, cpuUsPerCall: 0 } : sample))
    expect(figuresOf({ ...measured, samples: unseen }).throughput.saturation.gateway.cpuToBare).toBeNull()
  })

  it('says what a call adds over bare, and what it asks of the database', () => {
    const { delay, perCall } = figuresOf(measured)
    expect(delay.moderate.gateway).toMatchObject({ addedP50Us: { median: 25 }, addedP99Us: { median: 50 } })
    expect(perCall).toEqual({ queriesSequential: 0.2, queriesSaturated: 0.01, argon2: 0 })
  })
})

describe('the table', () => {
  it('shows every target in every part, and that nothing went wrong', () => {
    const table = tableOf(report())
    for (const target of TARGETS)
      expect(table.split('\n').filter((line) => line.trim().startsWith(`${target} `)).length).toBeGreaterThanOrEqual(6)
    expect(table).toContain('no errors')
  })

  it('does not hide an error, a profiler, or a machine that was busy or could not pin', () => {
    const busy = { ...measured, samples: samples.map((sample) => ({ ...sample, foreignCores: 0.5 })) }
    expect(tableOf({ ...report(busy), figures: figuresOf(busy) })).toContain('was not quiet')
    expect(tableOf(report())).not.toContain('was not quiet')
    const broken = report({ samples: samples.map((sample) => ({ ...sample, errors: { 'status 502': 3 } })) })
    expect(Object.keys(errorsOf(broken))).toContain('gateway, saturation: status 502')
    expect(tableOf(broken)).toContain('status 502 (6 times)')
    expect(tableOf(report({ samples: samples.map((sample) => ({ ...sample, unsent: 1 })) }))).toContain('Did not keep the moderate pace')
    expect(tableOf({ ...report(), profiled: true })).toContain('under a profiler')
    expect(tableOf({ ...report(), machine: { ...machine, pinned: null, unpinnedBecause: 'no taskset' } })).toContain(
      'Nothing was pinned: no taskset',
    )
  })
})
