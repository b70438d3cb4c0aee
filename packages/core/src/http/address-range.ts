/**
 * Owns ranges of IP addresses that callers may be held to, judged on bytes. Refuses every range that could mean two things: bits set after
 * the prefix, zones, IPv4 written as IPv6, and prefixes in any spelling but the plain one.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { bytesOfIpv4, bytesOfIpv6, containsBytes } from './address.ts'

/** A range of one family: 4 bytes or 16. */
export interface AddressRange {
  readonly bytes: Uint8Array
  readonly bits: number
}

const PREFIX = /^(?:0|[1-9]\d{0,2})$/u
/** RFC 4291 section 2.5.5.2: IPv4 addresses as IPv6 sockets report them. */
const MAPPED = { bytes: Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]), bits: 96 } as const

/**
 * The range that a text names: CIDR (RFC 4632, RFC 4291 section 2.3) or one address. `/0` is every address of that family. A text that names none
 * gives why, as the end of a sentence.
 */
export function parseAddressRange(text: string): AddressRange | string {
  const [address = '', prefix, ...rest] = text.split('/')
  if (rest.length > 0 || !isAddress(address)) return 'must be an address or a range like 10.0.0.0/8 or 2001:db8::/32'
  const bytes = isIPv4(address) ? bytesOfIpv4(address) : bytesOfIpv6(address)
  const width = bytes.length * 8
  if (prefix !== undefined && (!PREFIX.test(prefix) || Number(prefix) > width)) return `must have a prefix from 0 to ${width}`
  const bits = prefix === undefined ? width : Number(prefix)
  if (bytes.length === 16 && containsBytes(MAPPED, bytes)) return 'must be written as IPv4'
  return hasHostBits(bytes, bits) ? 'has bits set after its prefix' : { bytes, bits }
}

/** The address as ranges see it: IPv4 inside IPv6 in either spelling is IPv4. Undefined for what is no address, or has a zone. */
export function addressBytes(text: string): Uint8Array | undefined {
  if (!isAddress(text)) return undefined
  if (isIPv4(text)) return bytesOfIpv4(text)
  const bytes = bytesOfIpv6(text)
  return containsBytes(MAPPED, bytes) ? bytes.subarray(12) : bytes
}

/** Whether the address lies in one of the ranges. Families never meet. */
export function isInRanges(address: Uint8Array, ranges: readonly AddressRange[]): boolean {
  for (const range of ranges) if (range.bytes.length === address.length && containsBytes(range, address)) return true
  return false
}

/** Whether every range lies whole in one of `outer`. Ranges that only together cover one don't count. */
export function areWithin(ranges: readonly AddressRange[], outer: readonly AddressRange[]): boolean {
  return ranges.every(({ bytes, bits }) =>
    outer.some((range) => range.bits <= bits && range.bytes.length === bytes.length && containsBytes(range, bytes)),
  )
}

function isAddress(text: string): boolean {
  return isIPv4(text) || (isIPv6(text) && !text.includes('%'))
}

function hasHostBits(bytes: Uint8Array, bits: number): boolean {
  const whole = bits >> 3
  const rest = bits & 7
  return bytes.some((byte, index) => index >= whole && (index === whole ? byte & (0xff >> rest) : byte) !== 0)
}
