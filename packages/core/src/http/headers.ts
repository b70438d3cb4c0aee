/**
 * Owns which headers cross the gateway, in both directions, and how values that name the provider's URLs are rewritten. Headers
 * are flat arrays (name, value, name, value) as Node and undici give and take them. Refuses values that could split a message.
 */
import { EgressError } from './egress-error.ts'
import type { SecretMask } from './mask.ts'
import type { ApiBase } from './origin.ts'
import { judgePath } from './path.ts'

/** RFC 9110 section 7.6.1, and what older software treats the same way. Never forwarded in either direction. */
const HOP_BY_HOP = [
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
] as const

/** Where clients put keys. The gateway's key arrives in one of these; the provider's is injected after they are gone. */
const CREDENTIALS = ['authorization', 'api-key', 'cookie', 'cookie2', 'x-api-key', 'x-goog-api-key'] as const

const DROPPED_FROM_REQUEST: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  ...CREDENTIALS,
  // how the caller reached us
  'cdn-loop',
  'client-ip',
  'fastly-client-ip',
  'forwarded',
  'true-client-ip',
  'via',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-real-ip',
  // would have the provider see another method, host or path than the one that was judged
  'x-host',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-host',
  'x-original-url',
  'x-rewrite-url',
  // addressed to the gateway
  'connection-id',
  'provider-config-key',
  'x-provider-key',
  // set anew for the outgoing message
  'accept-encoding',
  'content-length',
  'expect',
  'host',
])

const DROPPED_PREFIXES_FROM_REQUEST = ['cf-', 'proxy-', 'sallyport-', 'x-envoy-', 'x-forwarded-', 'x-original-forwarded-'] as const

const DROPPED_FROM_RESPONSE: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  ...CREDENTIALS,
  'set-cookie',
  'set-cookie2',
  'via',
  // would bind the gateway's own origin to the provider's wishes
  'alt-svc',
  'clear-site-data',
  'expect-ct',
  'nel',
  'public-key-pins',
  'report-to',
  'reporting-endpoints',
  'service-worker-allowed',
  'strict-transport-security',
])

/** CORS answers belong to the gateway's origin, whose own policy decides them. */
const DROPPED_PREFIXES_FROM_RESPONSE = ['access-control-', 'proxy-', 'sallyport-'] as const

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** Controls other than tab, anything past Latin-1, and U+0085, U+2028, U+2029 as the UTF-8 bytes in which they would arrive. */
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const UNSAFE_VALUE = /[^\t\x20-\x7e\x80-\xff]|\xc2\x85|\xe2\x80[\xa8\xa9]/
const NOTHING: ReadonlySet<string> = new Set()

/**
 * What of a caller's headers may go on: no credentials, cookies, hop-by-hop, forwarding or gateway headers, nothing listed in
 * `Connection`, nothing in `remove` (lower case). `accept-encoding: identity` is set, so that echoes can be masked.
 * @throws EgressError `header_refused` for a name that is no token or a value with CR, LF, NUL or other controls.
 */
export function cleanRequestHeaders(rawHeaders: readonly string[], remove: ReadonlySet<string> = NOTHING): string[] {
  const listed = connectionTokens(rawHeaders)
  const kept: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    const value = rawHeaders[i + 1]!
    requireSafe(name, value)
    const known = dashed(name)
    if (DROPPED_FROM_REQUEST.has(known) || remove.has(known) || listed.has(name) || hasPrefix(known, DROPPED_PREFIXES_FROM_REQUEST))
      continue
    kept.push(name, value)
  }
  kept.push('accept-encoding', 'identity')
  return kept
}

/** How to clean a provider's answer. */
export interface ResponseCleaning {
  /** Lower-case names that were injected into the request; an answer that carries them back loses them. */
  readonly injectedNames?: ReadonlySet<string>
  /** Lower-case names that the caller sets itself; the provider's are dropped. */
  readonly replacedNames?: ReadonlySet<string>
  /** URLs inside `fromBase` in Link, Location and Content-Location come to lie under `toBase` (no trailing slash). */
  readonly rewrite?: { readonly fromBase: ApiBase; readonly toBase: string }
  readonly mask?: SecretMask
  /** True when the body is decoded on the way: its encoding and length are no longer true. */
  readonly decoded?: boolean
  /** True when the length must not be passed on: a 204 has none, and beside Transfer-Encoding it lies (RFC 9112 section 6.3). */
  readonly lengthless?: boolean
}

/**
 * What of a provider's headers may go back. Dropped: hop-by-hop, what `Connection` lists, cookies, credentials, injected names,
 * `sallyport-*`, CORS, and headers that would bind the gateway's own origin.
 * @throws EgressError `upstream_invalid` for a value that could split the message.
 */
