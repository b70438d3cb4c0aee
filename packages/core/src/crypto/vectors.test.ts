import { createDecipheriv, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { envelopeVectors } from '../../vectors/generate.ts'
import { openBytes } from './envelope.ts'
import type { SealPlace } from './envelope.ts'
import { CryptoError } from './errors.ts'
import { sealingKey } from './sealing-key.ts'

interface Spelled extends Omit<SealPlace, 'seq'> {
  readonly seq: string
}
interface Vectors {
  readonly keys: Readonly<Record<string, string>>
  readonly open: readonly {
    readonly name: string
    readonly keyId: string
    readonly place: Spelled
    readonly salt: string
    readonly nonce: string
    readonly derivedKey: string
    readonly associatedData: string
    readonly plaintext: string
    readonly envelope: string
  }[]
  readonly refuse: readonly { readonly name: string; readonly code: string; readonly place: Spelled; readonly envelope: string }[]
}

const published = readFileSync(new URL('../../vectors/envelope.json', import.meta.url), 'utf8')
const vectors = JSON.parse(published) as Vectors
const hex = (text: string) => Buffer.from(text, 'hex')
const placeOf = (place: Spelled): SealPlace => ({ ...place, seq: BigInt(place.seq) })
const keys = (id: string) => (Object.hasOwn(vectors.keys, id) ? sealingKey(id, hex(vectors.keys[id]!)) : undefined)

describe('published envelope vectors', () => {
  // The risk: a change of format that reads its own writing, and nothing stored before it.
  it('are what this build writes, byte for byte', () => {
    expect(published).toBe(envelopeVectors())
    expect([vectors.open.length, vectors.refuse.length]).toEqual([5, 22])
  })

  it.each(vectors.open)('open: $name', ({ place, plaintext, envelope }) => {
    expect(openBytes(keys, placeOf(place), hex(envelope)).toString('hex')).toBe(plaintext)
  })

  it.each(vectors.refuse)('refuse: $name ($code)', ({ place, code, envelope }) => {
    expect(() => openBytes(keys, placeOf(place), hex(envelope))).toThrow(expect.objectContaining({ code }))
    expect(() => openBytes(keys, placeOf(place), hex(envelope))).toThrow(CryptoError)
  })

  // Reads the form from its description alone: nothing of the implementation is called.
  it.each(vectors.open)('read by the description alone: $name', (vector) => {
    const bytes = hex(vector.envelope)
    const keyIdEnd = 5 + bytes[4]!
    expect(bytes.subarray(0, 4)).toEqual(Buffer.from('SPE\u0001', 'latin1'))
    expect(bytes.subarray(5, keyIdEnd).toString('latin1')).toBe(vector.keyId)
    const salt = bytes.subarray(keyIdEnd, keyIdEnd + 24)
    const nonce = bytes.subarray(keyIdEnd + 24, keyIdEnd + 36)
    expect([salt.toString('hex'), nonce.toString('hex')]).toEqual([vector.salt, vector.nonce])

    const extracted = createHmac('sha256', salt).update(hex(vectors.keys[vector.keyId]!)).digest()
    const derived = createHmac('sha256', extracted).update(vector.place.purpose).update(Buffer.of(1)).digest()
    expect(derived.toString('hex')).toBe(vector.derivedKey)

    const { purpose, org, table, column, record, seq } = vector.place
    const associated = ['sallyport/1', purpose, org, table, column, record, seq, vector.keyId].flatMap((part) => {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(Buffer.byteLength(part))
      return [length, Buffer.from(part)]
    })
    expect(Buffer.concat(associated).toString('hex')).toBe(vector.associatedData)

    const decipher = createDecipheriv('aes-256-gcm', derived, nonce, { authTagLength: 16 })
    decipher.setAAD(Buffer.concat(associated)).setAuthTag(bytes.subarray(-16))
    const plaintext = Buffer.concat([decipher.update(bytes.subarray(keyIdEnd + 36, -16)), decipher.final()])
    expect(plaintext.toString('hex')).toBe(vector.plaintext)
  })
})
