import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { Secret } from '../kernel/index.ts'
import { envelopeKeyId, open, openBytes, openHeld, parseEnvelope, seal, serialiseEnvelope } from './envelope.ts'
import type { SealPlace } from './envelope.ts'
import { CryptoError } from './errors.ts'
import * as folder from './index.ts'
import { generateKeyBytes, sealingKey } from './sealing-key.ts'
import type { SealingKey } from './sealing-key.ts'

const key = sealingKey('k1', generateKeyBytes())
const place: SealPlace = { purpose: 'access-token', org: 'org-a', table: 'credential', column: 'sealed', record: 'rec-1', seq: 3n }
const keys = (id: string): SealingKey | undefined => (id === key.id ? key : undefined)
const canary = `canary-${randomBytes(16).toString('hex')}`
const envelope = seal(key, place, new Secret(canary))
const saltAt = 5 + key.id.length

/** The error of a call that must fail as a CryptoError. */
function failure(run: () => unknown): CryptoError {
  try {
    run()
  } catch (error) {
    if (error instanceof CryptoError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('envelope', () => {
  it('S16 gives back what was sealed, text as text and bytes as bytes', () => {
    for (const text of ['', 'plain', 'Zoë 日本 \u{1f511}', '\ufeffmark', 'a\u0000b']) {
      expect(open(keys, place, seal(key, place, new Secret(text))).reveal()).toBe(text)
    }
    const bytes = randomBytes(1000)
    expect(openBytes(keys, place, seal(key, place, bytes))).toEqual(bytes)
  })

  it('names its key in the clear and nothing else: neither place nor plaintext is in the bytes', () => {
    const text = envelope.toString('latin1')
    expect(envelopeKeyId(envelope)).toBe('k1')
    for (const hidden of [canary, place.org, place.table, place.record, place.purpose]) expect(text).not.toContain(hidden)
  })

  it('leaves the bytes it was given as they were', () => {
    const given = Buffer.from('bytes of the caller')
    seal(key, place, given)
    expect(given.toString()).toBe('bytes of the caller')
  })

  // The risk: a ciphertext copied between rows by SQL injection or a bug reads as the other tenant's token.
  it.each<[string, Partial<SealPlace>]>([
    ['organization', { org: 'org-b' }],
    ['no organization', { org: '' }],
    ['purpose', { purpose: 'refresh-token' }],
    ['table', { table: 'connection' }],
    ['column', { column: 'raw' }],
    ['record', { record: 'rec-2' }],
    ['sequence (an old version put back)', { seq: 2n }],
    ['border between two parts', { table: 'credentials', column: 'ealed' }],
  ])('C-02 does not open under another %s', (_name, moved) => {
    expect(failure(() => open(keys, { ...place, ...moved }, envelope)).code).toBe('decrypt_failed')
  })

  it('C-04 does not open with any one bit changed, and tells nothing of which bit', () => {
    const bodies = new Set<string>()
    for (let bit = 0; bit < envelope.length * 8; bit++) {
      const changed = Buffer.from(envelope)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      const { code, message } = failure(() => open(keys, place, changed))
      if (bit >> 3 >= saltAt) bodies.add(`${code} ${message}`)
    }
    expect([...bodies]).toEqual(['decrypt_failed the envelope does not open here'])
  })

  it('C-04 binds the key id: the right key under another name does not open it', () => {
    for (let bit = 0; bit < key.id.length * 8; bit++) {
      const changed = Buffer.from(envelope)
      changed[5 + (bit >> 3)]! ^= 1 << (bit & 7)
      const { code } = failure(() => open(() => key, place, changed))
      expect(['decrypt_failed', 'envelope_malformed']).toContain(code)
    }
  })

  it.each(Array.from({ length: 16 }, (_, kept) => [kept]))('C-05 does not open with the tag cut to %i bytes', (kept) => {
    for (const whole of [envelope, seal(key, place, new Secret(''))]) {
      const cut = whole.subarray(0, whole.length - 16 + kept)
      expect(['decrypt_failed', 'envelope_malformed']).toContain(failure(() => open(keys, place, cut)).code)
    }
  })

  it('C-05 does not open with the tag extended', () => {
    for (const more of [1, 2, 4, 16]) {
      expect(failure(() => open(keys, place, Buffer.concat([envelope, Buffer.alloc(more)]))).code).toBe('decrypt_failed')
    }
  })

  it.each([0, 2, 127, 255])('C-12 refuses format version %i by name, without asking for a key', (version) => {
    const changed = Buffer.from(envelope)
    changed[3] = version
    const asked: string[] = []
    const error = failure(() => open((id) => void asked.push(id), place, changed))
    expect([error.code, asked]).toEqual(['envelope_version_unknown', []])
    expect(failure(() => envelopeKeyId(changed)).code).toBe('envelope_version_unknown')
  })

  // What is remembered of a held envelope must let nothing in that would otherwise be refused.
  it('C-02 opens a held envelope again and again, and nowhere else in between', () => {
    const held = Buffer.from(envelope)
    for (const moved of [{ org: 'org-b' }, { purpose: 'refresh-token' }, { record: 'rec-2' }, { seq: 2n }]) {
      expect(openHeld(keys, place, held)?.reveal()).toBe(canary)
      expect(failure(() => openHeld(keys, { ...place, ...moved }, held)).code).toBe('decrypt_failed')
    }
    expect(failure(() => openHeld(() => sealingKey('k1', generateKeyBytes()), place, held)).code).toBe('decrypt_failed')
    expect(openHeld(keys, place, held)?.reveal()).toBe(canary)
  })

  it('C-04 does not open a held envelope whose bytes were changed in place', () => {
    const held = Buffer.from(envelope)
    for (let at = saltAt; at < held.length; at++) {
      expect(openHeld(keys, place, held)?.reveal()).toBe(canary)
      held[at]! ^= 1
      expect(failure(() => openHeld(keys, place, held)).code).toBe('decrypt_failed')
      held[at]! ^= 1
    }
  })

  it('gives nothing of a held envelope once its key is not there any more', () => {
    const held = Buffer.from(envelope)
    expect(openHeld(keys, place, held)?.reveal()).toBe(canary)
    expect(openHeld(() => undefined, place, held)).toBeUndefined()
  })

  it('C-12 asks for the named key once and tries no other', () => {
    const asked: string[] = []
    const error = failure(() => open((id) => void asked.push(id), place, envelope))
    expect([error.code, asked]).toEqual(['key_unknown', ['k1']])
  })

  it('tells wrong key bytes, a wrong place and changed bytes apart to nobody', () => {
    const wrongKey = sealingKey('k1', generateKeyBytes())
    const changed = Buffer.from(envelope)
    changed[changed.length - 1]! ^= 1
    const binary = seal(key, place, Buffer.of(0xff, 0xfe))
    const seen = [
      () => open(() => wrongKey, place, envelope),
      () => open(keys, { ...place, org: 'org-b' }, envelope),
      () => open(keys, place, changed),
      () => open(keys, place, binary),
    ].map((run) => {
      const { code, message, cause, publicDetail, faults } = failure(run)
      return JSON.stringify({ code, message, cause: String(cause), publicDetail, faults })
    })
    expect(new Set(seen).size).toBe(1)
  })

  it('keeps plaintext and key out of every error', () => {
    const printed = [
      failure(() => open(keys, { ...place, seq: 4n }, envelope)),
      failure(() => open(() => undefined, place, envelope)),
      failure(() => open(keys, place, envelope.subarray(0, 20))),
    ].map((error) => inspect(error, { depth: 9, showHidden: true }))
    for (const text of printed) expect(text).not.toContain(canary)
  })

  it('refuses a place that leaves a part out, so that two kinds of record cannot share one', () => {
    for (const hole of [{ purpose: '' }, { table: '' }, { column: '' }, { record: '' }, { seq: -1n }, { seq: 2n ** 64n }]) {
      expect(() => seal(key, { ...place, ...hole }, new Secret('x'))).toThrow(TypeError)
    }
  })

  it('refuses text that UTF-8 would silently change', () => {
    expect(() => seal(key, place, new Secret('\ud800'))).toThrow(TypeError)
    expect(() => seal(key, { ...place, record: 'r\udc00' }, new Secret('x'))).toThrow(TypeError)
  })

  it('C-06 draws a new salt and nonce every time: 100,000 seals, none twice', () => {
    const salts = new Set<string>()
    const nonces = new Set<string>()
    const empty = Buffer.alloc(0)
    for (let i = 0; i < 100_000; i++) {
      const { salt, nonce } = parseEnvelope(seal(key, place, empty))
      salts.add(Buffer.from(salt).toString('latin1'))
      nonces.add(Buffer.from(nonce).toString('latin1'))
    }
    expect([salts.size, nonces.size]).toEqual([100_000, 100_000])
  }, 60_000)

  it('refuses to put together parts of the wrong size', () => {
    const parts = parseEnvelope(envelope)
    const wrong = [{ salt: Buffer.alloc(23) }, { nonce: Buffer.alloc(16) }, { tag: Buffer.alloc(12) }, { keyId: '' }, { keyId: 'k:1' }]
    for (const part of wrong) expect(() => serialiseEnvelope({ ...parts, ...part })).toThrow(TypeError)
  })

  it('keeps the choice of a nonce, and the raw form, inside the folder', () => {
    for (const inner of ['sealWith', 'serialiseEnvelope', 'parseEnvelope', 'createCipheriv']) expect(folder).not.toHaveProperty(inner)
  })
})
