import { describe, expect, it } from 'vitest'
import { GIVE_UP_AFTER_MS, nextTryMs } from './backoff.ts'

const SECOND = 1_000
const HOUR = 3_600 * SECOND
const DAY = 24 * HOUR
const fresh = { ageMs: 0, askedMs: null }
/** The largest that is drawn: 1 is excluded. */
const MOST = 1 - 2 ** -53

describe('the next try of a revocation', () => {
  it('V-08 is after 15 seconds at first, at doubling distances from then on, and after six hours at last', () => {
    const waits = Array.from({ length: 14 }, (_, i) => nextTryMs(i + 1, fresh, MOST))
    const seconds = [15, 30, 60, 120, 240, 480, 960, 1_920, 3_840, 7_680, 15_360, 21_600, 21_600, 21_600]
    expect(waits).toEqual(seconds.map((s) => s * SECOND))
    for (const attempts of [21, 22, 1_000]) expect(nextTryMs(attempts, fresh, MOST)).toBe(6 * HOUR)
  })

  it('V-08 is drawn between a half and the whole of its distance', () => {
    for (const [attempts, whole] of [
      [1, 15 * SECOND],
      [4, 120 * SECOND],
      [30, 6 * HOUR],
    ] as const) {
      expect(nextTryMs(attempts, fresh, 0)).toBe(whole / 2)
      expect(nextTryMs(attempts, fresh, 0.5)).toBe(whole * 0.75)
      expect(nextTryMs(attempts, fresh, MOST)).toBe(whole)
    }
  })

  it('is as soon as the first where none was made yet', () => {
    expect(nextTryMs(0, fresh, 0)).toBe(nextTryMs(1, fresh, 0))
  })

  it('V-08 is never sooner than the provider asked, and no later for that it asked for less', () => {
    expect(nextTryMs(1, { ageMs: 0, askedMs: 10 * 60 * SECOND }, 0)).toBe(10 * 60 * SECOND)
    expect(nextTryMs(1, { ageMs: 0, askedMs: DAY }, MOST)).toBe(DAY)
    expect(nextTryMs(30, { ageMs: 0, askedMs: SECOND }, 0)).toBe(3 * HOUR)
  })

  it('V-08 is none where it would be later than 30 days after the end of the grant', () => {
    expect(GIVE_UP_AFTER_MS).toBe(30 * DAY)
    const wait = 3 * HOUR
    expect(nextTryMs(30, { ageMs: 30 * DAY - wait, askedMs: null }, 0)).toBe(wait)
    expect(nextTryMs(30, { ageMs: 30 * DAY - wait + 1, askedMs: null }, 0)).toBeNull()
    expect(nextTryMs(1, { ageMs: 0, askedMs: 31 * DAY }, 0)).toBeNull()
    expect(nextTryMs(1, { ageMs: 31 * DAY, askedMs: null }, 0)).toBeNull()
  })
})
