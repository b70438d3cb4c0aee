import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { newId, Secret } from '../kernel/index.ts'
import { envelopeKeyId, open, seal } from './envelope.ts'
import { CryptoError } from './errors.ts'
import { RootKeyring } from './keyring.ts'
import { unwrapDataKey, wrapDataKey } from './root-keys.ts'
import { generateKeyBytes } from './sealing-key.ts'
import { EXAMPLE_KEY_HEX } from './weakness.ts'

const hex = () => generateKeyBytes().toString('hex')
const parse = (text: string) => RootKeyring.parse(new Secret(text))

function faultsOf(text: string): readonly string[] {
  try {
    parse(text)
  } catch (error) {
    if (error instanceof CryptoError && error.code === 'key_invalid') return error.faults
    throw error
  }
  return []
}

describe('RootKeyring', () => {
  it('C-01 takes one or more named keys of 32 bytes, the first as primary', () => {
    const ring = parse(`new.2026:${hex()},old-2025:${hex().toUpperCase()}`)
    expect([ring.primary.id, ring.ids]).toEqual(['new.2026', ['new.2026', 'old-2025']])
    expect(ring.get('old-2025')?.id).toBe('old-2025')
    expect(ring.get('missing')).toBeUndefined()
  })

  it('takes the line break that ends a file', () => {
    expect(parse(`k1:${hex()}\n`).ids).toEqual(['k1'])
  })

  it.each<[string, () => string, RegExp]>([
    ['no key at all', () => '', /key 1 is empty/],
    ['white space for a key', () => ' \n', /key 1 is empty/],
    ['a key of zeros', () => `k1:${'00'.repeat(32)}`, /all zero/],
    ['a repeated byte', () => `k1:${'a7'.repeat(32)}`, /repeats one byte/],
    ['31 bytes', () => `k1:${hex().slice(2)}`, /not 32 bytes/],
    ['33 bytes', () => `k1:${hex()}00`, /not 32 bytes/],
    ['an odd digit', () => `k1:${hex()}0`, /not 32 bytes/],
    ['an id without a key', () => 'k1:', /not 32 bytes/],
    ['a passphrase', () => 'k1:correct horse battery staple', /passphrase is not a key/],
    ['a passphrase of 64 characters', () => `k1:${'z'.repeat(64)}`, /passphrase is not a key/],
    ['base64', () => `k1:${generateKeyBytes().fill(0xfb, 0, 3).toString('base64')}`, /passphrase is not a key/],
    ['the example key from the docs', () => `k1:${EXAMPLE_KEY_HEX}`, /published example/],
    ['the example key in capitals', () => `k1:${EXAMPLE_KEY_HEX.toUpperCase()}`, /published example/],
    ['no id', () => hex(), /has no id/],
    ['an empty id', () => `:${hex()}`, /id that is not/],
    ['an id outside the grammar', () => `my key:${hex()}`, /id that is not/],
    ['an id of 65 characters', () => `${'k'.repeat(65)}:${hex()}`, /id that is not/],
    ['id and key swapped', () => `${hex()}:k1`, /looks like key material/],
    ['a trailing comma', () => `k1:${hex()},`, /key 2 is empty/],
    ['space inside', () => `k1:${hex()}, k2:${hex()}`, /key 2 has an id that is not/],
    ['a line break inside', () => `k1:${hex()}\nk2:${hex()}`, /key 1 is not 64 hex/],
    ['one id twice', () => `k1:${hex()},k1:${hex()}`, /key 2 has the id of key 1/],
  ])('C-01 refuses %s with its reason', (_name, text, reason) => {
    expect(faultsOf(text()).join('\n')).toMatch(reason)
  })

  it('C-01 refuses one key under two ids, in any case of hex', () => {
    const same = hex()
    expect(faultsOf(`k1:${same},k2:${same.toUpperCase()}`)).toEqual(['key 2 has the bytes of key 1'])
  })

  it('reports every fault at once', () => {
    expect(faultsOf(`k1:00,hunter2,k1:${EXAMPLE_KEY_HEX},`)).toHaveLength(6)
  })

  // The risk: the operator pastes the error of a failed start into a ticket.
  it('never quotes what it refuses', () => {
    const almost = hex().slice(2)
    for (const text of [`k1:${almost}`, almost, `${almost}:k1`, `k1:${almost}!`, `k1:${almost},${almost}`]) {
      let printed = ''
      try {
        parse(text)
      } catch (error) {
        printed = inspect(error, { depth: 9, showHidden: true })
      }
      expect(printed).toContain('key_invalid')
      expect(printed).not.toContain(almost)
      expect(printed).not.toContain(almost.slice(0, 8))
    }
  })

  it('gives nothing away when printed', () => {
    const secret = hex()
    const ring = parse(`k1:${secret}`)
    const printed = inspect(ring, { depth: 9, showHidden: true }) + JSON.stringify(ring)
    expect(printed).not.toContain(secret)
    expect(printed.toLowerCase()).not.toContain(Buffer.from(secret, 'hex').toString('base64').toLowerCase())
  })
})

