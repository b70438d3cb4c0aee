import { describe, expect, it } from 'vitest'
import { faultsOfFlood, tableOfFlood } from './bad-keys.ts'
import type { FloodReport, Refusals } from './bad-keys.ts'

const refusals = (answered: Refusals['answered']): Refusals => ({
  perSecond: 4_998,
  answered,
  cpuUs: 60,
  pace: { largest: 9, gapP50Ms: 1.04, gapP99Ms: 2.5 },
})

const report: FloodReport = {
  load: [0.5, 1.25],
  kinds: { formless: refusals({ 401: 100 }), 'few addresses': refusals({ 401: 20, 503: 80 }), bare: refusals({ 401: 100 }) },
  flood: refusals({ 401: 49_980 }),
  quietUs: { p50: 400, p90: 600, p99: 1_000, max: 2_000 },
  besideUs: { p50: 600, p90: 900, p99: 1_500, max: 4_000 },
  faults: 0,
}

describe('the figures of a flood of bad keys', () => {
  it('stand beside the least that Node can do, with how even the flood was, and beside good calls without it', () => {
    const table = tableOfFlood(report)
    expect(table).toMatch(/formless +60 us of CPU each, 4998 a second \(100 x 401\); at most 9 at once, ticks 1\.04 ms/u)
    expect(table).toMatch(/bare +60 us/u)
    expect(table).toMatch(/goal p99 2\.0 times, is 1\.5/u)
  })

  it('count a bad key that was let in, and a connection that was cut, as faults', () => {
    expect(faultsOfFlood(report)).toBe(0)
    expect(faultsOfFlood({ ...report, flood: refusals({ 401: 10, 200: 3, closed: 1 }), faults: 2 })).toBe(6)
  })
})
