import { describe, expect, it } from 'vitest'
import type { RefreshTrouble } from '../tokens/index.ts'
import { pauseAfter } from './backoff.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const least = (): number => 0
const most = (): number => 1

/** Of docs/refresh.md. */
const TABLE: readonly (readonly [RefreshTrouble, firstMs: number, longestMs: number])[] = [
  ['provider_down', SECOND, 5 * MINUTE],
  ['outcome_unknown', SECOND, 5 * MINUTE],
  ['malformed', 2 * SECOND, 15 * MINUTE],
  ['rate_limited', 5 * SECOND, 15 * MINUTE],
  ['client_misconfigured', 15 * SECOND, 15 * MINUTE],
]

describe('the pause after a failure', () => {
  it.each(TABLE)('F-17 of %s is between a quarter and the whole of %s ms at first, and of %s ms at last', (trouble, firstMs, longestMs) => {
    expect([pauseAfter(trouble, 0, least), pauseAfter(trouble, 0, most)]).toEqual([firstMs / 4, firstMs])
    for (const before of [20, 21, 10_000]) {
      expect([pauseAfter(trouble, before, least), pauseAfter(trouble, before, most)]).toEqual([longestMs / 4, longestMs])
    }
  })

  it.each(TABLE)('F-17 of %s doubles with each failure in a row, up to its longest', (trouble, firstMs, longestMs) => {
    for (let before = 1; before <= 20; before++) {
      const whole = pauseAfter(trouble, before, most)
      expect(whole).toBe(Math.min(2 * pauseAfter(trouble, before - 1, most), longestMs))
      expect(whole).toBe(Math.min(firstMs * 2 ** before, longestMs))
    }
  })

  it('F-17 is spread over its range, so that what failed together does not come back together', () => {
    const drawn = Array.from({ length: 100 }, (_, i) => pauseAfter('provider_down', 8, () => i / 100))
    expect(new Set(drawn).size).toBe(100)
  })

  it('F-17 is never shorter than the provider asked, nor cut short because it asked for less', () => {
    expect(pauseAfter('rate_limited', 0, most, 3_600_000)).toBe(3_600_000)
    expect(pauseAfter('rate_limited', 0, least, 7_001)).toBe(7_001)
    expect(pauseAfter('rate_limited', 3, most, 1)).toBe(40 * SECOND)
  })

  it('of a trouble that the table does not name is that of a provider that is down', () => {
    for (const before of [0, 4, 20]) expect(pauseAfter('token_lost', before, most)).toBe(pauseAfter('provider_down', before, most))
  })
})
