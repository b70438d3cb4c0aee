import { describe, expect, it } from 'vitest'
import { retryAfterMs } from './retry-after.ts'

const NOW = Date.UTC(2026, 0, 1)
const DAY_MS = 24 * 3_600_000
const read = (value: string, mostMs?: number) => retryAfterMs(new Headers({ 'retry-after': value }), NOW, mostMs)

describe('Retry-After', () => {
  it('is absent where there is none', () => {
    expect(retryAfterMs(new Headers(), NOW)).toBeUndefined()
  })

  it.each<[string, number]>([
    ['0', 0],
    ['7', 7_000],
    ['Thu, 01 Jan 2026 00:00:45 GMT', 45_000],
    ['Thursday, 01-Jan-26 00:00:45 GMT', 45_000],
    ['Thu Jan  1 00:00:45 2026', 45_000],
    ['Wed, 31 Dec 2025 23:59:00 GMT', 0],
    ['2026-01-01T00:00:45Z', 45_000],
    ['2026-01-01T01:00:45.5+01:00', 45_500],
  ])('S47 is read from "%s"', (value, ms) => {
    expect(read(value)).toBe(ms)
  })

  it.each(['99999999', '9'.repeat(10), '9'.repeat(400), 'Fri, 31 Dec 2099 23:59:59 GMT', '2099-12-31T23:59:59Z'])(
    'D-13 is never longer than its cap for %s',
    (value) => {
      expect(read(value, DAY_MS)).toBe(DAY_MS)
      expect(read(value)).toBe(365 * DAY_MS)
    },
  )

  it.each(['-5', 'NaN', '', '1e9', '0x10', 'soon', '2.5', '2026-01-01', '2026-13-01T00:00:00Z', 'Mon, nonsense', '7, 8'])(
    'D-13 is nothing when it is "%s"',
    (value) => {
      expect(read(value)).toBeUndefined()
    },
  )
})
