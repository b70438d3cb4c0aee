/**
 * Owns the judgement of a signed token (RFC 7519, with the advice of RFC 8725): the algorithm from a list of ours, the key from the issuer's own
 * set, then type, issuer, audience and times. Refuses to take anything from a token's header but the name of a key, and to hand out a claim
 * before the signature was found right.
 */
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import type { JWTPayload } from 'jose'
import type { Secret } from '../kernel/index.ts'
import { JwtError } from './errors.ts'
import type { JwtErrorCode } from './errors.ts'
import type { FindVerificationKey } from './key-sets.ts'

/** Asymmetric ones: with a shared secret whoever can verify can sign. */
export type JwtAlgorithm = 'RS256' | 'RS384' | 'RS512' | 'PS256' | 'PS384' | 'PS512' | 'ES256' | 'ES384' | 'ES512' | 'EdDSA'

/** With a secret that its issuer and this installation share, and nobody else: only where an issuer has nothing better. */
export type SharedSecretAlgorithm = 'HS256' | 'HS384' | 'HS512'

/** What a token has to say to be taken (RFC 7519, RFC 8725). */
export interface JwtPolicy {
  /** Exact texts; the token's `iss` is one of them. Never empty. */
  readonly issuers: readonly string[]
  /** The token's `aud` holds at least one of them. Never empty. */
  readonly audiences: readonly string[]
  /** All asymmetric with the keys of a set, or all of the other kind with `sharedSecretKey`: never both. */
  readonly algorithms: readonly JwtAlgorithm[] | readonly SharedSecretAlgorithm[]
  /**
   * The token's `typ`, without `application/`, in lower case (RFC 8725 section 3.11). `absent`: what of a token that names none. Another type is
   * always refused.
   */
  readonly type: { readonly name: string; readonly absent: 'refused' | 'taken' }
  /** Claims that must be there, beside `iss` and `aud`. */
  readonly required: readonly string[]
  /** Oldest `iat` that is taken, in seconds before now. Absent: `exp` alone says when a token ends. */
  readonly maxAgeS?: number
  /** Of clocks, in seconds. */
  readonly toleranceS: number
  readonly keys: FindVerificationKey
}

/** What a token says whose signature and claims were judged. */
export interface VerifiedJwt {
  readonly issuer: string
  readonly audience: readonly string[]
  readonly subject: string | undefined
  readonly id: string | undefined
  /** Seconds since the epoch. */
  readonly issuedAt: number | undefined
  readonly expiresAt: number | undefined
  /** Everything it says, the above included. */
  readonly claims: Readonly<Record<string, unknown>>
}

/** Longer than any token that is meant. Characters. */
const MAX_TOKEN = 16 * 1024
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/u
const MAX_KEY_ID = 256

/** Shorter than the hash of HS256 it would be guessed more easily than the signature (RFC 7518 section 3.2). Bytes. */
export const MIN_SHARED_SECRET = 32

/** The key of a policy whose algorithms are of shared secrets: this one, whatever the token's header says. @throws TypeError under 32 bytes */
export function sharedSecretKey(secret: Secret): FindVerificationKey {
  const bytes = Buffer.from(secret.reveal(), 'utf8')
  if (bytes.length < MIN_SHARED_SECRET) throw new TypeError('a shared secret has at least 32 bytes')
  return ({ alg }) => {
    // What is asymmetric is never checked by a secret, and what is not never by a public key.
    if (!alg?.startsWith('HS')) throw new JwtError('jwt_algorithm', 'not signed with a shared secret')
    return Promise.resolve(bytes)
  }
}

/** Whether `text` has the form of a token at all: three parts of base64url. Nothing of it is read. */
export function looksLikeJwt(text: string): boolean {
  return text.length <= MAX_TOKEN && COMPACT.test(text)
}

/**
 * The `iss` that a token claims, unverified: good for finding the policy to judge it by, and for nothing else. Undefined when it doesn't read or
 * is no text.
 */
export function claimedIssuer(token: Secret): string | undefined {
  const text = token.reveal()
  if (!looksLikeJwt(text)) return undefined
  try {
    const { iss } = decodeJwt(text)
    return typeof iss === 'string' ? iss : undefined
  } catch {
    return undefined
  }
}

