/** Owns what the addresses of token stores have in common. Refuses to reach another host unencrypted without being told to. */
import { isIP } from 'node:net'
import { Secret } from '../kernel/index.ts'
import { TokenError } from '../tokens/index.ts'

/** True for loopback and for a socket folder: nothing between us and the server but this machine. */
export function isLocalHost(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** @throws TokenError `store_misconfigured` */
export function readStoreUrl(url: string | Secret, schemes: readonly string[]): URL {
  const text = url instanceof Secret ? url.reveal() : url
  if (!URL.canParse(text)) throw misconfigured("the store's url is none")
  const parsed = new URL(text)
  if (!schemes.includes(parsed.protocol))
    throw misconfigured(`the store's url does not begin with ${schemes.map((one) => `${one}//`).join(' or ')}`)
  return parsed
}

/** Without the brackets of an IPv6 address. */
export function hostOf(url: URL): string {
  return decoded(url.hostname).replace(/^\[(.*)\]$/u, '$1')
}

/** A part of a url, without its percent escapes. */
export function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw misconfigured("the store's url has a broken percent escape")
  }
}

export function misconfigured(what: string): TokenError {
  return new TokenError('store_misconfigured', what)
}
