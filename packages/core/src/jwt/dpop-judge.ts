/**
 * Owns the judgement of DPoP proofs that callers send (RFC 9449 section 4.3). Refuses proofs by any key but the expected one before it
 * checks a signature: strangers choose no key, and no amount of work, for this side. Whether a proof was used before is the caller's to ask.
 */
import { calculateJwkThumbprint, compactVerify, decodeProtectedHeader, importJWK } from 'jose'
import type { JWK, ProtectedHeaderParameters } from 'jose'
import { digestEquals, sha256 } from '../crypto/index.ts'
import type { DigestInput } from '../crypto/index.ts'
import { DpopProofError } from './dpop-error.ts'

/** The request and the key that a proof has to be for (RFC 9449 section 4.3). */
export interface ExpectedProof {
  /** RFC 7638 thumbprint of the key that the token is bound to. */
  readonly thumbprint: string
  readonly method: string
  /** The request's own URL as its sender writes it; query and fragment are not compared. */
  readonly url: string
  /** The token that came with the proof. */
  readonly token: DigestInput
  /** Wall time in milliseconds. */
  readonly now: number
  /** Present when proofs must carry a nonce: whether this one is good. */
  readonly nonceIsGood?: ((nonce: string) => boolean) | undefined
}

/** A proof that holds. Whether it was shown before is for whoever remembers its id. */
export interface JudgedProof {
  /** Unique to the proof by its maker's word: the same twice is the same proof twice. */
  readonly id: string
  /** When it was made, by its maker's clock; milliseconds since the epoch. */
  readonly madeAt: number
}

/** Signatures that are taken: no MACs, no `none` (section 11.6 leaves the choice to the server). */
export const DPOP_PROOF_ALGORITHMS = ['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256'] as const
/** A proof is good so long after it was made, in seconds. */
export const DPOP_PROOF_AGE_S = 60
/** And so far ahead of this clock: makers' clocks differ. */
export const DPOP_CLOCK_AHEAD_S = 30

const MAX_LENGTH = 4096
const MAX_ID_LENGTH = 256
const THUMBPRINTED: ReadonlySet<string> = new Set(['kty', 'crv', 'x', 'y', 'n', 'e'])
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const

/** The proof, once it proves what is expected. @throws DpopProofError */
export async function judgeDpopProof(proof: string, expected: ExpectedProof): Promise<JudgedProof> {
  const { alg, jwk } = judgeHeader(proof)
  await requireKey(jwk, expected.thumbprint)
  const claims = parsedClaims(await verified(proof, jwk, alg))
  const { jti, iat } = claims
  if (typeof jti !== 'string' || jti === '' || jti.length > MAX_ID_LENGTH) throw invalid('has no usable jti')
  if (typeof iat !== 'number' || !Number.isFinite(iat)) throw invalid('has no usable iat')
  if (claims['htm'] !== expected.method || !isSameUrl(claims['htu'], expected.url)) {
    throw refused('proof_request_mismatch', 'is for another method or URL')
  }
  requireToken(claims['ath'], expected.token)
  requireNonce(claims['nonce'], expected)
  requireRecent(iat, expected.now)
  return { id: jti, madeAt: iat * 1000 }
}

function judgeHeader(proof: string): { alg: string; jwk: JWK } {
  if (proof.length > MAX_LENGTH) throw invalid('is too long')
  const { typ, alg, jwk, crit } = decodedHeader(proof)
  if (typ !== 'dpop+jwt' || crit !== undefined) throw invalid('is not of type dpop+jwt')
  if (alg === undefined || !DPOP_PROOF_ALGORITHMS.some((taken) => taken === alg))
    throw invalid('is signed by an algorithm that is not taken')
  if (typeof jwk !== 'object' || jwk === null) throw invalid('names no key')
  if (PRIVATE_MEMBERS.some((member) => Object.hasOwn(jwk, member))) throw invalid('shows a private key')
  return { alg, jwk }
}

