/** Owns the rows of connect sessions. Refuses a step that isn't taken from the status it was decided on. */
import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import type { ConnectionId, ConnectSessionId, Environment, IntegrationId, ProjectId } from '@sallyport/core'
import type { ConnectSessionStatus, Schema } from '../schema.ts'
import type { TenantTx } from '../tenant.ts'
import type { Place } from './page.ts'

export interface ConnectSession {
  readonly id: ConnectSessionId
  readonly project: ProjectId
  readonly environment: Environment
  readonly integration: IntegrationId
  readonly connection: ConnectionId | null
  readonly reconnect: boolean
  readonly endUserId: string
  readonly linkHash: Buffer
  readonly returnTo: string | null
  /** `key_...` or `user_...`. */
  readonly startedBy: string
  /** Of the console session that began it; null when a key did. */
  readonly consoleSessionHash: Buffer | null
  readonly status: ConnectSessionStatus
  readonly completionHash: Buffer | null
  readonly completionAttempts: number
  readonly failure: string | null
  readonly createdAt: Date
  readonly expiresAt: Date
  /** By the database's clock at the moment of reading. */
  readonly expired: boolean
}

export type NewConnectSession = Omit<
  ConnectSession,
  'status' | 'completionHash' | 'completionAttempts' | 'failure' | 'createdAt' | 'expiresAt' | 'expired'
> & { readonly ttlSeconds: number }

export interface ConnectSessionChange {
  readonly status?: ConnectSessionStatus
  readonly connection?: ConnectionId
  readonly completionHash?: Buffer | null
  readonly failure?: string
}

/** @throws DatabaseError `conflict` when the integration, or the connection, isn't in this place. */
export async function connectSessionInsert(tx: TenantTx, made: NewConnectSession): Promise<ConnectSession> {
  const row = await tx
    .insertInto('sallyport.connect_session')
    .values({
      org_id: tx.org,
      id: made.id,
      project_id: made.project,
      environment: made.environment,
      integration_id: made.integration,
      connection_id: made.connection,
      reconnect: made.reconnect,
      end_user_id: made.endUserId,
      link_hash: made.linkHash,
      return_to: made.returnTo,
      started_by: made.startedBy,
      console_session_hash: made.consoleSessionHash,
      expires_at: sql<Date>`clock_timestamp() + make_interval(secs => ${made.ttlSeconds})`,
    })
    .returningAll()
    .returning(expired())
    .executeTakeFirstOrThrow()
  return connectSession(row)
}

/** Inside a place when one is given; without one for the hosted page, which has only the link. */
export async function connectSessionFind(tx: TenantTx, id: ConnectSessionId, at?: Place): Promise<ConnectSession | undefined> {
  const row = await tx
    .selectFrom('sallyport.connect_session')
    .selectAll()
    .select(expired())
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .$if(at !== undefined, (query) => query.where('project_id', '=', at!.project).where('environment', '=', at!.environment))
    .executeTakeFirst()
  return row && connectSession(row)
}

/** Takes a step. Undefined when the session is gone or stands at none of `from`: another was first. */
export async function connectSessionUpdate(
  tx: TenantTx,
  id: ConnectSessionId,
  from: readonly ConnectSessionStatus[],
  change: ConnectSessionChange,
): Promise<ConnectSession | undefined> {
  const { status, connection, completionHash, failure } = change
  const row = await tx
    .updateTable('sallyport.connect_session')
    .set({
      ...(status !== undefined && { status }),
      ...(connection !== undefined && { connection_id: connection }),
      ...(completionHash !== undefined && { completion_hash: completionHash }),
      ...(failure !== undefined && { failure }),
    })
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .where('status', 'in', [...from])
    .returningAll()
    .returning(expired())
    .executeTakeFirst()
  return row && connectSession(row)
}

/** Counts one more try at the completion code, and locks the row until the end of the transaction. The count, or undefined when gone. */
export async function connectSessionCountAttempt(tx: TenantTx, id: ConnectSessionId): Promise<number | undefined> {
  const row = await tx
    .updateTable('sallyport.connect_session')
    .set((eb) => ({ completion_attempts: eb('completion_attempts', '+', 1) }))
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .returning('completion_attempts')
    .executeTakeFirst()
  return row?.completion_attempts
}

function expired() {
  return sql<boolean>`expires_at <= clock_timestamp()`.as('expired')
}

function connectSession(row: Selectable<Schema['sallyport.connect_session']> & { expired: boolean }): ConnectSession {
  return {
    id: row.id,
    project: row.project_id,
    environment: row.environment,
    integration: row.integration_id,
    connection: row.connection_id,
    reconnect: row.reconnect,
    endUserId: row.end_user_id,
    linkHash: row.link_hash,
    returnTo: row.return_to,
    startedBy: row.started_by,
    consoleSessionHash: row.console_session_hash,
    status: row.status,
    completionHash: row.completion_hash,
    completionAttempts: row.completion_attempts,
    failure: row.failure,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    expired: row.expired,
  }
}
