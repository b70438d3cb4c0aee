/**
 * Owns whose address a request counts as. Refuses every header but X-Forwarded-For, and that one too unless the peer itself
 * is a trusted proxy: a caller may write what it likes to the left of what our proxies appended.
 */
import { BlockList, isIP } from 'node:net'

export type TrustedProxies = BlockList

/**
 * Proxies by address or CIDR range (`10.0.0.0/8`, `2001:db8::/32`, `192.0.2.1`).
 * @throws TypeError for anything else; configuration has judged the texts before.
 */
export function trustedProxies(ranges: readonly string[]): TrustedProxies {
  const list = new BlockList()
  for (const range of ranges) {
    const [address = '', bits] = range.split('/')
    const family = isIP(address)
    const prefix = bits === undefined ? (family === 4 ? 32 : 128) : Number(bits)
    const fits = family !== 0 && Number.isInteger(prefix) && prefix >= 0 && prefix <= (family === 4 ? 32 : 128) && bits !== ''
    if (!fits) throw new TypeError('a trusted proxy is not an address or CIDR range')
    list.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6')
  }
  return list
}

/**
 * The nearest address that is no trusted proxy: from the peer leftwards through X-Forwarded-For, one trusted hop at a time.
 * An entry that is no plain address ends the walk at the hop that wrote it. v4-in-v6 spellings come back as IPv4.
 * @param forwardedFor the values of every X-Forwarded-For header, in order of arrival.
 */
export function clientAddress(peer: string, forwardedFor: readonly string[], trusted: TrustedProxies): string {
  let nearest = plain(peer) ?? peer
  let hops: string[] | undefined
  while (isTrusted(nearest, trusted)) {
    hops ??= forwardedFor.flatMap((value) => value.split(','))
    const next = plain(hops.pop()?.trim() ?? '')
    if (next === undefined) return nearest
    nearest = next
  }
  return nearest
}

/** Whether the other end of a connection is a trusted proxy, whose headers about its client are believed. */
export function isTrustedPeer(peer: string, trusted: TrustedProxies): boolean {
  return isTrusted(plain(peer) ?? peer, trusted)
}

/** Values of one header by its lower-case name, as they arrived: node joins or drops duplicates in `headers`. */
export function rawValues(rawHeaders: readonly string[], name: string): string[] {
  const values: string[] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const held = rawHeaders[at]!
    if (held.length === name.length && held.toLowerCase() === name) values.push(rawHeaders[at + 1]!)
  }
  return values
}

function isTrusted(address: string, trusted: TrustedProxies): boolean {
  const family = isIP(address)
  return family !== 0 && trusted.check(address, family === 4 ? 'ipv4' : 'ipv6')
}

/** The address without zone or v4-in-v6 prefix; undefined for anything that is no address. */
function plain(text: string): string | undefined {
  const family = isIP(text)
  if (family === 4) return text
  if (family === 0 || text.includes('%')) return undefined
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/iu.exec(text)
  return mapped?.[1] ?? text.toLowerCase()
}
