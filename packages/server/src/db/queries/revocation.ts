/**
 * Owns the rows of grants that are over here and not yet at their provider, and the end of connections that makes them. Refuses to settle one that
 * another node has taken since: the number of the attempt says whose it is.
 */
import { sql } from 'kysely'
import type { BulkRevocationId, ConnectionId, IntegrationId, RevocationId } from '@sallyport/core'
import type { ConnectionStatus, RevocationCause, RevocationState } from '../schema.ts'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'
import { consentedAfter } from './credential.ts'
import type { Place } from './page.ts'

/** A connection that is held by this transaction, as far as its end needs to know it. */
export interface LiveConnection {
  readonly id: ConnectionId
  readonly integration: IntegrationId
  readonly status: ConnectionStatus
  readonly generation: number
  /** 0n: it has no credential. */
  readonly headSeq: bigint
  readonly accountId: string | null
}

/** A version of one of them. */
export interface EndingVersion {
  readonly connection: ConnectionId
  readonly seq: bigint
  readonly sealed: Buffer
  /** False for an access token that is over by itself, by the database's clock. */
  readonly lives: boolean
}

export interface NewRevocation {
  readonly id: RevocationId
  readonly integration: IntegrationId
  readonly connection: ConnectionId
  readonly accountId: string | null
  readonly cause: RevocationCause
  /** The tokens, sealed to this row. */
  readonly sealed: Buffer
  /** From now: how long it is left to whoever makes it. */
  readonly delaySeconds: number
}

export interface GrantRevocation {
  readonly id: RevocationId
  readonly integration: IntegrationId
  readonly connection: ConnectionId
  readonly accountId: string | null
  readonly cause: RevocationCause
  readonly state: RevocationState
  readonly reason: string | null
  readonly sealed: Buffer | null
  readonly attempts: number
  readonly madeAt: Date
  /** The database's clock. */
  readonly now: Date
}

/** Holds those of `ids` that have not ended, in the order of their ids, so that two that end many do not lock each other out. */
export async function connectionHoldLive(tx: TenantTx, ids: readonly ConnectionId[]): Promise<LiveConnection[]> {
  if (ids.length === 0) return []
  const rows = await tx
    .selectFrom('sallyport.connection')
    .select(['id', 'integration_id', 'status', 'generation', 'head_seq', 'account_id'])
    .where('org_id', '=', tx.org)
    .where('id', '=', anyOf(ids))
    .where('status', '<>', 'revoked')
    .orderBy('id')
    .forNoKeyUpdate()
    .execute()
  return rows.map((row) => ({
    id: row.id,
    integration: row.integration_id,
    status: row.status,
    generation: row.generation,
    headSeq: BigInt(row.head_seq),
    accountId: row.account_id,
  }))
}

/** The newest versions of each, newest first, at most `most` a connection. After `connectionHoldLive`: nobody adds one then. */
export async function credentialListNewest(tx: TenantTx, ids: readonly ConnectionId[], most: number): Promise<EndingVersion[]> {
  if (ids.length === 0) return []
  const { rows } = await sql<{ connection_id: ConnectionId; seq: string; sealed: Buffer; lives: boolean }>`
    select v.connection_id, v.seq, v.sealed, v.lives
    from unnest(${[...ids]}::uuid[]) as wanted (id)
    cross join lateral (
      select k.connection_id, k.seq, k.sealed, coalesce(k.expires_at > clock_timestamp(), true) as lives
      from sallyport.credential_version k
      where k.org_id = ${tx.org} and k.connection_id = wanted.id
      order by k.seq desc limit ${most}
    ) v
    order by v.connection_id, v.seq desc`.execute(tx)
  return rows.map((row) => ({ connection: row.connection_id, seq: BigInt(row.seq), sealed: row.sealed, lives: row.lives }))
}

/**
 * Ends connections that are held: no credential, no refresh under way, a generation of its own, so that whatever is still under way for one finds
 * that it is over.
 */
export async function connectionEndMany(tx: TenantTx, ids: readonly ConnectionId[]): Promise<void> {
  if (ids.length === 0) return
  for (const id of ids) noteChange(tx, 'connection', id)
  const all = anyOf(ids)
  await tx.deleteFrom('sallyport.refresh_intent').where('org_id', '=', tx.org).where('connection_id', '=', all).execute()
  await tx.deleteFrom('sallyport.credential_version').where('org_id', '=', tx.org).where('connection_id', '=', all).execute()
  await tx
    .updateTable('sallyport.connection')
    .set({
      status: 'revoked',
      head_seq: 0,
      generation: sql<number>`generation + 1`,
      trouble: null,
      failing_since: null,
      failed_at: null,
      retry_at: null,
      failures: 0,
      updated_at: now(),
    })
    .where('org_id', '=', tx.org)
    .where('id', '=', all)
    .execute()
}

