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

/**
 * The same refusal where it has to cost nothing: made once, frozen, thrown and told as often as there are bad keys. A stack of its own would cost more than
 * everything else that is done with one, and say no more.
 */
export const REFUSED_KEY: IdentityError = Object.freeze(unauthenticated())

/** A budget has eleven different ones by default. */
const MOST_PUT_OFF = 1_000
const putOffBy = new Map<number, IdentityError>()

/** The refusal of an address over its budget, made once for each number of seconds; there are few. */
export function putOff(retryAfterS: number): IdentityError {
  const known = putOffBy.get(retryAfterS)
  if (known !== undefined) return known
  const error = new IdentityError('overloaded', 'too many refused keys from one address', {
    retryAfterS,
    publicDetail: 'Too many keys from this address were refused. Wait, then try again with a valid key.',
  })
  if (putOffBy.size < MOST_PUT_OFF) putOffBy.set(retryAfterS, Object.freeze(error))
  return error
}

/** The one refusal of any other credential, built afresh so that no two carry a shared stack or cause. */
export function unauthenticated(): IdentityError {
  return new IdentityError('unauthenticated', 'the credential was not accepted')
}
