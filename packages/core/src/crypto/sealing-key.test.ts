import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { generateKeyBytes, sealingKey } from './sealing-key.ts'
import { EXAMPLE_KEY_HEX } from './weakness.ts'

const refused = expect.objectContaining({ code: 'key_invalid' })

describe('sealingKey', () => {
  it('copies its bytes: wiping the argument leaves the key whole', () => {
    const bytes = generateKeyBytes()
    const before = Buffer.from(bytes)
    const { key } = sealingKey('k1', bytes)
    expect(bytes).toEqual(before)
    bytes.fill(0)
    expect(key.export()).toEqual(before)
  })

  it.each([0, 16, 24, 31, 33, 64])('S16 refuses %i bytes', (length) => {
    expect(() => sealingKey('k1', Buffer.alloc(64, generateKeyBytes()).subarray(0, length))).toThrow(refused)
  })

  it('C-01 refuses bytes that cannot have been random', () => {
    for (const bytes of [Buffer.alloc(32), Buffer.alloc(32, 0xff), Buffer.from(EXAMPLE_KEY_HEX, 'hex')]) {
      expect(() => sealingKey('k1', bytes)).toThrow(refused)
    }
  })

  it('refuses ids that could not be told from another, or break a log line', () => {
    for (const id of ['', ' k1', 'k1\n', 'k:1', 'k,1', 'ключ', '.k', 'k'.repeat(65)]) {
      expect(() => sealingKey(id, generateKeyBytes())).toThrow(refused)
    }
  })

  it('gives its bytes to no printer and cannot be changed', () => {
    const bytes = generateKeyBytes()
    const key = sealingKey('k1', bytes)
    const printed = inspect(key, { depth: 9, showHidden: true }) + JSON.stringify(key)
    for (const encoding of ['hex', 'base64', 'latin1'] as const) expect(printed).not.toContain(bytes.toString(encoding))
    expect(Object.isFrozen(key)).toBe(true)
  })
})
