import { describe, expect, it } from 'vitest'
import { randomBase62, randomToken } from './random.ts'

describe('random text', () => {
  it('uses each base62 digit equally often', () => {
    const drawn = 620_000
    const counts = new Map<string, number>()
    for (const digit of randomBase62(drawn)) counts.set(digit, (counts.get(digit) ?? 0) + 1)
    expect(counts.size).toBe(62)
    // 10,000 expected, standard deviation 99; a plain modulo would give eight digits 12,109. Seven deviations: one run in 10^10.
    for (const count of counts.values()) expect(Math.abs(count - 10_000)).toBeLessThan(700)
  })

  it('has exactly the length that was asked for', () => {
    for (const length of [1, 2, 43, 100]) expect(randomBase62(length)).toMatch(new RegExp(`^[0-9A-Za-z]{${length}}$`))
  })

  it('does not repeat', () => {
    const seen = new Set(Array.from({ length: 20_000 }, () => randomToken(16)))
    expect(seen.size).toBe(20_000)
    expect([...seen].every((token) => /^[\w-]{22}$/.test(token))).toBe(true)
  })

  it('refuses tokens that could be guessed', () => {
    for (const bytes of [0, 8, 15, 16.5, Number.NaN, -1]) expect(() => randomToken(bytes)).toThrow(RangeError)
    for (const length of [0, -1, 1.5, Number.NaN]) expect(() => randomBase62(length)).toThrow(RangeError)
  })
})
