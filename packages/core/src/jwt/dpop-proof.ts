/** Owns the making of DPoP proofs (RFC 9449 section 4.2). Refuses nothing: what is proven is the caller's. */
import { randomToken, sha256 } from '../crypto/index.ts'
import type { ProofKey } from '../crypto/index.ts'
import type { Secret } from '../kernel/index.ts'

/** The request that a proof is made for. */
export interface ProvenRequest {
  readonly method: string
  /** Absolute; query and fragment are left out of the proof. */
  readonly url: string
  /** Wall time in milliseconds. */
  readonly now: number
  /** The access token that goes with it; absent at a token endpoint. */
  readonly accessToken?: Secret
  /** The last one that the server of the request gave. */
  readonly nonce?: string | undefined
}

/** The `DPoP` header's value: good for this one request, and worth nothing without the token. */
export function makeDpopProof(key: ProofKey, { method, url, now, accessToken, nonce }: ProvenRequest): string {
  const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: key.publicKey }
  const claims = {
    jti: randomToken(16),
    htm: method,
    htu: url.split(/[?#]/u, 1)[0]!,
    iat: Math.floor(now / 1000),
    ...(accessToken === undefined ? {} : { ath: sha256(accessToken).toString('base64url') }),
    ...(nonce === undefined ? {} : { nonce }),
  }
  const input = `${encoded(header)}.${encoded(claims)}`
  return `${input}.${key.sign(input)}`
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part), 'utf8').toString('base64url')
}
