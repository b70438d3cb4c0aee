import { describe, expect, it } from 'vitest'
import { derivedHmacKey } from './derived-key.ts'
import { hmacSha256 } from './digest.ts'
import { generateKeyBytes, sealingKey } from './sealing-key.ts'

describe('a derived key', () => {
  it('is the same for one key and purpose, and another for any other', () => {
    const [a, b] = [sealingKey('a', generateKeyBytes()), sealingKey('b', generateKeyBytes())]
    const mark = (key: typeof a, purpose: string): string => hmacSha256(derivedHmacKey(key, purpose), 'x').toString('hex')
    expect(mark(a, 'one')).toBe(mark(a, 'one'))
    expect(new Set([mark(a, 'one'), mark(a, 'two'), mark(b, 'one'), hmacSha256(a.key, 'x').toString('hex')]).size).toBe(4)
  })
})
