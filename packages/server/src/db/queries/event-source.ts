/**
 * Owns the rows of event sources, what they have received, and whom an event is about. Refuses to look for a subject anywhere but at the source's own
 * integration.
 */
import { sql } from 'kysely'
import type { ConnectionId, EventSourceId, IntegrationId } from '@sallyport/core'
import type { EventSourceKind, StreamStatus } from '../schema.ts'
import type { TenantTx } from '../tenant.ts'
import { consentedAfter } from './credential.ts'
import type { Page, Place } from './page.ts'

export interface EventSource {
  readonly id: EventSourceId
  readonly integration: IntegrationId
  readonly kind: EventSourceKind
  /** The last segment of its address. */
  readonly context: string
  /** An envelope; null for kinds that share no secret. */
  readonly secret: Buffer | null
  readonly issuers: readonly string[]
  readonly audiences: readonly string[]
  readonly keysUri: string | null
  /** Tokens of this issuer name no type. */
  readonly untyped: boolean
  readonly streamStatus: StreamStatus | null
  readonly verifiedAt: Date | null
  readonly receivedAt: Date | null
  readonly createdAt: Date
}

export type NewEventSource = Omit<EventSource, 'streamStatus' | 'verifiedAt' | 'receivedAt' | 'createdAt'>

/** @throws DatabaseError `conflict` when the integration isn't in this place. */
export async function eventSourceInsert(tx: TenantTx, at: Place, made: NewEventSource): Promise<EventSource> {
  const row = await tx
    .insertInto('sallyport.event_source')
    .values({
      org_id: tx.org,
      id: made.id,
      project_id: at.project,
      environment: at.environment,
      integration_id: made.integration,
      kind: made.kind,
      context: made.context,
      secret: made.secret,
      issuers: [...made.issuers],
      audiences: [...made.audiences],
      keys_uri: made.keysUri,
      untyped: made.untyped,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  return eventSource(row)
}

/** Oldest first; index event_source_list. */
export async function eventSourceList(
  tx: TenantTx,
  at: Place,
  integration: IntegrationId,
  page: Page<EventSourceId>,
): Promise<EventSource[]> {
  const rows = await sources(tx)
    .where('project_id', '=', at.project)
    .where('environment', '=', at.environment)
    .where('integration_id', '=', integration)
    .$if(page.after !== undefined, (query) => query.where('id', '>', page.after!))
    .orderBy('id')
    .limit(page.limit)
    .execute()
  return rows.map(eventSource)
}

export async function eventSourceFind(tx: TenantTx, id: EventSourceId): Promise<EventSource | undefined> {
  const row = await sources(tx).where('id', '=', id).executeTakeFirst()
  return row && eventSource(row)
}

/** False when there is none in this place. */
export async function eventSourceDelete(tx: TenantTx, at: Place, integration: IntegrationId, id: EventSourceId): Promise<boolean> {
  const { numDeletedRows } = await tx
    .deleteFrom('sallyport.event_source')
    .where('org_id', '=', tx.org)
    .where('project_id', '=', at.project)
    .where('environment', '=', at.environment)
    .where('integration_id', '=', integration)
    .where('id', '=', id)
    .executeTakeFirst()
  return numDeletedRows === 1n
}

/** Notes that an event came. False when it came before: of two that bring it at once, one waits for the other and then hears so. */
export async function eventReceiptPut(tx: TenantTx, source: EventSourceId, hash: Buffer): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('sallyport.event_receipt')
    .values({ org_id: tx.org, source_id: source, event_hash: hash })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst()
  return numInsertedOrUpdatedRows === 1n
}

/** Whether that was noted before. */
export async function eventReceiptIsThere(tx: TenantTx, source: EventSourceId, hash: Buffer): Promise<boolean> {
  const row = await tx
    .selectFrom('sallyport.event_receipt')
    .select('source_id')
    .where('org_id', '=', tx.org)
    .where('source_id', '=', source)
    .where('event_hash', '=', hash)
    .executeTakeFirst()
  return row !== undefined
}

export async function eventSourceNote(
  tx: TenantTx,
  id: EventSourceId,
  heard: { readonly verified: boolean; readonly streamStatus: StreamStatus | undefined },
): Promise<void> {
  await tx
    .updateTable('sallyport.event_source')
    .set({
      received_at: now(),
      ...(heard.verified ? { verified_at: now() } : {}),
      ...(heard.streamStatus === undefined ? {} : { stream_status: heard.streamStatus }),
    })
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .execute()
}

/** Who an event is about: exact accounts, or every account whose id begins with `prefix`. */
export interface EventSubject {
  readonly accounts: readonly string[]
  readonly prefix?: string | undefined
}

/**
 * Live connections of the subject at one integration. `consentedBy`: only those whose person consented at that moment or before; what was connected
 * afterwards is another grant. Index connection_by_account.
 */
export async function connectionListOfSubject(
  tx: TenantTx,
  integration: IntegrationId,
  { accounts, prefix }: EventSubject,
  consentedBy: Date | null,
): Promise<ConnectionId[]> {
  const rows = await tx
    .selectFrom('sallyport.connection as c')
    .select('c.id')
    .where('c.org_id', '=', tx.org)
    .where('c.integration_id', '=', integration)
    .where('c.status', '<>', 'revoked')
    .where((where) =>
      where.or([
        where('c.account_id', '=', sql<string>`any (${[...accounts]}::text[])`),
        ...(prefix === undefined ? [] : [where(sql<boolean>`starts_with(c.account_id, ${prefix})`, '=', true)]),
      ]),
    )
    .$if(consentedBy !== null, (query) => query.where((where) => where.not(consentedAfter(consentedBy!))))
    .orderBy('c.id')
    .execute()
  return rows.map(({ id }) => id)
}

/** How many the integration has; index event_source_list. */
export async function eventSourceCount(tx: TenantTx, integration: IntegrationId): Promise<number> {
  const { count } = await tx
    .selectFrom('sallyport.event_source')
    .select((of) => of.fn.countAll<string>().as('count'))
    .where('org_id', '=', tx.org)
    .where('integration_id', '=', integration)
    .executeTakeFirstOrThrow()
  return Number(count)
}

function sources(tx: TenantTx) {
  return tx.selectFrom('sallyport.event_source').selectAll().where('org_id', '=', tx.org)
}

function eventSource(row: Awaited<ReturnType<ReturnType<typeof sources>['executeTakeFirstOrThrow']>>): EventSource {
  return {
    id: row.id,
    integration: row.integration_id,
    kind: row.kind,
    context: row.context,
    secret: row.secret,
    issuers: row.issuers,
    audiences: row.audiences,
    keysUri: row.keys_uri,
    untyped: row.untyped,
    streamStatus: row.stream_status,
    verifiedAt: row.verified_at,
    receivedAt: row.received_at,
    createdAt: row.created_at,
  }
}

function now() {
  return sql<Date>`clock_timestamp()`
}
