/** Owns which texts name a place on a network: ranges, origins, hosts, endpoints. Refuses every second spelling of the same place. */
import { isIP, isIPv4, isIPv6 } from 'node:net'

/**
 * Why the text is no range of addresses (CIDR, RFC 4632, or one plain address), as the end of a sentence; undefined when it is. Host bits
 * must be zero, so that what an operator meant and what is matched can't differ; a range of everything is none.
 */
export function rangeFault(text: string): string | undefined {
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || address.includes('%') || rest.length > 0) return 'must be an address or a range like 10.0.0.0/8'
  if (bits === undefined) return undefined
  const width = family === 4 ? 32 : 128
  if (!/^(?:0|[1-9]\d{0,2})$/.test(bits) || Number(bits) > width) return `must have a prefix from 1 to ${width}`
  if (Number(bits) === 0) return 'must not hold every address'
  return hostBits(address, Number(bits)) === 0n ? undefined : 'has bits set after its prefix'
}

/** Why the text is no `scheme://host[:port]` in the one spelling a browser sends as Origin (RFC 6454 section 6.2). */
export function originFault(text: string): string | undefined {
  const url = URL.parse(text)
  if (url === null || !isHttp(url)) return 'must be an origin like https://gateway.example.com'
  return url.origin === text ? undefined : 'must be an origin alone: lower case, no path, no user, no default port, no slash at the end'
}

/** Why the text is no endpoint: an absolute http(s) URL without user or fragment. */
export function endpointFault(text: string): string | undefined {
  const url = URL.parse(text)
  if (url === null || !isHttp(url)) return 'must be an https URL'
  if (url.username !== '' || url.password !== '') return 'must not carry a user or password'
  return url.hash === '' && !text.includes('#') ? undefined : 'must not have a fragment'
}

/** Why a server can't listen there. Names are resolved when it starts. */
export function hostFault(text: string): string | undefined {
  const isName = /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(text)
  return isIP(text) !== 0 || (isName && !/^[\d.]+$/.test(text)) ? undefined : 'must be an IP address or a host name'
}

/** Why no connection can begin there. */
export function localAddressFault(text: string): string | undefined {
  return isIP(text) !== 0 && !text.includes('%') && !/^(?:0\.0\.0\.0|[0:]+)$/u.test(text)
    ? undefined
    : 'must be an IP address of this machine'
}

/** True for names and addresses of this machine alone. `host` as a URL prints it (`[::1]`) or plain. */
export function isLoopback(host: string): boolean {
  const plain = host.replace(/^\[(.*)\]$/, '$1')
  return plain === 'localhost' || plain === '::1' || (isIPv4(plain) && plain.startsWith('127.'))
}

function isHttp(url: URL): boolean {
  return (url.protocol === 'https:' || url.protocol === 'http:') && url.hostname !== ''
}

function hostBits(address: string, prefix: number): bigint {
  const width = isIPv6(address) ? 128 : 32
  return addressValue(address) & ((1n << BigInt(width - prefix)) - 1n)
}

function addressValue(address: string): bigint {
  if (isIPv4(address)) return address.split('.').reduce((value, byte) => value * 256n + BigInt(byte), 0n)
  const canonical = URL.parse(`http://[${address}]`)?.hostname.slice(1, -1) ?? ''
  const [head = '', tail = ''] = canonical.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  return [...before, ...zeros, ...after].reduce((value, group) => value * 65_536n + BigInt(`0x${group}`), 0n)
}
