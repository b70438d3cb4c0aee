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

/** True when calls through the connection fail until somebody does something. */
export function needsAttention({ status }: Connection): boolean {
  return STATUS_WORDS[status].todo !== undefined
}
