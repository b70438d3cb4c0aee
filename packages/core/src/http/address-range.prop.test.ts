import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { expect, it } from 'vitest'
import { addressBytes, areWithin, isInRanges, parseAddressRange } from './address-range.ts'
import type { AddressRange } from './address-range.ts'

const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`address-range.prop seed ${seed}`)

const ofFamily = (length: 4 | 16) => fc.uint8Array({ minLength: length, maxLength: length })
const text = (bytes: Uint8Array): string => ipaddr.fromByteArray([...bytes]).toString()

/** The bytes with everything after the prefix cleared, and the range as text. */
function cut(bytes: Uint8Array, bits: number): string {
  const kept = bytes.map((byte, i) => byte & (0xff << Math.max(0, Math.min(8, 8 * (i + 1) - bits))))
  return `${text(kept)}/${bits}`
}

/** A range, and an address that agrees with it in its first `same` bits. */
const near = fc.constantFrom<4 | 16>(4, 16).chain((length) =>
  fc.record({
    base: ofFamily(length),
    other: ofFamily(length),
    bits: fc.integer({ min: 0, max: length * 8 }),
    same: fc.integer({ min: 0, max: length * 8 }),
  }),
)

function blended({ base, other, same }: { base: Uint8Array; other: Uint8Array; same: number }): Uint8Array {
  return base.map((byte, i) => {
    const mask = 0xff & (0xff << Math.max(0, Math.min(8, 8 * (i + 1) - same)))
    return (byte & mask) | (other[i]! & ~mask)
  })
}

function parsed(range: string): AddressRange {
  const found = parseAddressRange(range)
  if (typeof found === 'string') throw new Error(`${range} ${found}`)
  return found
}

const isMapped = (bytes: Uint8Array): boolean => bytes.length === 16 && text(bytes).startsWith('::ffff:') && bytes[10] === 0xff

it('R-01 R-05 a range holds what another implementation says it holds, near its borders too', () => {
  fc.assert(
    fc.property(near, ({ base, other, bits, same }) => {
      const address = blended({ base, other, same })
      fc.pre(!isMapped(base) && !isMapped(address))
      const range = cut(base, bits)
      const [first, prefix] = ipaddr.parseCIDR(range)
      const expected = ipaddr.parse(text(address)).match(first, prefix)
      expect(isInRanges(addressBytes(text(address))!, [parsed(range)]), `${text(address)} in ${range}`).toBe(expected)
    }),
    { seed, numRuns: 2000 },
  )
})

it('T-10 whatever lies in a range lies in every range that the first is within', () => {
  fc.assert(
    fc.property(near, fc.integer({ min: 0, max: 128 }), ({ base, other, bits, same }, wider) => {
      fc.pre(wider <= base.length * 8 && !isMapped(base))
      const [inner, outer] = [parsed(cut(base, bits)), parsed(cut(blended({ base, other, same }), wider))]
      fc.pre(areWithin([inner], [outer]))
      expect(isInRanges(inner.bytes, [outer])).toBe(true)
      expect(wider).toBeLessThanOrEqual(bits)
    }),
    { seed, numRuns: 1000 },
  )
})

it('R-03 no text is taken that another implementation does not take, and none breaks the parser', () => {
  const digit = fc.constantFrom(...'0123456789abcdefABCDEFx.:/% []-'.split(''))
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: digit, maxLength: 50 })), (given) => {
      const found = parseAddressRange(given)
      if (typeof found === 'string') return
      expect(ipaddr.isValid(given.split('/')[0]!)).toBe(true)
    }),
    { seed, numRuns: 5000 },
  )
})
