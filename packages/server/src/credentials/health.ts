/**
 * Owns how the life of a credential is told outside: the health of a connection, and the problem that each trouble is. Refuses to tell of a
 * credential that isn't there yet.
 */
import type { CredentialHealth } from '@sallyport/core'
import type { Connection } from '../db/index.ts'

/** Whether calls may be made is the connection's status; this is whether the credential will go on living. */
export function healthOf({ status, refreshing, failure }: Pick<Connection, 'status' | 'refreshing' | 'failure'>): CredentialHealth {
  if (status === 'reconnect_required' || status === 'revoked') return status
  if (refreshing !== null) return refreshing === 'unknown' ? 'outcome_unknown' : 'refreshing'
  return failure === null ? 'active' : 'degraded'
}
