/**
 * Owns the steps of a connect flow that touch several kinds of rows: what is open, what a callback leaves behind, what a refusal takes back.
 * Refuses a step from any other status than the one it belongs to.
 */
import { sql } from 'kysely'
import type { ConnectionId, ConnectSessionId } from '@sallyport/core'
import type { ConnectSessionStatus } from '../schema.ts'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'
import type { Place } from './page.ts'

/** Statuses from which a session can still come to a connection. */
const UNFINISHED: readonly ConnectSessionStatus[] = ['open', 'authorizing', 'awaiting_confirmation']

/** How many sessions of a project's environment are unfinished and unexpired, counted no further than `most`. */
export async function connectSessionCountUnfinished(tx: TenantTx, at: Place, most: number): Promise<number> {
  const { count } = await tx
    .selectFrom((query) =>
      query
        .selectFrom('sallyport.connect_session')
        .select('id')
        .where('org_id', '=', tx.org)
        .where('project_id', '=', at.project)
        .where('environment', '=', at.environment)
        .where('status', 'in', [...UNFINISHED])
        .where('expires_at', '>', sql<Date>`clock_timestamp()`)
        .limit(most)
        .as('unfinished'),
    )
    .select(sql<string>`count(*)`.as('count'))
    .executeTakeFirstOrThrow()
  return Number(count)
}

/** A session whose browser came back waits for its application, for `ttlSeconds` from now. False when another step was first. */
export async function connectSessionAwait(
  tx: TenantTx,
  id: ConnectSessionId,
  step: { readonly completionHash: Buffer; readonly connection: ConnectionId; readonly ttlSeconds: number },
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('sallyport.connect_session')
    .set({
      status: 'awaiting_confirmation',
      completion_hash: step.completionHash,
      connection_id: step.connection,
      expires_at: sql<Date>`clock_timestamp() + make_interval(secs => ${step.ttlSeconds})`,
    })
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .where('status', '=', 'authorizing')
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/**
 * Ends an unfinished session with the code of its failure, and lets go of a connection that was made for it, so that deleting that one
 * does not take the session along. False when it had ended before.
 */
export async function connectSessionFail(tx: TenantTx, id: ConnectSessionId, failure: string): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('sallyport.connect_session')
    .set({ status: 'failed', failure, connection_id: sql<ConnectionId | null>`case when reconnect then connection_id end` })
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .where('status', 'in', [...UNFINISHED])
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/**
 * Holds the unfinished sessions that reconnect one of `ids`, in the order of their ids. To be asked before the connections are held: who completes
 * a session holds it first, too. One that ended over an hour ago has no authorization that could still come back.
 */
export async function connectSessionHoldReconnects(
  tx: TenantTx,
  ids: readonly ConnectionId[],
): Promise<{ readonly session: ConnectSessionId; readonly connection: ConnectionId }[]> {
  if (ids.length === 0) return []
  const rows = await tx
    .selectFrom('sallyport.connect_session')
    .select(['id', 'connection_id'])
    .where('org_id', '=', tx.org)
    .where('reconnect', '=', true)
    .where('status', 'in', [...UNFINISHED])
    .where('expires_at', '>', sql<Date>`now() - interval '1 hour'`)
    .where('connection_id', '=', sql<ConnectionId>`any(${[...ids]}::uuid[])`)
    .orderBy('id')
    .forNoKeyUpdate()
    .execute()
  return rows.map((row) => ({ session: row.id, connection: row.connection_id! }))
}

/** Drops the states of a session: of its authorizations, only the newest is ever answered. */
export async function oauthStateDropOfSession(tx: TenantTx, session: ConnectSessionId): Promise<void> {
  await tx.deleteFrom('sallyport.oauth_state').where('org_id', '=', tx.org).where('connect_session_id', '=', session).execute()
}

/** Writes what the provider said of a connection that is still pending. False when there is none. */
export async function connectionDescribePending(
  tx: TenantTx,
  id: ConnectionId,
  said: { readonly grantedScopes: readonly string[]; readonly account: { readonly id: string; readonly label: string | null } },
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('sallyport.connection')
    .set({ granted_scopes: [...said.grantedScopes], account_id: said.account.id, account_label: said.account.label })
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .where('status', '=', 'pending')
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** Takes back a connection that nobody confirmed, with its credential. False when there is none that is pending. */
export async function connectionDeletePending(tx: TenantTx, id: ConnectionId): Promise<boolean> {
  noteChange(tx, 'connection', id)
  const { numDeletedRows } = await tx
    .deleteFrom('sallyport.connection')
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .where('status', '=', 'pending')
    .executeTakeFirst()
  return numDeletedRows === 1n
}
