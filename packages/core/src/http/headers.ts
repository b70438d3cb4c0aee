/**
 * Owns which headers cross the gateway, in both directions, and how values that name the provider's URLs are rewritten. Headers
 * are flat arrays (name, value, name, value) as Node gives and both Node and undici take them. Refuses values that could split a message.
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
  // proves the caller to the gateway: a provider's own proof is injected
  'dpop',
  // how the caller reached us
  'cdn-loop',
  'client-cert',
  'client-cert-chain',
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
  // would bring an echoed credential back in pieces, in which none is found; a server may always answer whole (RFC 9110 section 14.2)
  'if-range',
  'range',
  'request-range',
  'x-ms-range',
  // set anew for the outgoing message
  'accept-encoding',
  'content-length',
  'expect',
  'host',
])

const DROPPED_PREFIXES_FROM_REQUEST = ['cf-', 'proxy-', 'sallyport-', 'x-envoy-', 'x-forwarded-', 'x-original-forwarded-'] as const

/**
 * Headers that are a URL to ask next. Google's resumable uploads and Azure's long operations name theirs in headers of their own; a client that follows
 * them past the gateway sends its gateway key to the provider.
 */
const URL_NAMES: ReadonlySet<string> = new Set([
  'location',
  'content-location',
  'operation-location',
  'azure-asyncoperation',
  'x-goog-upload-url',
  'x-goog-upload-control-url',
])

const DROPPED_FROM_RESPONSE: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  ...CREDENTIALS,
  'set-cookie',
  'set-cookie2',
  'via',
  // promises what does not pass
  'accept-ranges',
  // is for proofs made here, which no caller makes
  'dpop-nonce',
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

const MOST_NAMES = 500
const LONGEST_NAME = 64

/** What is judged of a name, once: messages have the same few. Whoever sends ever new ones has them judged each time, and no more kept than these. */
class Judged<Judgement> {
  readonly #judge: (name: string) => Judgement
  readonly #known = new Map<string, Judgement>()

  constructor(judge: (name: string) => Judgement) {
    this.#judge = judge
  }

  of(name: string): Judgement {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const judgement = this.#judge(name)
    if (name.length > LONGEST_NAME) return judgement
    if (this.#known.size >= MOST_NAMES) this.#known.clear()
    this.#known.set(name, judgement)
    return judgement
  }
}

interface RequestName {
  readonly name: string
  /** See `dashed`. */
  readonly known: string
  readonly goesOn: boolean
}

const requestNames = new Judged((sent): RequestName => {
  const name = sent.toLowerCase()
  requireToken(name)
  const known = dashed(name)
  return { name, known, goesOn: !DROPPED_FROM_REQUEST.has(known) && !hasPrefix(known, DROPPED_PREFIXES_FROM_REQUEST) }
})

/** Whether it may go back. */
const responseNames = new Judged((name): boolean => {
  if (DROPPED_FROM_RESPONSE.has(name) || hasPrefix(name, DROPPED_PREFIXES_FROM_RESPONSE)) return false
  if (!TOKEN.test(name)) throw new EgressError('upstream_invalid', 'header', true)
  return true
})

/**
 * What of a caller's headers may go on: no credentials, cookies, ranges, hop-by-hop, forwarding or gateway headers, nothing listed in
 * `Connection`, nothing in `remove` (lower case). `accept-encoding: identity` is set, so that echoes can be masked.
 * @throws EgressError `header_refused` for a name that is no token or a value with CR, LF, NUL or other controls.
 */
export function cleanRequestHeaders(rawHeaders: readonly string[], remove: ReadonlySet<string> = NOTHING): string[] {
  const listed = tokensOf(connectionOf(rawHeaders))
  const kept: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const { name, known, goesOn } = requestNames.of(rawHeaders[i]!)
    const value = rawHeaders[i + 1]!
    requireSafeValue(value)
    if (goesOn && !remove.has(known) && !listed.has(name)) kept.push(name, value)
  }
  kept.push('accept-encoding', 'identity')
  return kept
}

/** Headers as undici and Node parse them: lower-case names, Latin-1 values, one entry of an array per repetition. */
export type ParsedHeaders = Readonly<Record<string, string | string[] | undefined>>

