/**
 * Owns the one list of everything the gateway seals: each column, what it is sealed for and the place of each of its rows. Sealing, opening
 * and resealing name places through this file alone, and a test holds the list against the database's catalogue. Refuses a second spelling.
 */
import type {
  ConnectionId,
  ConnectSessionId,
  EventSourceId,
  IntegrationId,
  OrgId,
  ProviderKeyId,
  RevocationId,
  SealPlace,
} from '@sallyport/core'
import type { SealedTable } from '../db/index.ts'

/** Where inside its organization a value lives. */
export type TenantPlace = Omit<SealPlace, 'org'>

/** A column sealed under the organization's data key. `<column>_under` beside it names that key. */
export interface SealedColumn extends SealedTable {
  readonly purpose: string
  /** The place of a row, from the texts of its `key` and `also` columns. */
  readonly place: (row: Readonly<Record<string, string>>) => TenantPlace
  /** How many of its envelopes are held in memory at once, where they may be large: each passes as text of twice its length, and then some. */
  readonly page?: number
}

/** Small enough that a page's ciphering doesn't hold up calls, large enough that it isn't all round trips. */
const PAGE = 100

export function pageOf({ page = PAGE }: SealedColumn): number {
  return page
}

export function credentialPlace(connection: ConnectionId, seq: bigint): TenantPlace {
  return { purpose: 'credential', table: 'credential_version', column: 'sealed', record: connection, seq }
}

export function clientSecretPlace(integration: IntegrationId): TenantPlace {
  return { purpose: 'client-secret', table: 'integration', column: 'client_secret', record: integration, seq: 0n }
}

/** Bound to the session: a verifier moved to another session's state does not open (battery O-14). */
export function verifierPlace(session: ConnectSessionId): TenantPlace {
  return { purpose: 'pkce-verifier', table: 'oauth_state', column: 'verifier', record: session, seq: 0n }
}

/** Of one refresh of one connection. */
export function refreshAnswerPlace(connection: ConnectionId, intent: string): TenantPlace {
  return { purpose: 'refresh-answer', table: 'refresh_intent', column: 'answer', record: `${connection}/${intent}`, seq: 0n }
}

/** An answer that waits outside the database, bound to all that is needed to save it. */
export function spilledAnswerPlace(
  connection: ConnectionId,
  { intent, generation, parentSeq }: { readonly intent: string; readonly generation: number; readonly parentSeq: bigint },
): TenantPlace {
  return { purpose: 'refresh-answer', table: 'spill', column: 'answer', record: `${connection}/${generation}/${intent}`, seq: parentSeq }
}

/** By which a provider signs what it sends to this source. */
export function eventSecretPlace(source: EventSourceId): TenantPlace {
  return { purpose: 'event-secret', table: 'event_source', column: 'secret', record: source, seq: 0n }
}

/** A model provider's credential. */
export function providerKeyPlace(key: ProviderKeyId): TenantPlace {
  return { purpose: 'provider-key', table: 'provider_key', column: 'sealed', record: key, seq: 0n }
}

/** A prompt, or an answer, of a model call. */
export function storedContentPlace(id: string): TenantPlace {
  return { purpose: 'stored-content', table: 'stored_content', column: 'sealed', record: id, seq: 0n }
}

/** The tokens of an ended grant that are still to be taken back. */
export function revocationPlace(id: RevocationId): TenantPlace {
  return { purpose: 'revocation', table: 'revocation', column: 'sealed', record: id, seq: 0n }
}

/** What was answered to a creation that may be asked for again: to that attempt of it and no other. */
export function idempotentAnswerPlace(attempt: string): TenantPlace {
  return { purpose: 'idempotent-answer', table: 'idempotent_creation', column: 'answer', record: attempt, seq: 0n }
}

/** The key under which audit events say something of one person. */
export function auditSubjectKeyPlace(id: string): TenantPlace {
  return { purpose: 'audit-subject-key', table: 'audit_subject_key', column: 'sealed', record: id, seq: 0n }
}

