/**
 * Owns how the life of a credential is told outside: the health of a connection, and the problem that each trouble is. Refuses to tell of a
 * credential that isn't there yet.
 */
import type { ProblemCode } from '@sallyport/contract'
import type { CredentialHealth, RefreshTrouble } from '@sallyport/core'
import type { Connection } from '../db/index.ts'

/** What a call meets when the token has died of it. */
export const TROUBLE_CODES: Readonly<Record<RefreshTrouble, ProblemCode>> = {
  revoked: 'reconnect_required',
  grant_expired: 'reconnect_required',
  no_refresh_token: 'reconnect_required',
  token_lost: 'reconnect_required',
  client_misconfigured: 'client_misconfigured',
  provider_down: 'provider_unavailable',
  rate_limited: 'provider_rate_limited',
  malformed: 'provider_answer_malformed',
  outcome_unknown: 'refresh_outcome_unknown',
}

/** Whether calls may be made is the connection's status; this is whether the credential will go on living. */
export function healthOf({ status, refreshing, failure }: Pick<Connection, 'status' | 'refreshing' | 'failure'>): CredentialHealth {
  if (status === 'reconnect_required' || status === 'revoked') return status
  if (refreshing !== null) return refreshing === 'unknown' ? 'outcome_unknown' : 'refreshing'
  return failure === null ? 'active' : 'degraded'
}
