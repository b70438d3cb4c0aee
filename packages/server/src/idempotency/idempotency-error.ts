/** Owns the failures of this folder. */
import { SallyportError } from '@sallyport/core'

/**
 * - `idempotency_key_invalid`: no key of 1 to 255 visible ASCII characters.
 * - `idempotency_mismatch`: the key was used for another request.
 * - `idempotency_in_progress`: the same request is being worked on.
 * - `idempotency_answer_lost`: it was done, and its answer was lost on the way here.
 */
export type IdempotencyErrorCode =
  | 'idempotency_key_invalid'
  | 'idempotency_mismatch'
  | 'idempotency_in_progress'
  | 'idempotency_answer_lost'

export class IdempotencyError extends SallyportError<IdempotencyErrorCode> {
  override readonly name = 'IdempotencyError'

  /** @param publicDetail one sentence for the caller */
  constructor(code: IdempotencyErrorCode, publicDetail: string) {
    super(code, publicDetail, { publicDetail })
  }
}
