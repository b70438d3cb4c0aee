/** Owns the failures of this folder. Refuses to say why a caller is unknown: every cause gives the same error. */
import { SallyportError } from '@sallyport/core'
import type { SallyportErrorOptions } from '@sallyport/core'

/**
 * - `unauthenticated`: malformed, unknown, wrong, expired, revoked, another environment's text, used link. Never says which.
 * - `overloaded`: refused before any work, because of too many failures from one address or too much verification under way; see
 *   `retryAfterS`. Nothing is said about the credential.
 * - `database_unavailable`: nothing recent enough is in memory, and the database can't be asked.
 */
export type IdentityErrorCode = 'unauthenticated' | 'overloaded' | 'database_unavailable'

export class IdentityError extends SallyportError<IdentityErrorCode> {
  override readonly name = 'IdentityError'
  /** Whole seconds after which trying again is sensible. Absent for `unauthenticated`: trying again doesn't help. */
  readonly retryAfterS: number | undefined

  constructor(code: IdentityErrorCode, message: string, options: SallyportErrorOptions & { readonly retryAfterS?: number } = {}) {
    super(code, message, options)
    this.retryAfterS = options.retryAfterS
  }
}

/** The one refusal of a credential, built afresh so that no two carry a shared stack or cause. */
export function unauthenticated(): IdentityError {
  return new IdentityError('unauthenticated', 'the credential was not accepted')
}
