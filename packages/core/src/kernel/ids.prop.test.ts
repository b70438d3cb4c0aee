import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { base62Decode, base62Encode, formatId, isUuid, newId, parseId } from './ids.ts'
import type { Uuid } from './ids.ts'

const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`ids.prop seed ${seed}`)

describe('ids', () => {
  it('spell every UUID in exactly one way and read it back', () => {
    fc.assert(
      fc.property(fc.uuid(), (uuid) => {
        const text = formatId('conn', uuid as Uuid<'conn'>)
        expect(parseId('conn', text)).toBe(uuid)
        expect(text).toMatch(/^conn_[0-9A-Za-z]{22}$/)
      }),
      { seed },
    )
  })

  it('refuse every text that is not the canonical spelling', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), (tail) => {
        const parsed = parseId('conn', `conn_${tail}`)
        if (parsed !== undefined) expect(formatId('conn', parsed)).toBe(`conn_${tail}`)
      }),
      { seed },
    )
    for (const text of ['conn_', `conn_${'z'.repeat(22)}`, `org_${'0'.repeat(22)}`, `conn_${'0'.repeat(21)}\n`, `CONN_${'0'.repeat(22)}`]) {
      expect(parseId('conn', text), text).toBeUndefined()
    }
  })

  it('have the digits of the number that a UUID is, at both ends too', () => {
    const edges = [0n, 1n, 61n, 62n, 62n ** 20n - 1n, 62n ** 20n, (1n << 127n) - 1n, (1n << 128n) - 2n, (1n << 128n) - 1n]
    const numbers = fc.oneof(fc.bigInt(0n, (1n << 128n) - 1n), fc.constantFrom(...edges))
    fc.assert(
      fc.property(numbers, (number) => {
        const hex = number.toString(16).padStart(32, '0')
        const uuid = hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-') as Uuid<'conn'>
        const text = `conn_${base62Encode(number, 22)}`
        expect([formatId('conn', uuid), parseId('conn', text)]).toEqual([text, uuid])
      }),
      { seed, numRuns: 2000 },
    )
  })

  it('are read exactly when their number fits 128 bits', () => {
    const numbers = fc.oneof(
      fc.bigInt(0n, 62n ** 22n - 1n),
      fc.bigInt(-50n, 50n).map((off) => (1n << 128n) + off),
    )
    fc.assert(
      fc.property(numbers, (number) => {
        expect(parseId('key', `key_${base62Encode(number, 22)}`) !== undefined).toBe(number < 1n << 128n)
      }),
      { seed, numRuns: 2000 },
    )
    for (const wrong of ['\u0100', '\u0130', '-', '_', ' ', '@', '[', '`', '{', '/', ':', '\0', '\u007f', '\u0080']) {
      for (const at of [0, 1, 2, 5, 21]) expect(parseId('key', `key_${'0'.repeat(at)}${wrong}${'0'.repeat(21 - at)}`)).toBeUndefined()
    }
  })

  it('refuse to be spelled from text that is no UUID', () => {
    for (const text of ['', 'x', newId('conn').toUpperCase(), `${newId('conn')}0`, `${newId('conn')}\n`, newId('conn').replace('-', '0')])
      expect(() => formatId('conn', text as Uuid<'conn'>)).toThrow(TypeError)
  })

  it('carry 74 random bits, every one of them both ways, and the variant of RFC 9562', () => {
    const numbers = Array.from({ length: 4000 }, () => BigInt(`0x${newId('req', 5).replaceAll('-', '')}`))
    const once = numbers.reduce((all, one) => all | one, 0n)
    const always = numbers.reduce((all, one) => all & one, (1n << 128n) - 1n)
    const random = (((1n << 12n) - 1n) << 64n) | ((1n << 62n) - 1n)
    expect(once & ~always).toBe(random)
    expect(always).toBe((5n << 80n) | (7n << 76n) | (2n << 62n))
  })

  it('refuse a moment that 48 bits do not hold', () => {
    expect(newId('req', 2 ** 48 - 1)).toMatch(/^ffffffff-ffff-7/)
    expect(newId('req', 0)).toMatch(/^00000000-0000-7/)
    for (const moment of [-1, 2 ** 48, Number.NaN, Number.POSITIVE_INFINITY]) expect(() => newId('req', moment)).toThrow(RangeError)
  })

  it('are made unique, ordered by time and of version 7', () => {
    const ids = Array.from({ length: 10_000 }, (_, i) => newId('req', 1_000_000 + i))
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.toSorted()).toEqual(ids)
    expect(ids.every((id) => isUuid(id) && id[14] === '7')).toBe(true)
  })

  it('keep base62 digits reversible at any width that fits', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, (1n << 256n) - 1n), (value) => {
        expect(base62Decode(base62Encode(value, 43))).toBe(value)
      }),
      { seed },
    )
    expect(() => base62Encode(62n, 1)).toThrow(RangeError)
    expect(base62Decode('a-b')).toBeUndefined()
  })
})
