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
