import { describe, expect, it } from 'vitest'
import { measureSealing } from './sealing.ts'

describe('measureSealing', () => {
  it('gives rates and ratios of both ways, of as many rounds as were asked for', () => {
    const { bytes, seal, open } = measureSealing({ rounds: 3, times: 500 })
    expect(bytes).toBe(2_048)
    for (const cost of [seal, open]) {
      expect(cost.perSecond).toBeGreaterThan(0)
      expect(cost.rawPerSecond).toBeGreaterThan(0)
      expect(cost.toRaw.samples).toBe(3)
    }
  })
})
