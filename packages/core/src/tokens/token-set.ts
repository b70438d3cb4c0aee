/**
 * Owns the shape of an OAuth 2 credential and the text of it that is sealed. Refuses to guess: a sealed text that is not exactly of this
 * form is an error, not an empty credential.
 *
 * Sealed text, JSON, members always in this order:
 *   { "v": 1, "access_token": "...", "refresh_token": "..." | null, "token_type": "bearer", "expires_at": ms | null,
 *     "scopes": ["..."], "extra": { ... } }
 * `extra` is what else the provider said about the token and may be needed later (a workspace id, an instance URL), at most 8 KiB of it.
 */
import { Secret } from '../kernel/index.ts'
import { TokenError } from './errors.ts'

export interface TokenSet {
  readonly accessToken: Secret
  /** Null when the provider gave none: the access token can't be renewed without the person. */
  readonly refreshToken: Secret | null
  readonly tokenType: 'bearer'
  /** Milliseconds since the epoch; null when the provider named no lifetime. */
  readonly expiresAt: number | null
  /** What was granted, in the provider's own words; what was asked for when the answer named none (RFC 6749 section 5.1). */
  readonly scopes: readonly string[]
  /** JSON text of an object, as a secret because providers put tokens anywhere. `{}` when there was nothing else. */
  readonly extra: Secret
}

/** The sealed text's members, as they are judged. Every call reads one, so the judge is written out. */
interface SealedForm {
  readonly access_token: string
  readonly refresh_token: string | null
  readonly expires_at: number | null
  readonly scopes: readonly string[]
  readonly extra: Readonly<Record<string, unknown>>
}

const MEMBERS = 7

/** The text to seal. */
export function writeTokenSet(tokens: TokenSet): Secret {
  return new Secret(
    JSON.stringify({
      v: 1,
      access_token: tokens.accessToken.reveal(),
      refresh_token: tokens.refreshToken?.reveal() ?? null,
      token_type: tokens.tokenType,
      expires_at: tokens.expiresAt,
      scopes: tokens.scopes,
      extra: JSON.parse(tokens.extra.reveal()) as unknown,
    }),
  )
}

/** The credential behind an opened text. @throws TokenError `credential_malformed`, saying nothing of what stood there. */
export function readTokenSet(text: Secret): TokenSet {
  const form = parsed(text)
  if (!isSealedForm(form)) throw new TokenError('credential_malformed', 'a sealed credential is not of the known form')
  return {
    accessToken: new Secret(form.access_token),
    refreshToken: form.refresh_token === null ? null : new Secret(form.refresh_token),
    tokenType: 'bearer',
    expiresAt: form.expires_at,
    scopes: form.scopes,
    extra: new Secret(extraText(form.extra)),
  }
}

/** Without a member that a copy of the object would take for its prototype; a provider may have sent one. */
function extraText({ ['__proto__']: _prototype, ...extra }: SealedForm['extra']): string {
  return JSON.stringify(extra)
}

/** Judges what JSON.parse gave, so every object is plain and every member its own. Seven known members among seven: no other. */
function isSealedForm(value: unknown): value is SealedForm {
  if (!isObject(value) || Object.keys(value).length !== MEMBERS) return false
  const { v, access_token, refresh_token, token_type, expires_at, scopes, extra } = value
  return (
    v === 1 &&
    isFilledText(access_token) &&
    (refresh_token === null || isFilledText(refresh_token)) &&
    token_type === 'bearer' &&
    (expires_at === null || Number.isSafeInteger(expires_at)) &&
    Array.isArray(scopes) &&
    scopes.every((scope) => typeof scope === 'string') &&
    isObject(extra)
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isFilledText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

/** The parser's own error quotes what it read, so it is dropped: the form check reports the failure. */
function parsed(text: Secret): unknown {
  try {
    return JSON.parse(text.reveal())
  } catch {
    return undefined
  }
}
