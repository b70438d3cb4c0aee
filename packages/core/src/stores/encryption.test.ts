import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { EXAMPLE_KEY_HEX } from '../crypto/index.ts'
import { Secret } from '../kernel/index.ts'
import { readEncryption } from './encryption.ts'
import type { EncryptionConfig } from './encryption.ts'

const [a, b] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')]

function faultsOf(config: unknown): readonly string[] {
  try {
    readEncryption(config as EncryptionConfig)
  } catch (error) {
    expect(error).toMatchObject({ code: 'key_invalid' })
    return (error as { faults: readonly string[] }).faults
  }
  return []
}

describe('the encryption of a token store', () => {
  it('is one key, or several of which the first is current, in the shapes that are documented', () => {
    expect(readEncryption({ key: a, algorithm: 'aes-256-gcm' }).ids).toEqual(['default'])
    expect(readEncryption({ key: new Secret(`${a}\n`) }).ids).toEqual(['default'])
    const ring = readEncryption({
      keys: [
        { id: 'key-2024-10', key: a },
        { id: 'key-2024-09', key: new Secret(b) },
      ],
    })
    expect(ring.ids).toEqual(['key-2024-10', 'key-2024-09'])
    expect(ring.primary.id).toBe('key-2024-10')
  })

  it.each([
    ['another cipher', { key: a, algorithm: 'aes-128-gcm' }, /algorithm/],
    ['a cipher by another spelling', { key: a, algorithm: 'AES-256-GCM' }, /algorithm/],
    ['no cipher', { key: a, algorithm: 'none' }, /algorithm/],
    ['no key', { algorithm: 'aes-256-gcm' }, /"key" is missing/],
    ['an unset variable', { key: undefined }, /"key" is missing/],
    ['an empty key', { key: '' }, /"key" is missing/],
    ['no keys', { keys: [] }, /"keys" is empty/],
    ['both shapes', { key: a, keys: [{ id: 'x', key: b }] }, /both given/],
    ['C-01 a key that is too short', { key: a.slice(2) }, /not 32 bytes/],
    ['C-01 a key that is too long', { key: `${a}00` }, /not 32 bytes/],
    ['C-01 a passphrase', { key: 'correct horse battery staple correct horse battery staple 123456' }, /passphrase/],
    ['a key in base64', { key: randomBytes(32).toString('base64') }, /not 64 hex digits/],
    ['C-01 a zero key', { key: '0'.repeat(64) }, /all zero/],
    ['the example key', { key: EXAMPLE_KEY_HEX }, /example/],
    [
      'a repeated id',
      {
        keys: [
          { id: 'x', key: a },
          { id: 'x', key: b },
        ],
      },
      /id of key 1/,
    ],
    [
      'one key twice',
      {
        keys: [
          { id: 'x', key: a },
          { id: 'y', key: a.toUpperCase() },
        ],
      },
      /bytes of key 1/,
    ],
    ['an id that is none', { keys: [{ id: 'a b', key: a }] }, /has an id/],
    ['no id', { keys: [{ key: a }] }, /has an id/],
    ['two keys in one', { keys: [{ id: 'x', key: `${a},y:${b}` }] }, /not 64 hex digits/],
    [
      'a key missing among others',
      {
        keys: [
          { id: 'x', key: a },
          { id: 'y', key: undefined },
        ],
      },
      /key 2 is missing/,
    ],
  ])('refuses %s with one clear message that quotes nothing', (_, config, message) => {
    const faults = faultsOf(config)
    expect(faults).toHaveLength(1)
    expect(faults[0]).toMatch(message)
    for (const key of [a, b]) expect(faults[0]).not.toContain(key.slice(0, 6))
  })
})
