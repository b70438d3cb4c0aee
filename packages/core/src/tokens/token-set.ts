/**
 * Owns the shape of a credential and the text of it that is sealed. Refuses to guess: a sealed text that is not exactly of this
 * form is an error, not an empty credential.
 *
 * Sealed text, JSON, members always in this order. Bearer tokens stand in form 1, which every version of the gateway reads:
 *   { "v": 1, "access_token": "...", "refresh_token": "..." | null, "token_type": "bearer", "expires_at": ms | null,
 *     "scopes": ["..."], "extra": { ... } }
 * Tokens that are bound to a key (RFC 9449) stand in form 2, with the private key that they are bound to:
 *   { "v": 2, "access_token": "...", "refresh_token": "..." | null, "token_type": "dpop", "dpop_key": { "kty": "EC", "crv": "P-256",
 *     "x": "...", "y": "...", "d": "..." }, "expires_at": ms | null, "scopes": ["..."], "extra": { ... } }
 * Credentials of OAuth 1.0a (RFC 5849) stand in form 3, beside the secret that signs with them:
 *   { "v": 3, "access_token": "...", "refresh_token": null, "token_type": "oauth1", "token_secret": "...", "expires_at": null, ... }
 * What a person or a provider handed over once stands in form 4, with the members of form 1: an API key, or a name and a password as
 * `name:password` (RFC 7617 section 2), under `access_token`:
 *   { "v": 4, "access_token": "...", "refresh_token": null, "token_type": "api_key" | "basic", "expires_at": null, ... }
 * `extra` is what else the provider said about the token and may be needed later (a workspace id, an instance URL), at most 8 KiB of it.
 */
import { digestEquals, isProofKey, proofKeyMembers, sha256 } from '../crypto/index.ts'
import type { ProofKeyMembers } from '../crypto/index.ts'
import { Secret } from '../kernel/index.ts'
import { TokenError } from './errors.ts'

/** A credential of any kind. Which kind a connection has is fixed when it is connected; a refresh keeps the kind, and the key. */
export type TokenSet = BearerTokens | DpopTokens | SigningTokens | HeldCredential

/** Tokens that whoever holds them can use (RFC 6750). */
export interface BearerTokens extends GrantedTokens {
  readonly tokenType: 'bearer'
  readonly dpopKey?: undefined
}

/** Worth nothing without proofs made with the key (RFC 9449). */
export interface DpopTokens extends GrantedTokens {
  readonly tokenType: 'dpop'
  /** Text of the private key as a JWK; see `openProofKey`. It leaves the gateway in no form. */
  readonly dpopKey: Secret
}

/** Never sent alone: each request is signed with the secret (RFC 5849 section 3). */
export interface SigningTokens extends GrantedTokens {
  readonly tokenType: 'oauth1'
  readonly tokenSecret: Secret
  readonly dpopKey?: undefined
}

/** Good until its owner ends it: an API key, or `name:password`, as `accessToken`. */
export interface HeldCredential extends GrantedTokens {
  readonly tokenType: 'api_key' | 'basic'
  readonly dpopKey?: undefined
}

