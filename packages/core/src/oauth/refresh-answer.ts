/**
 * Owns the reading of a token endpoint's answer to a refresh (RFC 6749 sections 5.1, 5.2, 6). Refuses to branch on a provider's prose: only
 * statuses, `error` values and the documented sub-codes count.
 */
import { retryAfterMs } from '../http/index.ts'
import { Secret } from '../kernel/index.ts'
import { lifetimeSeconds } from '../tokens/index.ts'
import type { TokenSet } from '../tokens/index.ts'
import { keptExtra } from './exchange.ts'
import { parseScopes } from './scopes.ts'
import type { TokenServer } from './server.ts'

/**
 * What became of a refresh.
 * - `tokens`: renewed. What the answer left out is the parent's (RFC 6749 section 6).
 * - `refused`: the provider does not take this refresh token.
 * - `misconfigured`: it rejects our client or our request; nothing was spent. `providerError` is a value that standards name, or undefined.
 * - `limited`: told to wait; nothing was spent. At most `MAX_RETRY_AFTER_MS`; 0 when the provider named no time.
 * - `unsent`: no byte of the request left this process.
 * - `unknown`: it may or may not have been spent. `raw` is a 2xx body that could not be read.
 */
export type RefreshAnswer =
  | { readonly kind: 'tokens'; readonly tokens: TokenSet }
  | { readonly kind: 'refused'; readonly trouble: 'revoked' | 'grant_expired' }
  | { readonly kind: 'misconfigured'; readonly providerError: string | undefined }
  | { readonly kind: 'limited'; readonly retryAfterMs: number }
  | { readonly kind: 'unsent' }
  | { readonly kind: 'unknown'; readonly why: 'timeout' | 'reset' | 'server_error' | 'malformed'; readonly raw?: Secret }

/** The longest `Retry-After` that is believed. */
export const MAX_RETRY_AFTER_MS = 60 * 60 * 1000

export interface TokenEndpointAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: Secret
}

interface Expected {
  readonly server: Pick<TokenServer, 'tokenQuirks'>
  readonly parent: TokenSet
  /** As in `RefreshGrant`. */
  readonly lifetimeMs: number | null
  readonly now: number
}

type Members = Readonly<Record<string, unknown>>

/** What each `error` means for the refresh token. Those of RFC 6749 section 5.2, then providers' own words for the same. */
const MEANING: Readonly<Record<string, 'refused' | 'revoked' | 'misconfigured' | 'unknown' | 'limited'>> = {
  invalid_grant: 'refused',
  invalid_client: 'misconfigured',
  invalid_request: 'misconfigured',
  invalid_scope: 'misconfigured',
  unauthorized_client: 'misconfigured',
  unsupported_grant_type: 'misconfigured',
  server_error: 'unknown',
  temporarily_unavailable: 'unknown',
  // GitHub
  bad_refresh_token: 'refused',
  incorrect_client_credentials: 'misconfigured',
  application_suspended: 'misconfigured',
  // Microsoft: only the person can go on, by signing in or agreeing anew
  interaction_required: 'refused',
  consent_required: 'refused',
  login_required: 'refused',
  invalid_resource: 'misconfigured',
  // Slack
  invalid_refresh_token: 'refused',
  token_expired: 'refused',
  token_revoked: 'revoked',
  account_inactive: 'revoked',
  ratelimited: 'limited',
  internal_error: 'unknown',
  // OAuth 2 device and polling clients' word for the same (RFC 8628 section 3.5)
  slow_down: 'limited',
}

/** Microsoft's `error_codes` beside `invalid_grant` that say the grant was taken back: password changed, consent withdrawn, sessions ended. */
const REVOKED_CODES: ReadonlySet<unknown> = new Set([50_173, 65_001, 50_132, 50_133])

/** Token types that are worth nothing without a key (RFC 9449, and the MAC tokens that were never finished). */
const BINDING_TYPES: ReadonlySet<string> = new Set(['dpop', 'mac', 'pop'])

/** Never throws. */
export function readRefreshAnswer(answer: TokenEndpointAnswer, expected: Expected): RefreshAnswer {
  const { status, headers, text } = answer
  if (status === 429) return { kind: 'limited', retryAfterMs: askedMs(headers, expected.now) }
  const members = readMembers(answer, expected.server)
  const success = status >= 200 && status < 300
  if (success && members !== undefined && isFilledText(members['access_token'])) return renewed(members, text, expected)
  if (members !== undefined && typeof members['error'] === 'string') return refusal(members, answer, expected)
  if (success) return { kind: 'unknown', why: 'malformed', raw: text }
  if (status === 408) return { kind: 'unknown', why: 'timeout' }
  // A refusal that is no OAuth answer comes from something in front of the token endpoint, or from a wrong address.
  return status >= 400 && status < 500 ? { kind: 'misconfigured', providerError: undefined } : { kind: 'unknown', why: 'server_error' }
}

