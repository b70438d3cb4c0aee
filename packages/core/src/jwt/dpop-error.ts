import { SallyportError } from '../kernel/index.ts'

/**
 * - `proof_invalid`: not one well-formed, signed proof for this token (RFC 9449 section 4.3, points 2 to 7 and 12).
 * - `proof_key_mismatch`: a proof by another key than the token is bound to.
 * - `proof_request_mismatch`: a proof for another method or URL.
 * - `proof_expired`: made too long ago, or ahead of this clock.
 * - `proof_nonce_required`: without a nonce of this server, or with one that is over.
 */
export type DpopProofErrorCode =
  | 'proof_invalid'
  | 'proof_key_mismatch'
  | 'proof_request_mismatch'
  | 'proof_expired'
  | 'proof_nonce_required'

/** Why a proof is not taken. Messages quote nothing of it. */
export class DpopProofError extends SallyportError<DpopProofErrorCode> {
  override readonly name = 'DpopProofError'
}