describe('data keys', () => {
  const ring = parse(`k1:${hex()}`)
  const place = { org: newId('org'), dataKeyId: newId('dk') }
  const at = { purpose: 'token', org: place.org, table: 't', column: 'c', record: 'r', seq: 0n }

  it('unwrap to a key that opens what it sealed before', async () => {
    const bytes = generateKeyBytes()
    const wrapped = await wrapDataKey(ring.primary, bytes, place)
    const sealed = seal(await unwrapDataKey(ring, wrapped, place), at, new Secret('kept'))
    const again = await unwrapDataKey(ring, wrapped, place)
    expect(open((id) => (id === again.id ? again : undefined), at, sealed).reveal()).toBe('kept')
    expect([envelopeKeyId(wrapped), again.id]).toEqual(['k1', place.dataKeyId])
    expect(wrapped.includes(bytes)).toBe(false)
  })

  it("C-11 do not unwrap in another organization's row, nor under another id", async () => {
    const wrapped = await wrapDataKey(ring.primary, generateKeyBytes(), place)
    for (const moved of [{ org: newId('org') }, { dataKeyId: newId('dk') }]) {
      await expect(unwrapDataKey(ring, wrapped, { ...place, ...moved })).rejects.toMatchObject({ code: 'decrypt_failed' })
    }
  })

  it('S34 stay readable after another root key became primary, and are unknown once theirs is gone', async () => {
    const [old, next] = [hex(), hex()]
    const wrapped = await wrapDataKey(parse(`old:${old}`).primary, generateKeyBytes(), place)
    const both = parse(`next:${next},old:${old}`)
    expect((await unwrapDataKey(both, wrapped, place)).id).toBe(place.dataKeyId)
    expect(envelopeKeyId(await wrapDataKey(both.primary, generateKeyBytes(), place))).toBe('next')
    await expect(unwrapDataKey(parse(`next:${next}`), wrapped, place)).rejects.toMatchObject({ code: 'key_unknown' })
  })

  it('do not unwrap with other bytes under the same root id', async () => {
    const wrapped = await wrapDataKey(ring.primary, generateKeyBytes(), place)
    await expect(unwrapDataKey(parse(`k1:${hex()}`), wrapped, place)).rejects.toMatchObject({ code: 'decrypt_failed' })
  })

  it.each<[string, Uint8Array]>([
    ['wiped bytes', Buffer.alloc(32)],
    ['31 bytes', generateKeyBytes().subarray(1)],
    ['one byte repeated', Buffer.alloc(32, 9)],
    ['no bytes', Buffer.alloc(0)],
  ])('refuse %s before they are stored', async (_name, bytes) => {
    await expect(wrapDataKey(ring.primary, bytes, place)).rejects.toMatchObject({ code: 'key_invalid' })
  })
})