/** One parameter a column, however many there are: a statement takes 65,535. */
export async function revocationInsertMany(tx: TenantTx, made: readonly NewRevocation[]): Promise<void> {
  if (made.length === 0) return
  await sql`
    insert into sallyport.revocation (org_id, id, integration_id, connection_id, account_id, cause, sealed, next_at)
    select ${tx.org}, id, integration_id, connection_id, account_id, cause, sealed, clock_timestamp() + make_interval(secs => delay_s)
    from unnest(
      ${made.map(({ id }) => id)}::uuid[], ${made.map(({ integration }) => integration)}::uuid[],
      ${made.map(({ connection }) => connection)}::uuid[], ${made.map(({ accountId }) => accountId)}::text[],
      ${made.map(({ cause }) => cause)}::text[], ${made.map(({ sealed }) => sealed)}::bytea[],
      ${made.map(({ delaySeconds }) => delaySeconds)}::float8[]
    ) as m (id, integration_id, connection_id, account_id, cause, sealed, delay_s)`.execute(tx)
}

/** The same for ids. */
function anyOf(ids: readonly ConnectionId[]) {
  return sql<ConnectionId>`any(${[...ids]}::uuid[])`
}

export async function revocationFind(tx: TenantTx, id: RevocationId): Promise<GrantRevocation | undefined> {
  const row = await revocations(tx).where('id', '=', id).executeTakeFirst()
  return row && revocation(row)
}

/** The latest of a connection. */
export async function revocationFindLatest(tx: TenantTx, connection: ConnectionId): Promise<GrantRevocation | undefined> {
  const row = await revocations(tx).where('connection_id', '=', connection).orderBy('id', 'desc').limit(1).executeTakeFirst()
  return row && revocation(row)
}

/** Takes one that was never tried, whenever it is due, for `seconds`. The number of the attempt, or undefined when another was first. */
export async function revocationTakeFirst(tx: TenantTx, id: RevocationId, seconds: number): Promise<number | undefined> {
  const row = await tx
    .updateTable('sallyport.revocation')
    .set({ attempts: 1, next_at: after(seconds) })
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .where('state', '=', 'waiting')
    .where('attempts', '=', 0)
    .returning('attempts')
    .executeTakeFirst()
  return row?.attempts
}

