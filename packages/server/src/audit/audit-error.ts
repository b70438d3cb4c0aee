/** Owns the one failure of writing down. */
import { SallyportError } from '@sallyport/core'

/** `audit_unavailable`: a use of a credential can't be put on record, so it must not happen. */
export type AuditErrorCode = 'audit_unavailable'

export class AuditError extends SallyportError<AuditErrorCode> {
  override readonly name = 'AuditError'
}
