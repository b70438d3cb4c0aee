/**
 * Owns the judgement of IP addresses, made on their bytes against the IANA special-purpose address registries (RFC 6890). Refuses
 * names, zone ids and every spelling other than what a resolver or a socket reports. IPv6 is judged by what is allowed (2000::/3
 * less its special blocks), so a block assigned tomorrow is refused until someone looks at it.
 */
import { isIPv4, isIPv6 } from 'node:net'

interface Block {
  readonly cidr: string
  readonly bytes: Uint8Array
  readonly bits: number
}

/** Special-purpose IPv4, plus two addresses of clouds that look public and aren't. */
export const REFUSED_IPV4 = [
  '0.0.0.0/8', // this network, RFC 791
  '10.0.0.0/8', // private, RFC 1918
  '100.64.0.0/10', // carrier-grade NAT, RFC 6598; holds Alibaba's metadata service
  '127.0.0.0/8', // loopback, RFC 1122
  '168.63.129.16/32', // Azure's wire server
  '169.254.0.0/16', // link-local, RFC 3927; holds the metadata services
  '172.16.0.0/12', // private, RFC 1918
  '192.0.0.0/24', // protocol assignments, RFC 6890; holds Oracle's metadata service
  '192.0.2.0/24', // documentation, RFC 5737
  '192.31.196.0/24', // AS112, RFC 7535
  '192.52.193.0/24', // AMT, RFC 7450
  '192.88.99.0/24', // 6to4 relay, RFC 7526
  '192.168.0.0/16', // private, RFC 1918
  '192.175.48.0/24', // AS112, RFC 7534
  '198.18.0.0/15', // benchmarks, RFC 2544
  '198.51.100.0/24', // documentation, RFC 5737
  '203.0.113.0/24', // documentation, RFC 5737
  '224.0.0.0/4', // multicast, RFC 5771
  '240.0.0.0/4', // reserved and broadcast, RFC 1112 and RFC 919
] as const

/** The only IPv6 space that is assigned for global unicast (RFC 4291 section 2.4 and IANA's registry). */
export const GLOBAL_IPV6 = '2000::/3'

/** Special-purpose blocks inside 2000::/3. */
export const REFUSED_IPV6 = [
  '2001::/23', // protocol assignments: Teredo, ORCHID, benchmarks, RFC 2928
  '2001:db8::/32', // documentation, RFC 3849
  '2002::/16', // 6to4 carries any IPv4 address inside, RFC 3056
  '2620:4f:8000::/48', // AS112, RFC 7534
  '3fff::/20', // documentation, RFC 9637
] as const

/** Forms whose last four bytes are the IPv4 address that is really reached. */
export const IPV4_INSIDE = [
  '::ffff:0:0/96', // mapped, RFC 4291 section 2.5.5.2
  '64:ff9b::/96', // NAT64, RFC 6052; the only way to IPv4 on some networks, so judged by what is inside
] as const

/** Networks of an operator's own. What is refused above and is not here may still be reached over everybody's network: 6to4 and Teredo carry there. */
export const PRIVATE_NETWORKS = [
  '10.0.0.0/8', // RFC 1918
  '100.64.0.0/10', // carrier-grade NAT, and the overlays that use its space, RFC 6598
  '127.0.0.0/8', // RFC 1122
  '169.254.0.0/16', // link-local, RFC 3927
  '172.16.0.0/12', // RFC 1918
  '192.168.0.0/16', // RFC 1918
  '::1/128', // RFC 4291
  'fc00::/7', // unique local, RFC 4193
  'fe80::/10', // link-local, RFC 4291
] as const

const privateNetworks = PRIVATE_NETWORKS.map(parseBlock)
const refusedIpv4 = REFUSED_IPV4.map(parseBlock)
const refusedIpv6 = REFUSED_IPV6.map(parseBlock)
const ipv4Inside = IPV4_INSIDE.map(parseBlock)
const globalIpv6 = parseBlock(GLOBAL_IPV6)

/**
 * Why the address must not be connected to (the block it lies in, or `not an address`), or undefined when it is public.
 * Takes the canonical text that a resolver or a socket reports; zone ids are refused.
 */
export function judgeAddress(address: string): string | undefined {
  if (isIPv4(address)) return judgeIpv4(bytesOfIpv4(address))
  if (!isIPv6(address) || address.includes('%')) return 'not an address'
  return judgeIpv6(bytesOfIpv6(address))
}

/**
 * Whether the address lies in a network of an operator's own: one IPv4 address inside of another form is judged as itself. Takes what `judgeAddress` takes;
 * anything else is in none.
 */
export function isPrivateAddress(address: string): boolean {
  if (!isIPv4(address) && (!isIPv6(address) || address.includes('%'))) return false
  const bytes = isIPv4(address) ? bytesOfIpv4(address) : bytesOfIpv6(address)
  const within = bytes.length === 16 && ipv4Inside.some((block) => containsBytes(block, bytes)) ? bytes.subarray(12) : bytes
  return privateNetworks.some((block) => block.bytes.length === within.length && containsBytes(block, within))
}

function judgeIpv4(bytes: Uint8Array): string | undefined {
  return refusedIpv4.find((block) => containsBytes(block, bytes))?.cidr
}

function judgeIpv6(bytes: Uint8Array): string | undefined {
  if (ipv4Inside.some((block) => containsBytes(block, bytes))) return judgeIpv4(bytes.subarray(12))
  if (!containsBytes(globalIpv6, bytes)) return `outside ${GLOBAL_IPV6}`
  const block = refusedIpv6.find((candidate) => containsBytes(candidate, bytes))
  if (block !== undefined) return block.cidr
  return isIsatap(bytes) ? judgeIpv4(bytes.subarray(12)) : undefined
}

/** RFC 5214 section 6.1: interface id 0000:5efe or 0200:5efe, then an IPv4 address to tunnel to. */
function isIsatap(bytes: Uint8Array): boolean {
  return (bytes[8]! & 0xfd) === 0 && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe
}

/** Whether `bytes`, of the same length as the block's, begin with its prefix. */
export function containsBytes(block: Pick<Block, 'bytes' | 'bits'>, bytes: Uint8Array): boolean {
  const whole = block.bits >> 3
  for (let i = 0; i < whole; i++) if (block.bytes[i] !== bytes[i]) return false
  const rest = block.bits & 7
  return rest === 0 || (block.bytes[whole]! ^ bytes[whole]!) >> (8 - rest) === 0
}

function parseBlock(cidr: string): Block {
  const [address, bits] = cidr.split('/') as [string, string]
  return { cidr, bytes: isIPv4(address) ? bytesOfIpv4(address) : bytesOfIpv6(address), bits: Number(bits) }
}

/** `address` is known to be valid. */
export function bytesOfIpv4(address: string): Uint8Array {
  return Uint8Array.from(address.split('.'), Number)
}

/** RFC 4291 section 2.2. Our own, because ipaddr.js reads `::8.8.8.8` as `::ffff:8.8.8.8`. `address` is known to be valid. */
export function bytesOfIpv6(address: string): Uint8Array {
  const [head, tail] = address.split('::') as [string, string | undefined]
  const before = groupBytes(head)
  const after = groupBytes(tail ?? '')
  const bytes = new Uint8Array(16)
  bytes.set(before, 0)
  bytes.set(after, 16 - after.length)
  return bytes
}

function groupBytes(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return [...bytesOfIpv4(group)]
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 0xff]
  })
}
