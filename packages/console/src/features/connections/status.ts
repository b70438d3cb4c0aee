/** What each status of a connection means to the person who looks at it, and what to do about it. */
import type { Connection } from '../../api/resources.ts'
import type { Tone } from '../../ui/badge.tsx'

interface StatusWords {
  readonly label: string
  readonly tone: Tone
  /** Absent: nothing is to be done. */
  readonly todo?: string
  /** Whether connecting again mends it. */
  readonly reconnect: boolean
}

export const STATUS_WORDS: Readonly<Record<Connection['status'], StatusWords>> = {
  pending: {
    label: 'Waiting',
    tone: 'warn',
    todo: 'The account is authorized. It works once the application confirms whose it is.',
    reconnect: false,
  },
  active: { label: 'Active', tone: 'good', reconnect: false },
  insufficient_scope: {
    label: 'Scopes missing',
    tone: 'warn',
    todo: 'The provider did not grant everything. Connect again and allow what is missing.',
    reconnect: true,
  },
  reconnect_required: {
    label: 'Reconnect',
    tone: 'bad',
    todo: 'The provider no longer accepts this connection. Connect the account again; its id stays.',
    reconnect: true,
  },
  revoked: {
    label: 'Revoked',
    tone: 'plain',
    todo: 'Nothing can be called with it any more. Connect the account again to use it.',
    reconnect: true,
  },
}

/** What is wrong with the credential of a connection that works as yet, or tries to. Absent: nothing. */
const TROUBLE_WORDS: Readonly<Record<NonNullable<Connection['failure']>['trouble'], string>> = {
  revoked: 'The grant was taken back.',
  grant_expired: 'The provider no longer knows the refresh token.',
  no_refresh_token: 'There is no refresh token to renew it with.',
  client_misconfigured: 'The provider rejects the client of the integration. Correct its id or secret; nobody has to connect again.',
  provider_down: 'The provider can not be reached to renew it.',
  rate_limited: 'The provider told the gateway to wait before it renews again.',
  malformed: "The provider's answer to the renewal can not be read.",
  outcome_unknown: 'A renewal was interrupted; what became of it is being found out.',
  token_lost: 'A renewal was interrupted, and its answer never came.',
}

/** Beside the status: how the credential itself is, while something is the matter with it. */
export function credentialWords({ health, failure }: Connection): { readonly label: string; readonly about: string } | undefined {
  if (failure === null) return undefined
  return { label: HEALTH_WORDS[health], about: TROUBLE_WORDS[failure.trouble] }
}

const HEALTH_WORDS: Readonly<Record<Connection['health'], string>> = {
  active: 'Renewed again',
  refreshing: 'Renewing',
  degraded: 'Renewal fails',
  outcome_unknown: 'Renewal interrupted',
  reconnect_required: 'Ended',
  revoked: 'Ended',
}

/** True when calls through the connection fail until somebody does something. */
export function needsAttention({ status }: Connection): boolean {
  return STATUS_WORDS[status].todo !== undefined
}