/** What an audit event says of a person, under that key. Its number is not known when it is sealed; the chain holds it where it is. */
export function auditPersonalPlace(org: OrgId, key: string, { action, target }: { action: string; target: string }): SealPlace {
  return { purpose: 'audit-personal', org, table: 'audit_event', column: 'personal', record: `${key}/${action}/${target}`, seq: 0n }
}

export const SEALED_COLUMNS: readonly SealedColumn[] = [
  {
    table: 'credential_version',
    column: 'sealed',
    purpose: 'credential',
    key: [
      { name: 'connection_id', type: 'uuid' },
      { name: 'seq', type: 'bigint' },
    ],
    also: [],
    place: (row) => credentialPlace(row['connection_id'] as ConnectionId, BigInt(row['seq']!)),
  },
  {
    table: 'integration',
    column: 'client_secret',
    purpose: 'client-secret',
    key: [{ name: 'id', type: 'uuid' }],
    also: [],
    place: (row) => clientSecretPlace(row['id'] as IntegrationId),
  },
  {
    table: 'event_source',
    column: 'secret',
    purpose: 'event-secret',
    key: [{ name: 'id', type: 'uuid' }],
    also: [],
    place: (row) => eventSecretPlace(row['id'] as EventSourceId),
  },
  {
    table: 'provider_key',
    column: 'sealed',
    purpose: 'provider-key',
    key: [{ name: 'id', type: 'uuid' }],
    also: [],
    place: (row) => providerKeyPlace(row['id'] as ProviderKeyId),
  },
  {
    table: 'stored_content',
    column: 'sealed',
    purpose: 'stored-content',
    key: [{ name: 'id', type: 'uuid' }],
    also: [],
    place: (row) => storedContentPlace(row['id']!),
    page: 8,
  },
  {
    table: 'revocation',
    column: 'sealed',
    purpose: 'revocation',
    key: [{ name: 'id', type: 'uuid' }],
    also: [],
    place: (row) => revocationPlace(row['id'] as RevocationId),
  },
  {
    table: 'audit_subject_key',
    column: 'sealed',
    purpose: 'audit-subject-key',
    key: [{ name: 'id', type: 'uuid' }],
    also: [],
    place: (row) => auditSubjectKeyPlace(row['id']!),
  },
  {
    table: 'oauth_state',
    column: 'verifier',
    purpose: 'pkce-verifier',
    key: [{ name: 'state_hash', type: 'bytea' }],
    also: ['connect_session_id'],
    place: (row) => verifierPlace(row['connect_session_id'] as ConnectSessionId),
  },
  {
    table: 'idempotent_creation',
    column: 'answer',
    purpose: 'idempotent-answer',
    key: [{ name: 'key_hash', type: 'bytea' }],
    also: ['attempt'],
    place: (row) => idempotentAnswerPlace(row['attempt']!),
  },
  {
    table: 'refresh_intent',
    column: 'answer',
    purpose: 'refresh-answer',
    key: [{ name: 'connection_id', type: 'uuid' }],
    also: ['id'],
    place: (row) => refreshAnswerPlace(row['connection_id'] as ConnectionId, row['id']!),
  },
]

/** Columns sealed under a root key, outside any tenant's sweep. The wrapping of data keys has its place in core's keyring. */
export const ROOT_SEALED_COLUMNS = [
  { table: 'data_key', column: 'wrapped', purpose: 'data-key' },
  { table: 'system_secret', column: 'sealed', purpose: 'system-secret' },
  { table: 'root_key', column: 'check_value', purpose: 'root-key-check' },
] as const

export function systemSecretPlace(name: string): SealPlace {
  return { purpose: 'system-secret', org: '', table: 'system_secret', column: 'sealed', record: name, seq: 0n }
}

export function rootKeyCheckPlace(id: string): SealPlace {
  return { purpose: 'root-key-check', org: '', table: 'root_key', column: 'check_value', record: id, seq: 0n }
}