function renewed(members: Members, text: Secret, { parent, lifetimeMs, now }: Expected): RefreshAnswer {
  const { access_token, refresh_token, token_type, expires_in, scope, id_token: _unverified, error: _none, ...rest } = members
  if (isOfAnotherType(token_type, parent)) return { kind: 'unknown', why: 'malformed', raw: text }
  const seconds = lifetimeSeconds(expires_in)
  const lifetime = seconds === null ? lifetimeMs : seconds * 1000
  return {
    kind: 'tokens',
    tokens: {
      ...parent,
      accessToken: new Secret(access_token as string),
      refreshToken: isFilledText(refresh_token) ? new Secret(refresh_token) : parent.refreshToken,
      expiresAt: lifetime === null ? null : Math.floor(now + lifetime),
      scopes: scopesAfter(parent.scopes, scope),
      extra: extraAfter(parent.extra, rest),
    },
  }
}

/** Some providers say nothing of the type, and some use words of their own for a bearer; a kind of binding that changed is useless. */
function isOfAnotherType(type: unknown, { tokenType }: TokenSet): boolean {
  if (typeof type !== 'string' || type.toLowerCase() === tokenType) return false
  return tokenType === 'dpop' || BINDING_TYPES.has(type.toLowerCase())
}

function scopesAfter(before: readonly string[], scope: unknown): readonly string[] {
  if (!isFilledText(scope)) return before
  try {
    return parseScopes(scope)
  } catch {
    // A list that no provider means is not worth a grant: what was granted stays what it was.
    return before
  }
}

/** What was known stays where the answer does not name it. */
function extraAfter(before: Secret, now: Members): Secret {
  if (Object.keys(now).length === 0) return before
  const merged = keptExtra({ ...(JSON.parse(before.reveal()) as Members), ...now })
  return merged.reveal() === '{}' ? before : merged
}

function refusal(members: Members, { status, headers }: TokenEndpointAnswer, { server, now }: Expected): RefreshAnswer {
  const error = members['error'] as string
  const meaning = meaningOf(error, status, server)
  if (meaning === 'limited') return { kind: 'limited', retryAfterMs: askedMs(headers, now) }
  if (meaning === 'unknown') return { kind: 'unknown', why: 'server_error' }
  if (meaning === 'misconfigured') return { kind: 'misconfigured', providerError: Object.hasOwn(MEANING, error) ? error : undefined }
  return { kind: 'refused', trouble: meaning === 'revoked' || revokedBySubcode(members) ? 'revoked' : 'grant_expired' }
}

function meaningOf(error: string, status: number, { tokenQuirks }: Expected['server']): (typeof MEANING)[string] {
  // The form of our request is the same each time: what is wrong with it can only be the token.
  if (error === 'invalid_request' && tokenQuirks.includes('spent_is_invalid_request')) return 'refused'
  return Object.hasOwn(MEANING, error) ? MEANING[error]! : status >= 500 ? 'unknown' : 'misconfigured'
}

function revokedBySubcode({ error_codes }: Members): boolean {
  return Array.isArray(error_codes) && error_codes.some((code) => REVOKED_CODES.has(code))
}

function askedMs(headers: Headers, now: number): number {
  return retryAfterMs(headers, now, MAX_RETRY_AFTER_MS) ?? 0
}

/** A form where the provider sends forms; else JSON under whatever type it comes, and under a byte order mark. */
function readMembers({ headers, text }: TokenEndpointAnswer, { tokenQuirks }: Expected['server']): Members | undefined {
  const form = headers.get('content-type')?.toLowerCase().startsWith('application/x-www-form-urlencoded') ?? false
  if (form && tokenQuirks.includes('form_answer')) return Object.fromEntries(new URLSearchParams(text.reveal()))
  try {
    const body = JSON.parse(text.reveal()) as unknown
    return typeof body === 'object' && body !== null && !Array.isArray(body) ? (body as Members) : undefined
  } catch {
    // Its text is in the parser's error; the caller is told that it could not be read.
    return undefined
  }
}

function isFilledText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
