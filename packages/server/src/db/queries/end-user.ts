/** Owns what is kept of one end user of an application, and its erasure. Refuses the audit log: its chain outlives everybody. */
import { sql } from 'kysely'
import type { ConnectionId, KeyId, RequestId } from '@sallyport/core'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'
import type { Place } from './page.ts'

/** What stands in a request record where the path was. */
export const ERASED_PATH = '(erased)'

/** Every connection of an end user in a place, ended ones too, in the order of their ids. Index connection_by_end_user. */
export async function endUserConnections(tx: TenantTx, at: Place, endUserId: string): Promise<ConnectionId[]> {
  const rows = await tx
    .selectFrom('sallyport.connection')
    .select('id')
    .where('org_id', '=', tx.org)
    .where('project_id', '=', at.project)
    .where('environment', '=', at.environment)
    .where('end_user_id', '=', endUserId)
    .orderBy('id')
    .execute()
  return rows.map(({ id }) => id)
}

/**
 * Takes the paths out of the records of calls through `connections`, within the next `limit` records of the place after `after`; index
 * request_record_list. The last record looked at, or undefined at the end.
 */
export async function requestRecordErase(
  tx: TenantTx,
  at: Place,
  page: { readonly connections: readonly ConnectionId[]; readonly after: string; readonly limit: number },
): Promise<RequestId | undefined> {
  const { rows } = await sql<{ last: RequestId | null; seen: string }>`
    with page as materialized (
      select r.id, r.connection_id from sallyport.request_record r
      where r.org_id = ${tx.org} and r.project_id = ${at.project} and r.environment = ${at.environment} and r.id > ${page.after}::uuid
      order by r.id limit ${page.limit}
    ), erased as (
      update sallyport.request_record r set path = ${ERASED_PATH}
      from page where r.org_id = ${tx.org} and r.id = page.id and page.connection_id = any (${[...page.connections]}::uuid[])
    )
    select (array_agg(id order by id desc))[1] as last, count(*) as seen from page`.execute(tx)
  const [row] = rows
  return row === undefined || Number(row.seen) < page.limit ? undefined : (row.last ?? undefined)
}

/** Ends the flows under way, with their states. How many. */
export async function endUserDropSessions(tx: TenantTx, at: Place, endUserId: string): Promise<number> {
  const { numDeletedRows } = await tx
    .deleteFrom('sallyport.connect_session')
    .where('org_id', '=', tx.org)
    .where('project_id', '=', at.project)
    .where('environment', '=', at.environment)
    .where('end_user_id', '=', endUserId)
    .executeTakeFirst()
  return Number(numDeletedRows)
}

/** Keys that are bound to one of the connections, and go with it. */
export async function apiKeyListBound(tx: TenantTx, connections: readonly ConnectionId[]): Promise<KeyId[]> {
  if (connections.length === 0) return []
  const rows = await tx
    .selectFrom('sallyport.api_key')
    .select('id')
    .where('org_id', '=', tx.org)
    .where('connection_id', '=', sql<ConnectionId>`any(${[...connections]}::uuid[])`)
    .orderBy('id')
    .execute()
  return rows.map(({ id }) => id)
}

/** Removes connections that have ended, with what hangs on them. */
export async function connectionDeleteEnded(tx: TenantTx, connections: readonly ConnectionId[], keys: readonly KeyId[]): Promise<void> {
  if (connections.length === 0) return
  for (const id of connections) noteChange(tx, 'connection', id)
  for (const id of keys) noteChange(tx, 'api_key', id)
  await tx
    .deleteFrom('sallyport.connection')
    .where('org_id', '=', tx.org)
    .where('id', '=', sql<ConnectionId>`any(${[...connections]}::uuid[])`)
    .where('status', '=', 'revoked')
    .execute()
}
