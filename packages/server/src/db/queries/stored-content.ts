/**
 * Owns what is kept of model calls for organizations that ask for it. Refuses to give what is over: its time ends by the database's clock, whenever the
 * sweep comes by.
 */
import { sql } from 'kysely'
import type { RequestId } from '@sallyport/core'
import type { TenantTx } from '../tenant.ts'
import type { Place } from './page.ts'

export type ContentPart = 'prompt' | 'response'

export interface NewStoredContent {
  readonly id: string
  readonly place: Place
  readonly request: RequestId
  readonly part: ContentPart
  readonly provider: string
  /** As the application names them, or null. */
  readonly endUser: string | null
  /** Of the provider's answer; null where there was none. */
  readonly status: number | null
  /** Of the whole part. */
  readonly bytes: number
  /** All of it is kept. */
  readonly whole: boolean
  readonly sealed: Buffer
  readonly days: number
}

export interface StoredContent extends Omit<NewStoredContent, 'place' | 'days'> {
  readonly storedAt: Date
  readonly expiresAt: Date
}

export async function storedContentInsert(tx: TenantTx, made: NewStoredContent): Promise<void> {
  const { project, environment } = made.place
  await tx
    .insertInto('sallyport.stored_content')
    .values({
      org_id: tx.org,
      id: made.id,
      project_id: project,
      environment,
      request_id: made.request,
      part: made.part,
      provider: made.provider,
      end_user: made.endUser,
      status: made.status,
      bytes: made.bytes,
      whole: made.whole,
      sealed: made.sealed,
      expires_at: sql<Date>`clock_timestamp() + make_interval(days => ${made.days})`,
    })
    .execute()
}

/** All parts of one call, in the order in which they were stored; index stored_content_request. */
export async function storedContentOf(tx: TenantTx, at: Place, request: RequestId): Promise<StoredContent[]> {
  const rows = await tx
    .selectFrom('sallyport.stored_content')
    .selectAll()
    .where('org_id', '=', tx.org)
    .where('project_id', '=', at.project)
    .where('environment', '=', at.environment)
    .where('request_id', '=', request)
    .where('expires_at', '>', sql<Date>`clock_timestamp()`)
    .orderBy('id')
    .execute()
  return rows.map((row) => ({
    id: row.id,
    request: row.request_id,
    part: row.part,
    provider: row.provider,
    endUser: row.end_user,
    status: row.status,
    bytes: Number(row.bytes),
    whole: row.whole,
    sealed: row.sealed,
    storedAt: row.stored_at,
    expiresAt: row.expires_at,
  }))
}

/** How many parts of it there were. */
export async function storedContentDelete(tx: TenantTx, at: Place, request: RequestId): Promise<number> {
  const { numDeletedRows } = await inPlace(tx, at).where('request_id', '=', request).executeTakeFirst()
  return Number(numDeletedRows)
}

/** How many parts there are of what one end user said, and was answered. */
export async function storedContentCountOfEndUser(tx: TenantTx, at: Place, endUser: string): Promise<number> {
  const { rows } = await sql<{ parts: string }>`
    select count(*) as parts from sallyport.stored_content
    where org_id = ${tx.org} and project_id = ${at.project} and environment = ${at.environment} and end_user = ${endUser}`.execute(tx)
  return Number(rows[0]?.parts)
}

/** Removes at most `limit` of them; how many. A part may be a megabyte, and a statement has its time. */
export async function storedContentDeleteOfEndUser(tx: TenantTx, at: Place, endUser: string, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from sallyport.stored_content where org_id = ${tx.org} and id in (
      select c.id from sallyport.stored_content c
      where c.org_id = ${tx.org} and c.project_id = ${at.project} and c.environment = ${at.environment} and c.end_user = ${endUser}
      limit ${limit})`.execute(tx)
  return Number(numAffectedRows ?? 0n)
}

function inPlace(tx: TenantTx, at: Place) {
  return tx
    .deleteFrom('sallyport.stored_content')
    .where('org_id', '=', tx.org)
    .where('project_id', '=', at.project)
    .where('environment', '=', at.environment)
}
