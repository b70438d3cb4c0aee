/**
 * Owns finding the one credential of a control plane request. Refuses a second one rather than prefer one (battery K-07), and
 * a gateway key anywhere but in `Authorization: Bearer` (K-06): query strings and cookies end in logs.
 */
import { GATEWAY_KEY_PATTERN, Secret } from '@sallyport/core'
import { rawValues } from './client-address.ts'
import { ProblemError } from './problem.ts'

export type Credential =
  | { readonly kind: 'none' }
  | { readonly kind: 'key'; readonly text: Secret }
  | { readonly kind: 'session'; readonly token: Secret }

/** Headers in which clients of other APIs carry a key. Here they are only counted: the control plane reads none of them. */
const FOREIGN_KEY_HEADERS = ['x-api-key', 'api-key', 'x-goog-api-key', 'proxy-authorization'] as const

const BEARER = /^bearer +([^\s,]+)$/iu
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
  refuseMisplacedKeys(url, rawHeaders)
  const authorizations = rawValues(rawHeaders, 'authorization')
  const foreign = FOREIGN_KEY_HEADERS.flatMap((name) => rawValues(rawHeaders, name))
  if (authorizations.length + foreign.length + cookies.length > 1) throw new ProblemError('ambiguous_credentials', TOO_MANY)
  if (foreign.length > 0) throw new ProblemError('unauthenticated', 'Send the key as Authorization: Bearer.')
  if (authorizations[0] !== undefined) return { kind: 'key', text: bearer(authorizations[0]) }
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

function bearer(header: string): Secret {
  const token = BEARER.exec(header)?.[1]
  if (token === undefined) throw new ProblemError('unauthenticated', 'Send the key as Authorization: Bearer.')
  return new Secret(token)
}

function refuseMisplacedKeys(url: string, rawHeaders: readonly string[]): void {
  const places = [url, ...rawValues(rawHeaders, 'cookie'), ...rawValues(rawHeaders, 'referer')]
  if (places.some((text) => GATEWAY_KEY_PATTERN.test(percentDecoded(text)))) throw new ProblemError('bad_request', MISPLACED)
}

/** Percent escapes undone byte by byte; text that is no valid escape stays as it is. Only for looking, never for routing. */
function percentDecoded(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/gu, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