interface GrantedTokens {
  readonly accessToken: Secret
  /** Null when the provider gave none: the access token can't be renewed without the person. */
  readonly refreshToken: Secret | null
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

interface BoundForm extends SealedForm {
  readonly dpop_key: ProofKeyMembers
}

interface SigningForm extends SealedForm {
  readonly token_secret: string
}

interface HeldForm extends SealedForm {
  readonly token_type: HeldCredential['tokenType']
}

/** The form of each kind. */
const FORMS = { bearer: 1, dpop: 2, oauth1: 3, api_key: 4, basic: 4 } as const satisfies Record<TokenSet['tokenType'], number>

const MEMBERS = 7

/** The text to seal. @throws CryptoError `key_invalid` for a bound set whose key is none. */
export function writeTokenSet(tokens: TokenSet): Secret {
  const { accessToken, refreshToken, expiresAt, scopes, extra } = tokens
  const granted = { access_token: accessToken.reveal(), refresh_token: refreshToken?.reveal() ?? null }
  return new Secret(
    JSON.stringify({
      v: FORMS[tokens.tokenType],
      ...granted,
      token_type: tokens.tokenType,
      ...besides(tokens),
      expires_at: expiresAt,
      scopes,
      extra: JSON.parse(extra.reveal()) as unknown,
    }),
  )
}

/** What the kind needs beside the token. */
function besides(tokens: TokenSet): object {
  if (tokens.tokenType === 'dpop') return { dpop_key: proofKeyMembers(tokens.dpopKey) }
  return tokens.tokenType === 'oauth1' ? { token_secret: tokens.tokenSecret.reveal() } : {}
}

/** The credential behind an opened text. @throws TokenError `credential_malformed`, saying nothing of what stood there. */
export function readTokenSet(text: Secret): TokenSet {
  const form = parsed(text)
  if (isSealedForm(form)) return { ...granted(form), tokenType: 'bearer' }
  if (isBoundForm(form)) return { ...granted(form), tokenType: 'dpop', dpopKey: new Secret(JSON.stringify(form.dpop_key)) }
  if (isSigningForm(form)) return { ...granted(form), tokenType: 'oauth1', tokenSecret: new Secret(form.token_secret) }
  if (isHeldForm(form)) return { ...granted(form), tokenType: form.token_type }
  throw new TokenError('credential_malformed', 'a sealed credential is not of a known form')
}

function granted(form: SealedForm): GrantedTokens {
  return {
    accessToken: new Secret(form.access_token),
    refreshToken: form.refresh_token === null ? null : new Secret(form.refresh_token),
    expiresAt: form.expires_at,
    scopes: form.scopes,
    extra: new Secret(extraText(form.extra)),
  }
}

/** Without a member that a copy of the object would take for its prototype; a provider may have sent one. */
function extraText({ ['__proto__']: _prototype, ...extra }: SealedForm['extra']): string {
  return JSON.stringify(extra)
}

/** Whether both hold the same refresh token, or both none. */
export function sameRefreshToken({ refreshToken: one }: TokenSet, { refreshToken: other }: TokenSet): boolean {
  if (one === null || other === null) return one === other
  return digestEquals(sha256(one), sha256(other))
}

/** Judges what JSON.parse gave, so every object is plain and every member its own. Seven known members among seven: no other. */
function isSealedForm(value: unknown): value is SealedForm {
  if (!isObject(value) || Object.keys(value).length !== MEMBERS) return false
  return value['v'] === 1 && value['token_type'] === 'bearer' && isGranted(value)
}

/** The same of form 2, which has one member more. */
function isBoundForm(value: unknown): value is BoundForm {
  if (!isObject(value) || Object.keys(value).length !== MEMBERS + 1) return false
  return value['v'] === 2 && value['token_type'] === 'dpop' && isGranted(value) && isProofKey(value['dpop_key'])
}

/** Form 3: what is signed with is never renewed. */
function isSigningForm(value: unknown): value is SigningForm {
  if (!isObject(value) || Object.keys(value).length !== MEMBERS + 1) return false
  const { v, token_type, token_secret, refresh_token } = value
  return v === 3 && token_type === 'oauth1' && typeof token_secret === 'string' && refresh_token === null && isGranted(value)
}

/** Form 4: as form 1, and never renewed. */
function isHeldForm(value: unknown): value is HeldForm {
  if (!isObject(value) || Object.keys(value).length !== MEMBERS) return false
  const { v, token_type, refresh_token } = value
  return v === 4 && (token_type === 'api_key' || token_type === 'basic') && refresh_token === null && isGranted(value)
}

function isGranted({ access_token, refresh_token, expires_at, scopes, extra }: Record<string, unknown>): boolean {
  return (
    isFilledText(access_token) &&
    (refresh_token === null || isFilledText(refresh_token)) &&
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

/** Whether taking the one back would take something of the other along: some providers give the same token again to who comes back. */
export function sharesToken(one: TokenSet, other: TokenSet): boolean {
  if (digestEquals(sha256(one.accessToken), sha256(other.accessToken))) return true
  return one.refreshToken !== null && sameRefreshToken(one, other)
}
