/** Owns the one failure of writing down. */
import { SallyportError } from '@sallyport/core'

/**
 * `audit_unavailable`: a use of a credential can't be put on record, so it must not happen. `export_unreadable`: a file is no export that can
 * be proven, or no public key.
 */
export type AuditErrorCode = 'audit_unavailable' | 'export_unreadable'

export class AuditError extends SallyportError<AuditErrorCode> {
  override readonly name = 'AuditError'
}
