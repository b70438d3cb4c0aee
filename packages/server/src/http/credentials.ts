/**
 * Owns finding the one credential of a control plane request, and what both planes know as a key in the wrong place. Refuses a second
 * credential rather than prefer one (battery K-07), and a gateway key anywhere but in `Authorization` (K-06): everything else ends in logs.
 */
import { GATEWAY_KEY_PATTERN, looksLikeJwt, Secret } from '@sallyport/core'
import { rawValues } from './client-address.ts'
import { ProblemError } from './problem.ts'

export type Credential =
  | { readonly kind: 'none' }
  /** `asBound`: sent as `DPoP`, not as `Bearer`. */
  | { readonly kind: 'key'; readonly text: Secret; readonly asBound: boolean }
  /** An outside issuer's, by its form. */
  | { readonly kind: 'token'; readonly token: Secret }
  | { readonly kind: 'session'; readonly token: Secret }

/** Headers in which clients of other APIs carry a key, in lower case. They are only counted: neither plane reads a key from them. */
export const FOREIGN_KEY_HEADERS = ['x-api-key', 'api-key', 'x-goog-api-key', 'proxy-authorization'] as const

/** Where a key is a credential, welcome or one too many. Anywhere else it is misplaced. */
const CREDENTIAL_HEADERS: ReadonlySet<string> = new Set(['authorization', ...FOREIGN_KEY_HEADERS])
/** Characters of a gateway key; what is shorter holds none, however it is encoded. */
const KEY_LENGTH = 81

const KEY = /^(?<scheme>bearer|dpop) +(?<key>[^\s,]+)$/iu
const TOO_MANY = 'Send exactly one credential: an Authorization header or the console session, not both and not twice.'
const MISPLACED =
  'A gateway key was sent outside the Authorization header. It may stand in logs now: revoke it, and send its successor as a bearer token.'

/**
 * The credential of a request, unchecked. `none` means that nothing at all was sent.
 * @param url path and query as they arrived.
 * @throws ProblemError `ambiguous_credentials`, `bad_request` for a key in the wrong place, `unauthenticated` for a scheme or header that is not read here.
 */
export function credentialOf(rawHeaders: readonly string[], url: string, sessionCookie: string): Credential {
  const cookies = cookieValues(rawHeaders, sessionCookie)
  refuseMisplacedKeys(rawHeaders, url)
  const authorizations = rawValues(rawHeaders, 'authorization')
  const foreign = FOREIGN_KEY_HEADERS.flatMap((name) => rawValues(rawHeaders, name))
  if (authorizations.length + foreign.length + cookies.length > 1) throw new ProblemError('ambiguous_credentials', TOO_MANY)
  if (foreign.length > 0) throw new ProblemError('unauthenticated', 'Send the key as Authorization: Bearer.')
  if (authorizations[0] !== undefined) return keyOf(authorizations[0])
  return cookies[0] === undefined ? { kind: 'none' } : { kind: 'session', token: cookies[0] }
}

/** Every value of one cookie, in order (RFC 6265 section 5.4 lets a browser send several of one name). */
export function cookieValues(rawHeaders: readonly string[], name: string): Secret[] {
  const pairs = rawValues(rawHeaders, 'cookie').flatMap((header) => header.split(';'))
  return pairs
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => new Secret(pair.slice(name.length + 1)))
}

function keyOf(header: string): Credential {
  const { scheme, key } = KEY.exec(header)?.groups ?? {}
  if (scheme === undefined || key === undefined) throw new ProblemError('unauthenticated', 'Send the key as Authorization: Bearer.')
  if (scheme.toLowerCase() === 'bearer' && looksLikeJwt(key)) return { kind: 'token', token: new Secret(key) }
  return { kind: 'key', text: new Secret(key), asBound: scheme.toLowerCase() === 'dpop' }
}

/**
 * Looks for gateway keys, percent-encoded or not, in the URL and in every header that is no place of credentials: cookies, `Referer`,
 * and the headers in which some APIs take their own keys, which would carry ours to them.
 * @throws ProblemError `bad_request`; the text is not repeated.
 */
export function refuseMisplacedKeys(rawHeaders: readonly string[], url: string): void {
  if (holdsGatewayKey(url)) throw misplaced()
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (holdsGatewayKey(rawHeaders[i + 1]!) && !CREDENTIAL_HEADERS.has(rawHeaders[i]!.toLowerCase())) throw misplaced()
  }
}

/** True when a whole gateway key stands in `text`, percent-encoded or not. Says nothing of its being valid. */
export function holdsGatewayKey(text: string): boolean {
  return text.length >= KEY_LENGTH && GATEWAY_KEY_PATTERN.test(percentDecoded(text))
}

export function misplaced(): ProblemError {
  return new ProblemError('bad_request', MISPLACED)
}

/** Percent escapes undone byte by byte; text that is no valid escape stays as it is. Only for looking, never for routing. */
export function percentDecoded(text: string): string {
  if (!text.includes('%')) return text
  return text.replace(/%([0-9A-Fa-f]{2})/gu, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
