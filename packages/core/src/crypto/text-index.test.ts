import { describe, expect, it } from 'vitest'
import { createTextIndex } from './text-index.ts'

describe('a text index', () => {
  it('gives equal texts one name and different texts different ones', () => {
    const index = createTextIndex()
    const names = Array.from({ length: 1_000 }, (_, n) => index(`text ${n}`))
    expect(new Set(names).size).toBe(1_000)
    expect(index('text 7')).toBe(names[7])
    expect(index('')).not.toBe(index('\0'))
    expect(index('é')).not.toBe(index('e'))
  })

  it('gives names that are worth nothing to another process, and hold nothing of the text', () => {
    const [one, other] = [createTextIndex(), createTextIndex()]
    expect(one('sp_test_a')).not.toBe(other('sp_test_a'))
    expect(one('sp_test_a')).toHaveLength(32)
    expect(one('sp_test_a')).not.toContain('sp_')
  })
})