/** The provider has spoken, or nobody will ask it again: the tokens are forgotten. False when it is settled, or another's. */
export async function revocationSettle(
  tx: TenantTx,
  id: RevocationId,
  attempt: number,
  end: { readonly state: Exclude<RevocationState, 'waiting'>; readonly reason: string | null },
): Promise<boolean> {
  const { numUpdatedRows } = await attemptOf(tx, id, attempt)
    .set({ state: end.state, reason: end.reason, sealed: null, account_id: null, settled_at: now() })
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** To be tried again in so many seconds. False when it is settled, or another's. */
export async function revocationPutOff(
  tx: TenantTx,
  id: RevocationId,
  attempt: number,
  next: { readonly inSeconds: number; readonly reason: string; readonly attempts: number },
): Promise<boolean> {
  const { numUpdatedRows } = await attemptOf(tx, id, attempt)
    .set({ next_at: after(next.inSeconds), reason: next.reason, attempts: next.attempts })
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** Whether a connection of this account at this integration lives. Index connection_by_account. */
export async function connectionAccountLives(tx: TenantTx, integration: IntegrationId, accountId: string): Promise<boolean> {
  const row = await tx
    .selectFrom('sallyport.connection')
    .select('id')
    .where('org_id', '=', tx.org)
    .where('integration_id', '=', integration)
    .where('account_id', '=', accountId)
    .where('status', '<>', 'revoked')
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** An integration of the organization in whichever place. */
export async function integrationFindClient(
  tx: TenantTx,
  id: IntegrationId,
): Promise<{ readonly provider: string; readonly clientId: string; readonly clientSecret: Buffer } | undefined> {
  const row = await tx
    .selectFrom('sallyport.integration')
    .select(['provider', 'client_id', 'client_secret'])
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .executeTakeFirst()
  return row && { provider: row.provider, clientId: row.client_id, clientSecret: row.client_secret }
}

/** Whose a connection is at the provider, in whichever state it is. */
export async function connectionAccount(
  tx: TenantTx,
  id: ConnectionId,
): Promise<{ readonly integration: IntegrationId; readonly accountId: string | null } | undefined> {
  const row = await tx
    .selectFrom('sallyport.connection')
    .select(['integration_id', 'account_id'])
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .executeTakeFirst()
  return row && { integration: row.integration_id, accountId: row.account_id }
}

/** Which connections a bulk revocation is of. Absent: of all. */
export interface BulkFilter {
  readonly place?: Partial<Place> | undefined
  readonly integration?: IntegrationId | undefined
  readonly provider?: string | undefined
}

export interface BulkRevocation {
  readonly id: BulkRevocationId
  readonly filter: BulkFilter
  readonly requestedBy: string
  readonly state: 'running' | 'done'
  /** Connections that it was to end when it began. */
  readonly found: number
  readonly ended: number
  readonly lastId: ConnectionId | null
  readonly madeAt: Date
  readonly finishedAt: Date | null
}

export interface BlastRadius {
  readonly connections: number
  readonly endUsers: number
  /** Keys bound to one of the connections. */
  readonly boundKeys: number
  readonly byIntegration: readonly {
    readonly integration: IntegrationId
    readonly slug: string
    readonly provider: string
    readonly connections: number
  }[]
}

/** Grants of the organization that their providers are still to be told about. */
export async function revocationCountWaiting(tx: TenantTx): Promise<number> {
  const { count } = await tx
    .selectFrom('sallyport.revocation')
    .select(sql<string>`count(*)`.as('count'))
    .where('org_id', '=', tx.org)
    .where('state', '=', 'waiting')
    .executeTakeFirstOrThrow()
  return Number(count)
}

/** What a bulk revocation of `filter` would end now. */
export async function blastRadius(tx: TenantTx, filter: BulkFilter): Promise<BlastRadius> {
  const rows = await matching(tx, filter)
    .leftJoin('sallyport.api_key as k', (join) =>
      join.onRef('k.org_id', '=', 'c.org_id').onRef('k.connection_id', '=', 'c.id').on('k.revoked_at', 'is', null),
    )
    .select(['i.id as integration', 'i.slug', 'i.provider'])
    .select([
      sql<string>`count(distinct c.id)`.as('connections'),
      sql<string>`count(distinct (c.project_id, c.environment, c.end_user_id))`.as('users'),
      sql<string>`count(k.id)`.as('keys'),
    ])
    .groupBy(['i.id', 'i.slug', 'i.provider'])
    .orderBy('i.id')
    .execute()
  const { users } = await matching(tx, filter)
    .select(sql<string>`count(distinct (c.project_id, c.environment, c.end_user_id))`.as('users'))
    .executeTakeFirstOrThrow()
  const sum = (of: 'connections' | 'keys'): number => rows.reduce((total, row) => total + Number(row[of]), 0)
  return {
    connections: sum('connections'),
    endUsers: Number(users),
    boundKeys: sum('keys'),
    byIntegration: rows.map(({ integration, slug, provider, connections }) => ({
      integration,
      slug,
      provider,
      connections: Number(connections),
    })),
  }
}

export async function bulkRevocationInsert(
  tx: TenantTx,
  made: { readonly id: BulkRevocationId; readonly filter: BulkFilter; readonly requestedBy: string; readonly found: number },
): Promise<BulkRevocation> {
  const row = await tx
    .insertInto('sallyport.bulk_revocation')
    .values({
      org_id: tx.org,
      id: made.id,
      project_id: made.filter.place?.project ?? null,
      environment: made.filter.place?.environment ?? null,
      integration_id: made.filter.integration ?? null,
      provider: made.filter.provider ?? null,
      requested_by: made.requestedBy,
      found: made.found,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  return bulkRevocation(row)
}

export async function bulkRevocationFind(tx: TenantTx, id: BulkRevocationId): Promise<BulkRevocation | undefined> {
  const row = await bulks(tx).where('id', '=', id).executeTakeFirst()
  return row && bulkRevocation(row)
}

/** Holds it, if it still runs: whoever holds it does the next page. */
export async function bulkRevocationHold(tx: TenantTx, id: BulkRevocationId): Promise<BulkRevocation | undefined> {
  const row = await bulks(tx).where('id', '=', id).where('state', '=', 'running').forUpdate().executeTakeFirst()
  return row && bulkRevocation(row)
}

/** Live connections of the filter beyond the last page, in the order of their ids, and none that was made or reconnected after the bulk revocation. */
export async function bulkRevocationPage(tx: TenantTx, bulk: BulkRevocation, limit: number): Promise<ConnectionId[]> {
  const rows = await matching(tx, bulk.filter)
    .select('c.id')
    .where('c.created_at', '<=', bulk.madeAt)
    .where((where) => where.not(consentedAfter(bulk.madeAt)))
    .$if(bulk.lastId !== null, (query) => query.where('c.id', '>', bulk.lastId!))
    .orderBy('c.id')
    .limit(limit)
    .execute()
  return rows.map(({ id }) => id)
}

/** Connections of the organization that have not ended, pending ones too, in the order of their ids. */
export async function connectionListLive(tx: TenantTx, limit: number): Promise<ConnectionId[]> {
  const rows = await matching(tx, {}).select('c.id').orderBy('c.id').limit(limit).execute()
  return rows.map(({ id }) => id)
}

/** Notes a page as done, and stays whoever's it is for `seconds` more. */
export async function bulkRevocationAdvance(
  tx: TenantTx,
  id: BulkRevocationId,
  page: { readonly lastId: ConnectionId; readonly ended: number; readonly seconds: number },
): Promise<void> {
  await bulkOf(tx, id)
    .set({ last_id: page.lastId, ended: sql<string>`ended + ${page.ended}`, next_at: after(page.seconds) })
    .execute()
}

export async function bulkRevocationFinish(tx: TenantTx, id: BulkRevocationId): Promise<void> {
  await bulkOf(tx, id).set({ state: 'done', finished_at: now() }).execute()
}

function matching(tx: TenantTx, { place, integration, provider }: BulkFilter) {
  return tx
    .selectFrom('sallyport.connection as c')
    .innerJoin('sallyport.integration as i', (join) => join.onRef('i.org_id', '=', 'c.org_id').onRef('i.id', '=', 'c.integration_id'))
    .where('c.org_id', '=', tx.org)
    .where('c.status', '<>', 'revoked')
    .$if(place?.project !== undefined, (query) => query.where('c.project_id', '=', place!.project!))
    .$if(place?.environment !== undefined, (query) => query.where('c.environment', '=', place!.environment!))
    .$if(integration !== undefined, (query) => query.where('c.integration_id', '=', integration!))
    .$if(provider !== undefined, (query) => query.where('i.provider', '=', provider!))
}

function bulks(tx: TenantTx) {
  return tx.selectFrom('sallyport.bulk_revocation').selectAll().where('org_id', '=', tx.org)
}

function bulkOf(tx: TenantTx, id: BulkRevocationId) {
  return tx.updateTable('sallyport.bulk_revocation').where('org_id', '=', tx.org).where('id', '=', id)
}

function bulkRevocation(row: Awaited<ReturnType<ReturnType<typeof bulks>['executeTakeFirstOrThrow']>>): BulkRevocation {
  return {
    id: row.id,
    filter: {
      place: {
        ...(row.project_id === null ? {} : { project: row.project_id }),
        ...(row.environment === null ? {} : { environment: row.environment }),
      },
      integration: row.integration_id ?? undefined,
      provider: row.provider ?? undefined,
    },
    requestedBy: row.requested_by,
    state: row.state,
    found: Number(row.found),
    ended: Number(row.ended),
    lastId: row.last_id,
    madeAt: row.made_at,
    finishedAt: row.finished_at,
  }
}

function revocations(tx: TenantTx) {
  return tx.selectFrom('sallyport.revocation').selectAll().select(now().as('now')).where('org_id', '=', tx.org)
}

function attemptOf(tx: TenantTx, id: RevocationId, attempt: number) {
  return tx
    .updateTable('sallyport.revocation')
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .where('state', '=', 'waiting')
    .where('attempts', '=', attempt)
}

function revocation(row: Awaited<ReturnType<ReturnType<typeof revocations>['executeTakeFirstOrThrow']>>): GrantRevocation {
  return {
    id: row.id,
    integration: row.integration_id,
    connection: row.connection_id,
    accountId: row.account_id,
    cause: row.cause,
    state: row.state,
    reason: row.reason,
    sealed: row.sealed,
    attempts: row.attempts,
    madeAt: row.made_at,
    now: row.now,
  }
}

function after(seconds: number) {
  return sql<Date>`clock_timestamp() + make_interval(secs => ${seconds}::double precision)`
}

function now() {
  return sql<Date>`clock_timestamp()`
}