export function cleanResponseHeaders(rawHeaders: readonly (string | Buffer)[], how: ResponseCleaning): string[] {
  const texts = rawHeaders.map(latin1)
  const listed = connectionTokens(texts)
  const kept: string[] = []
  for (let i = 0; i + 1 < texts.length; i += 2) {
    const name = texts[i]!.toLowerCase()
    if (DROPPED_FROM_RESPONSE.has(name) || listed.has(name) || isDroppedFor(name, how)) continue
    const value = texts[i + 1]!
    if (!TOKEN.test(name) || UNSAFE_VALUE.test(value)) throw new EgressError('upstream_invalid', 'header', true)
    kept.push(name, cleanValue(name, value, how))
  }
  return kept
}

/** @throws EgressError `header_refused`; `name` and `value` are not quoted, either may hold a secret. */
export function requireSafe(name: string, value: string): void {
  if (!TOKEN.test(name)) throw new EgressError('header_refused', 'name')
  if (UNSAFE_VALUE.test(value)) throw new EgressError('header_refused', 'value')
}

/** The value of a header in a flat array, names compared in lower case; several are joined as RFC 9110 section 5.3 says. */
export function headerValue(rawHeaders: readonly (string | Buffer)[], wanted: string): string | undefined {
  let found: string | undefined
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name.length !== wanted.length || latin1(name).toLowerCase() !== wanted) continue
    const value = latin1(rawHeaders[i + 1]!)
    found = found === undefined ? value : `${found}, ${value}`
  }
  return found
}

function isDroppedFor(name: string, how: ResponseCleaning): boolean {
  if (how.injectedNames?.has(name) === true || how.replacedNames?.has(name) === true) return true
  if (name === 'content-length' && (how.decoded === true || how.lengthless === true)) return true
  if (name === 'content-encoding' && how.decoded === true) return true
  return hasPrefix(name, DROPPED_PREFIXES_FROM_RESPONSE)
}

function cleanValue(name: string, value: string, how: ResponseCleaning): string {
  const rewritten = how.rewrite === undefined ? value : rewriteValue(name, value, how.rewrite)
  return how.mask === undefined ? rewritten : how.mask.text(rewritten)
}

function rewriteValue(name: string, value: string, rewrite: NonNullable<ResponseCleaning['rewrite']>): string {
  if (name === 'location' || name === 'content-location') return rebase(value, rewrite.fromBase, rewrite.toBase)
  if (name !== 'link') return value
  // RFC 8288 section 3: each target stands in angle brackets, which no URL contains.
  return value.replace(/<([^<>]*)>/g, (_link, url: string) => `<${rebase(url, rewrite.fromBase, rewrite.toBase)}>`)
}

/**
 * `url` under the proxy's base when it lies inside the API base (same origin, base path on a segment's border, a path that we would
 * forward); otherwise the text as it is. Compared as text: a host in another spelling is not ours to recognise.
 */
function rebase(url: string, from: ApiBase, to: string): string {
  if (url === '') return url
  const path = url.startsWith(from.origin) ? url.slice(from.origin.length) : url
  if (path !== '' && path[0] !== '/' && !(path !== url && path[0] === '?')) return url
  if (path.startsWith('//') || !path.startsWith(from.basePath)) return url
  const inside = path.slice(from.basePath.length)
  if (inside !== '' && inside[0] !== '/' && inside[0] !== '?') return url
  return isForwardable(inside) ? to + inside : url
}

function isForwardable(inside: string): boolean {
  const fragment = inside.indexOf('#')
  try {
    judgePath(fragment < 0 ? inside : inside.slice(0, fragment))
    return true
  } catch (error) {
    if (error instanceof EgressError) return false
    throw error
  }
}

/** Header names that `Connection` declares to be for the next hop only, RFC 9110 section 7.6.1. */
function connectionTokens(rawHeaders: readonly string[]): ReadonlySet<string> {
  const value = headerValue(rawHeaders, 'connection')
  if (value === undefined || value === 'keep-alive' || value === 'close') return NOTHING
  return new Set(
    value
      .toLowerCase()
      .split(',', 64)
      .map((token) => token.trim()),
  )
}

function hasPrefix(name: string, prefixes: readonly string[]): boolean {
  for (const prefix of prefixes) if (name.startsWith(prefix)) return true
  return false
}

/** The name as gateways in the manner of CGI see it, which read `x_api_key` and `x-api-key` as one. */
export function dashed(name: string): string {
  return name.includes('_') ? name.replaceAll('_', '-') : name
}

function latin1(text: string | Buffer): string {
  return typeof text === 'string' ? text : text.toString('latin1')
}
