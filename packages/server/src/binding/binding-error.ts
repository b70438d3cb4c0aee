/** Owns why a key that is good was not taken from this caller. Refuses to say which addresses, which key or which certificate would be. */
import type { ProblemCode } from '@sallyport/contract'
import { DPOP_PROOF_ALGORITHMS, DpopProofError, SallyportError } from '@sallyport/core'
import type { SallyportErrorOptions } from '@sallyport/core'

/** All of them public, so that none needs a translation. */
export type BindingErrorCode = Extract<
  ProblemCode,
  | 'unauthenticated'
  | 'overloaded'
  | 'address_refused'
  | 'origin_refused'
  | 'proof_required'
  | 'proof_invalid'
  | 'proof_key_mismatch'
  | 'proof_request_mismatch'
  | 'proof_expired'
  | 'proof_replayed'
  | 'proof_nonce_required'
  | 'certificate_required'
  | 'certificate_mismatch'
>

interface BindingRow {
  readonly detail: string
  /** `error` of the challenge (RFC 9449 sections 7.1 and 9, RFC 6750 section 3.1); null for a challenge without one. */
  readonly challenge?: Challenge
}

interface Challenge {
  readonly scheme: 'DPoP' | 'Bearer'
  readonly error: string | null
}

const dpop = (error: string | null): Challenge => ({ scheme: 'DPoP', error })

const ROWS: Readonly<Record<BindingErrorCode, BindingRow>> = {
  unauthenticated: { detail: 'This key is not bound to a DPoP key. Send it as Authorization: Bearer.' },
  overloaded: { detail: 'More DPoP proofs are in use than can be remembered. Wait, then try again.' },
  address_refused: { detail: 'This key may not be used from this address.' },
  origin_refused: { detail: 'This key is for certain web pages, and the request came from none of them.' },
  proof_required: { detail: 'This key is bound to a DPoP key. Send a proof for each request in one DPoP header.', challenge: dpop(null) },
  proof_invalid: { detail: 'The DPoP proof is not one signed dpop+jwt for this key.', challenge: dpop('invalid_dpop_proof') },
  proof_key_mismatch: { detail: 'The DPoP proof is made with another key than this key is bound to.', challenge: dpop('invalid_token') },
  proof_request_mismatch: { detail: 'The DPoP proof is for another method or URL.', challenge: dpop('invalid_dpop_proof') },
  proof_expired: { detail: 'The DPoP proof was made too long ago, or ahead of this clock.', challenge: dpop('invalid_dpop_proof') },
  proof_replayed: { detail: 'The DPoP proof was used before. Make one for every request.', challenge: dpop('invalid_dpop_proof') },
  proof_nonce_required: {
    detail: 'Repeat the request with a DPoP proof that carries the nonce of the DPoP-Nonce header.',
    challenge: dpop('use_dpop_nonce'),
  },
  certificate_required: {
    detail: 'This key is bound to a client certificate, and none came with the request.',
    challenge: { scheme: 'Bearer', error: 'invalid_token' },
  },
  certificate_mismatch: {
    detail: 'The client certificate of the request is another than this key is bound to.',
    challenge: { scheme: 'Bearer', error: 'invalid_token' },
  },
}

export class BindingError extends SallyportError<BindingErrorCode> {
  override readonly name = 'BindingError'
  /** The value of WWW-Authenticate; undefined where the usual one is right. */
  readonly challenge: string | undefined
  /** For the DPoP-Nonce header; present with `proof_nonce_required`. */
  readonly nonce: string | undefined

  constructor(code: BindingErrorCode, message: string, options: Pick<SallyportErrorOptions, 'cause'> & { readonly nonce?: string } = {}) {
    super(code, message, { ...options, publicDetail: ROWS[code].detail })
    this.challenge = challengeText(ROWS[code])
    this.nonce = options.nonce
  }
}

/** The judge's refusal as the caller's; anything else as it is. `nonce`: one that is good now. */
export function refusedProof(error: unknown, nonce: () => string): unknown {
  if (!(error instanceof DpopProofError)) return error
  const fresh = error.code === 'proof_nonce_required' ? { nonce: nonce() } : {}
  return new BindingError(error.code, error.message, { cause: error, ...fresh })
}

function challengeText({ challenge }: BindingRow): string | undefined {
  if (challenge === undefined) return undefined
  const error = challenge.error === null ? '' : `, error="${challenge.error}"`
  const algorithms = challenge.scheme === 'DPoP' ? `, algs="${DPOP_PROOF_ALGORITHMS.join(' ')}"` : ''
  return `${challenge.scheme} realm="sallyport"${error}${algorithms}`
}
