import { describe, expect, it } from 'vitest'
import { hmacKey, randomBytes } from '@sallyport/core'
import { createNonces } from './nonces.ts'

const key = hmacKey(randomBytes(32))

describe('a nonce', () => {
  it('is good on every node that has the key, for two to four minutes', () => {
    let now = 1_800_000_000_000
    const [one, another] = [createNonces(key, { now: () => now }), createNonces(key, { now: () => now })]
    const nonce = one.current()
    expect(another.isGood(nonce)).toBe(true)
    now += 120_000
    expect(another.isGood(nonce)).toBe(true)
    expect(another.current()).not.toBe(nonce)
    now += 120_000
    expect(another.isGood(nonce)).toBe(false)
  })

  it.each(['', 'x', 'A'.repeat(32), 'A'.repeat(1000)])('is not made up: %.5s', (nonce) => {
    expect(createNonces(key, { now: () => 1_800_000_000_000 }).isGood(nonce)).toBe(false)
  })

  it('of another installation, or of tomorrow, is none', () => {
    const now = 1_800_000_000_000
    const here = createNonces(key, { now: () => now })
    expect(here.isGood(createNonces(hmacKey(randomBytes(32)), { now: () => now }).current())).toBe(false)
    expect(here.isGood(createNonces(key, { now: () => now + 86_400_000 }).current())).toBe(false)
  })
})