/** @param now wall time in milliseconds. @throws JwtError */
export async function verifyJwt(token: Secret, policy: JwtPolicy, now: number): Promise<VerifiedJwt> {
  if (policy.issuers.length === 0 || policy.audiences.length === 0 || policy.algorithms.length === 0)
    throw new TypeError('a policy names issuers, audiences and algorithms')
  const text = token.reveal()
  judgeHeader(headerOf(text), policy)
  try {
    const { payload } = await jwtVerify(text, policy.keys, {
      algorithms: [...policy.algorithms],
      issuer: [...policy.issuers],
      audience: [...policy.audiences],
      requiredClaims: [...policy.required],
      clockTolerance: policy.toleranceS,
      currentDate: new Date(now),
      ...(policy.maxAgeS === undefined ? {} : { maxTokenAge: policy.maxAgeS }),
    })
    requireWholeTimes(payload)
    return verified(payload)
  } catch (error) {
    throw translated(error)
  }
}

/** JSON can say more than a time: 1e400 is no end at all, and fractions are read in two ways. */
function requireWholeTimes({ exp, nbf, iat }: JWTPayload): void {
  for (const time of [exp, nbf, iat])
    if (time !== undefined && (!Number.isSafeInteger(time) || time < 0))
      throw new JwtError('jwt_claims', 'a time that is no whole number of seconds')
}

function headerOf(text: string): Readonly<Record<string, unknown>> {
  if (text.length > MAX_TOKEN || !COMPACT.test(text)) throw new JwtError('jwt_malformed', 'no compact JWS')
  try {
    return decodeProtectedHeader(text)
  } catch {
    throw new JwtError('jwt_malformed', 'the protected header does not read')
  }
}

function judgeHeader(header: Readonly<Record<string, unknown>>, { algorithms, type }: JwtPolicy): void {
  if (!algorithms.some((known) => known === header['alg'])) throw new JwtError('jwt_algorithm', 'not signed in a way that is taken')
  if (header['crit'] !== undefined || header['b64'] !== undefined) throw new JwtError('jwt_malformed', 'a header that must be understood')
  const { kid, typ } = header
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > MAX_KEY_ID)) throw new JwtError('jwt_malformed', 'no usable key id')
  const named = typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//u, '') : undefined
  if (typ === undefined ? type.absent !== 'taken' : named !== type.name) throw new JwtError('jwt_type', 'another type of token')
}

function verified(payload: JWTPayload): VerifiedJwt {
  const { iss, aud, sub, jti, iat, exp } = payload
  for (const text of [sub, jti])
    if (text !== undefined && typeof text !== 'string') throw new JwtError('jwt_claims', 'a name that is no text')
  return {
    issuer: iss!,
    audience: [aud!].flat(),
    subject: sub,
    id: jti,
    issuedAt: iat,
    expiresAt: exp,
    claims: payload,
  }
}

const CODES: Readonly<Record<string, JwtErrorCode>> = {
  ERR_JOSE_ALG_NOT_ALLOWED: 'jwt_algorithm',
  ERR_JOSE_NOT_SUPPORTED: 'jwt_algorithm',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'jwt_signature',
  ERR_JWKS_NO_MATCHING_KEY: 'jwt_key_unknown',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'jwt_key_unknown',
  ERR_JWK_INVALID: 'jwt_key_unknown',
  ERR_JWT_EXPIRED: 'jwt_expired',
  ERR_JWS_INVALID: 'jwt_malformed',
  ERR_JWT_INVALID: 'jwt_malformed',
}
const CLAIMS: Readonly<Record<string, JwtErrorCode>> = { iss: 'jwt_issuer', aud: 'jwt_audience' }

/** The library's errors hold the token's claims: only their code goes on. */
function translated(error: unknown): unknown {
  if (error instanceof JwtError || !(error instanceof Error)) return error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (code === 'ERR_JWT_CLAIM_VALIDATION_FAILED') {
    const claim = 'claim' in error && typeof error.claim === 'string' ? error.claim : ''
    return new JwtError(CLAIMS[claim] ?? 'jwt_claims', 'a claim is missing or not as it must be')
  }
  const known = CODES[code]
  if (known !== undefined) return new JwtError(known, `not verified: ${known}`)
  // A key that can't be used with the token's algorithm: too short, of another curve.
  return error instanceof TypeError || error.name === 'DataError' ? new JwtError('jwt_key_unknown', 'the key does not fit') : error
}
