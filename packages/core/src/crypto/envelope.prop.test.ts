import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Secret } from '../kernel/index.ts'
import { open, openBytes, openHeld, parseEnvelope, seal, serialiseEnvelope } from './envelope.ts'
import { CryptoError } from './errors.ts'
import { generateKeyBytes, sealingKey } from './sealing-key.ts'

const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`envelope.prop seed ${seed}`)

const key = sealingKey('k1', generateKeyBytes())
const keyId = fc.stringMatching(/^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$/)
const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 })
const place = fc.record({
  purpose: text,
  org: fc.string({ unit: 'binary', maxLength: 20 }),
  table: text,
  column: text,
  record: text,
  seq: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
})
const sample = seal(key, { purpose: 'p', org: 'o', table: 't', column: 'c', record: 'r', seq: 0n }, Buffer.from('sample'))

describe('envelope', () => {
  it('parses what it serialises to the same parts', () => {
    const parts = fc.record({
      keyId,
      salt: bytesOf(24),
      nonce: bytesOf(12),
      ciphertext: fc.uint8Array({ maxLength: 100 }),
      tag: bytesOf(16),
    })
    fc.assert(
      fc.property(parts, (given) => {
        const read = parseEnvelope(serialiseEnvelope(given))
        expect(read.keyId).toBe(given.keyId)
        for (const part of ['salt', 'nonce', 'ciphertext', 'tag'] as const)
          expect(Buffer.from(read[part])).toEqual(Buffer.from(given[part]))
      }),
      { seed },
    )
  })

  it('serialises what it parses to the same bytes, and refuses all else with its own error', () => {
    const nearMisses = fc
      .tuple(fc.nat(sample.length - 1), fc.uint8Array({ maxLength: 70 }))
      .map(([at, tail]) => Buffer.concat([sample.subarray(0, at), tail]))
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), nearMisses), (bytes) => {
        try {
          expect(serialiseEnvelope(parseEnvelope(bytes))).toEqual(Buffer.from(bytes))
        } catch (error) {
          expect(error).toBeInstanceOf(CryptoError)
        }
      }),
      { seed, numRuns: 2000 },
    )
  })

  it('throws nothing but CryptoError for any bytes, with a key for every id', () => {
    const edits = fc.array(fc.tuple(fc.nat(sample.length - 1), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 3 })
    const edited = edits.map((changes) => {
      const copy = Buffer.from(sample)
      for (const [at, mask] of changes) copy[at]! ^= mask
      return copy
    })
    fc.assert(
      fc.property(fc.oneof(edited, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        if (sample.equals(bytes)) return
        const at = { purpose: 'p', org: 'o', table: 't', column: 'c', record: 'r', seq: 0n }
        expect(() => open(() => key, at, bytes)).toThrow(CryptoError)
      }),
      { seed, numRuns: 2000 },
    )
  })

  it('opens at its own place, and at no other', () => {
    fc.assert(
      fc.property(place, place, fc.uint8Array({ maxLength: 64 }), (here, there, bytes) => {
        const sealed = seal(key, here, bytes)
        expect(openBytes(() => key, here, sealed)).toEqual(Buffer.from(bytes))
        const same = Object.keys(here).every((part) => here[part as keyof typeof here] === there[part as keyof typeof here])
        if (!same) expect(() => openBytes(() => key, there, sealed)).toThrow(CryptoError)
      }),
      { seed },
    )
  })

  it('opens a held envelope exactly when it opens a copy of it, whatever was opened before with the same object', () => {
    const keys = [key, sealingKey('k1', generateKeyBytes())]
    const held = seal(key, { purpose: 'p', org: 'o', table: 't', column: 'c', record: 'r', seq: 0n }, new Secret('held'))
    const whole = Buffer.from(held)
    const edit = fc.tuple(fc.nat(held.length - 1), fc.integer({ min: 0, max: 255 }))
    const step = fc.record({ edit: fc.option(edit), purpose: fc.constantFrom('p', 'q'), seq: fc.constantFrom(0n, 1n), which: fc.nat(1) })
    const outcome = (run: () => Secret | undefined): string => {
      try {
        return `opened ${run()?.reveal()}`
      } catch (error) {
        return (error as CryptoError).code
      }
    }
    fc.assert(
      fc.property(fc.array(step, { minLength: 2, maxLength: 6 }), (steps) => {
        for (const { edit: change, which, ...where } of steps) {
          whole.copy(held)
          if (change !== null) held[change[0]] = change[1]
          const at = { org: 'o', table: 't', column: 'c', record: 'r', ...where }
          const find = (): typeof key => keys[which]!
          expect(outcome(() => openHeld(find, at, held))).toBe(outcome(() => open(find, at, Buffer.from(held))))
        }
      }),
      { seed, numRuns: 300 },
    )
  })

  it('gives every well-formed text back unchanged', () => {
    fc.assert(
      fc.property(place, fc.string({ unit: 'binary' }), (at, secret) => {
        expect(open(() => key, at, seal(key, at, new Secret(secret))).reveal()).toBe(secret)
      }),
      { seed },
    )
  })
})
