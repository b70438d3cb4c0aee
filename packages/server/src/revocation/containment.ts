/**
 * Owns the name of the bulk revocation that belongs to a containment. Refuses a second one for the same organization and moment: accounts that were
 * reconnected since must not be ended by a repetition.
 */
import { frame, sha256 } from '@sallyport/core'
import type { BulkRevocationId, OrgId } from '@sallyport/core'

/** The same for the same moment, however it was written. In the form of a UUIDv8 (RFC 9562 section 5.8): its bits are the hash's. */
export function containmentId(org: OrgId, exposedUntil: Date): BulkRevocationId {
  const hex = sha256(frame(['sallyport/containment/1', org, exposedUntil.toISOString()])).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}` as BulkRevocationId
}