/** How to clean a provider's answer. */
export interface ResponseCleaning {
  /** Lower-case names that were injected into the request; an answer that carries them back loses them. */
  readonly injectedNames?: ReadonlySet<string> | undefined
  /** Lower-case names that the caller sets itself; the provider's are dropped. */
  readonly replacedNames?: ReadonlySet<string> | undefined
  /** URLs inside `fromBase` in Link and in what `URL_NAMES` lists come to lie under `toBase` (no trailing slash). */
  readonly rewrite?: { readonly fromBase: ApiBase; readonly toBase: string } | undefined
  readonly mask?: SecretMask | undefined
  /** True when the body is decoded on the way: its encoding and length are no longer true. */
  readonly decoded?: boolean
  /** True when the length must not be passed on: a 204 has none, and beside Transfer-Encoding it lies (RFC 9112 section 6.3). */
  readonly lengthless?: boolean
}

/**
 * What of a provider's headers may go back, flat. Dropped: hop-by-hop, what `Connection` lists, cookies, credentials, injected
 * names, `sallyport-*`, CORS, and headers that would bind the gateway's own origin.
 * @throws EgressError `upstream_invalid` for a value that could split the message.
 */
export function cleanResponseHeaders(headers: ParsedHeaders, how: ResponseCleaning): string[] {
  const listed = tokensOf(headerText(headers, 'connection'))
  const kept: string[] = []
  for (const name of Object.keys(headers)) {
    if (listed.has(name) || !responseNames.of(name) || isDroppedFor(name, how)) continue
    const value = headers[name]!
    if (typeof value === 'string') kept.push(name, cleanValue(name, value, how))
    else for (const one of value) kept.push(name, cleanValue(name, one, how))
  }
  return kept
}

/** A header's whole value; repetitions are joined as RFC 9110 section 5.3 says. `name` is lower case. */
export function headerText(headers: ParsedHeaders, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'object' ? value.join(', ') : value
}

/** @throws EgressError `header_refused`; `name` and `value` are not quoted, either may hold a secret. */
export function requireSafe(name: string, value: string): void {
  requireToken(name)
  requireSafeValue(value)
}

function requireToken(name: string): void {
  if (!TOKEN.test(name)) throw new EgressError('header_refused', 'name')
}

function requireSafeValue(value: string): void {
  if (UNSAFE_VALUE.test(value)) throw new EgressError('header_refused', 'value')
}

function isDroppedFor(name: string, how: ResponseCleaning): boolean {
  if (how.injectedNames?.has(name) === true || how.replacedNames?.has(name) === true) return true
  if (name === 'content-length' && (how.decoded === true || how.lengthless === true)) return true
  return name === 'content-encoding' && how.decoded === true
}

function cleanValue(name: string, value: string, how: ResponseCleaning): string {
  if (UNSAFE_VALUE.test(value)) throw new EgressError('upstream_invalid', 'header', true)
  const rewritten = how.rewrite === undefined ? value : rewriteValue(name, value, how.rewrite)
  return how.mask === undefined ? rewritten : how.mask.text(rewritten)
}

function rewriteValue(name: string, value: string, rewrite: NonNullable<ResponseCleaning['rewrite']>): string {
  if (URL_NAMES.has(name)) return rebase(value, rewrite.fromBase, rewrite.toBase)
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
function tokensOf(connection: string | undefined): ReadonlySet<string> {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return NOTHING
  return new Set(
    connection
      .toLowerCase()
      .split(',')
      .map((token) => token.trim()),
  )
}

/** The values of a flat array's `Connection` headers. */
function connectionOf(rawHeaders: readonly string[]): string | undefined {
  let found: string | undefined
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.length !== 10 || rawHeaders[i]!.toLowerCase() !== 'connection') continue
    found = found === undefined ? rawHeaders[i + 1]! : `${found},${rawHeaders[i + 1]!}`
  }
  return found
}

function hasPrefix(name: string, prefixes: readonly string[]): boolean {
  for (const prefix of prefixes) if (name.startsWith(prefix)) return true
  return false
}

/** The name as gateways in the manner of CGI see it, which read `x_api_key` and `x-api-key` as one. */
export function dashed(name: string): string {
  return name.includes('_') ? name.replaceAll('_', '-') : name
}