function decodedHeader(proof: string): ProtectedHeaderParameters {
  try {
    return decodeProtectedHeader(proof)
  } catch {
    throw invalid('is no signed token')
  }
}

async function requireKey(jwk: JWK, thumbprint: string): Promise<void> {
  const shown = await calculateJwkThumbprint(jwk, 'sha256').catch(() => {
    throw invalid('names no usable key')
  })
  if (!digestEquals(Buffer.from(shown), Buffer.from(thumbprint))) throw refused('proof_key_mismatch', 'is made with another key')
}

async function verified(proof: string, jwk: JWK, alg: string): Promise<Uint8Array> {
  try {
    const key = await importJWK(thumbprinted(jwk), alg)
    const { payload } = await compactVerify(proof, key, { algorithms: [alg] })
    return payload
  } catch {
    throw invalid('is not signed by the key that it names')
  }
}

/** Only what the thumbprint covers is imported: `use`, `key_ops` and `ext` are the sender's words. */
function thumbprinted(jwk: JWK): JWK {
  const { kty = 'EC' } = jwk
  return { kty, ...Object.fromEntries(Object.entries(jwk).filter(([name]) => THUMBPRINTED.has(name))) }
}

function parsedClaims(payload: Uint8Array): Record<string, unknown> {
  const claims = parsedJson(Buffer.from(payload).toString('utf8'))
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) throw invalid('has no claims')
  return claims as Record<string, unknown>
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw invalid('has no claims')
  }
}

function requireToken(ath: unknown, token: DigestInput): void {
  if (ath !== sha256(token).toString('base64url')) throw invalid('is for another token')
}

function requireNonce(nonce: unknown, { nonceIsGood }: ExpectedProof): void {
  if (nonceIsGood === undefined || (typeof nonce === 'string' && nonceIsGood(nonce))) return
  throw refused('proof_nonce_required', 'has no nonce of this server')
}

function requireRecent(iat: number, now: number): void {
  const age = now / 1000 - iat
  if (age > DPOP_PROOF_AGE_S || age < -DPOP_CLOCK_AHEAD_S) throw refused('proof_expired', 'was made too long ago, or ahead of this clock')
}

/** RFC 9449 section 4.3: after RFC 3986's normalization by syntax and scheme, and without query and fragment. */
function isSameUrl(htu: unknown, url: string): boolean {
  const [claimed, own] = [typeof htu === 'string' ? normalized(htu) : undefined, normalized(url)]
  return claimed !== undefined && claimed === own
}

function normalized(text: string): string | undefined {
  const url = URL.parse(text)
  if (url === null || url.username !== '' || url.password !== '') return undefined
  return url.origin + url.pathname.replaceAll(/%[0-9A-Fa-f]{2}/gu, normalizedEscape)
}

/** RFC 3986 sections 6.2.2.1 and 6.2.2.2: upper-case digits, and unreserved characters as they are. */
function normalizedEscape(escape: string): string {
  const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16))
  return /[\w.~-]/u.test(character) ? character : escape.toUpperCase()
}

function invalid(what: string): DpopProofError {
  return refused('proof_invalid', what)
}

const DETAIL: Readonly<Record<DpopProofError['code'], string>> = {
  proof_invalid: 'The DPoP proof is not one signed dpop+jwt for this key (RFC 9449 section 4.3).',
  proof_key_mismatch: 'The DPoP proof is made with another key than this gateway key is bound to.',
  proof_request_mismatch: 'The DPoP proof is for another method or URL: htm and htu must name this request under the public URL.',
  proof_expired: 'The DPoP proof was made too long ago, or ahead of this clock. Make one for every request.',
  proof_nonce_required: 'Repeat the request with a DPoP proof that carries the nonce of the DPoP-Nonce header.',
}

function refused(code: DpopProofError['code'], what: string): DpopProofError {
  return new DpopProofError(code, `a proof ${what}`, { publicDetail: DETAIL[code] })
}
