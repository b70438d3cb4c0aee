/**
 * Owns the rows of connections: one account of one end user at one integration. Refuses changes that don't name the generation or head
 * they were decided on: of two that race, one finds nothing to change.
 */
import { sql } from 'kysely'
import type { ConnectionId, Environment, IntegrationId, ProjectId, RefreshTrouble } from '@sallyport/core'
import type { ConnectionStatus, IntentState } from '../schema.ts'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'
import { integrationFindBySlug } from './integration.ts'
import type { Page, Place } from './page.ts'

export interface Connection {
  readonly id: ConnectionId
  readonly project: ProjectId
  readonly environment: Environment
  readonly integration: IntegrationId
  readonly integrationSlug: string
  readonly provider: string
  /** Scopes asked of the provider; missing are those that were not granted. */
  readonly requiredScopes: readonly string[]
  readonly endUserId: string
  readonly status: ConnectionStatus
  readonly generation: number
  /** 0n: no credential yet. */
  readonly headSeq: bigint
  readonly grantedScopes: readonly string[]
  readonly account: { readonly id: string; readonly label: string | null } | null
  /** When the head credential expires; null when it does not, or there is none. */
  readonly tokenExpiresAt: Date | null
  /** The state of a refresh under way; null when there is none. */
  readonly refreshing: IntentState | null
  readonly failure: ConnectionFailure | null
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** Why the credential could not be refreshed, until it could. All by the database's clock. */
export interface ConnectionFailure {
  readonly trouble: RefreshTrouble
  /** The first failure in a row, and the last. */
  readonly since: Date
  readonly at: Date
  readonly failures: number
  /** Not tried before. */
  readonly retryAt: Date
}

export interface NewConnection extends Place {
  readonly id: ConnectionId
  readonly integration: IntegrationId
  readonly endUserId: string
}

export interface Activation {
  /** The generation this was decided on. */
  readonly generation: number
  readonly status: Extract<ConnectionStatus, 'active' | 'insufficient_scope'>
  readonly grantedScopes: readonly string[]
  readonly account: { readonly id: string; readonly label: string | null } | null
}

/** Makes a pending connection. @throws DatabaseError `conflict` when the integration isn't in this place. */
export async function connectionInsert(tx: TenantTx, made: NewConnection): Promise<void> {
  await tx
    .insertInto('sallyport.connection')
    .values({
      org_id: tx.org,
      id: made.id,
      project_id: made.project,
      environment: made.environment,
      integration_id: made.integration,
      end_user_id: made.endUserId,
      status: 'pending',
    })
    .execute()
}

export async function connectionFind(tx: TenantTx, at: Place, id: ConnectionId): Promise<Connection | undefined> {
  const row = await inPlace(tx, at).where('c.id', '=', id).executeTakeFirst()
  return row && connection(row)
}

/** In whichever place of the organization: for telling a caller that a connection is its own, but not here. */
export async function connectionFindAnywhere(tx: TenantTx, id: ConnectionId): Promise<Connection | undefined> {
  const row = await described(tx).where('c.id', '=', id).executeTakeFirst()
  return row && connection(row)
}

/** Oldest first; index connection_list, connection_by_integration, or those by user when one is given. */
export async function connectionList(
  tx: TenantTx,
  at: Place,
  filter: { integrationSlug?: string | undefined; endUserId?: string | undefined },
  page: Page<ConnectionId>,
): Promise<Connection[]> {
  const of = filter.integrationSlug === undefined ? undefined : await integrationFindBySlug(tx, at, filter.integrationSlug)
  if (of === undefined && filter.integrationSlug !== undefined) return []
  // Asked for by its id, which is of one place alone: by its slug, a few connections would be looked for among all of the environment's.
  const rows = await (of === undefined ? inPlace(tx, at) : described(tx).where('c.integration_id', '=', of.id))
    .$if(filter.endUserId !== undefined, (query) => query.where('c.end_user_id', '=', filter.endUserId!))
    .$if(page.after !== undefined, (query) => query.where('c.id', '>', page.after!))
    .orderBy('c.id')
    .limit(page.limit)
    .execute()
  return rows.map(connection)
}

/** A connection of this user and account that has not ended. Index connection_by_user. */
export async function connectionFindOfAccount(
  tx: TenantTx,
  of: { readonly integration: IntegrationId; readonly endUserId: string; readonly account: string },
): Promise<ConnectionId | undefined> {
  const row = await tx
    .selectFrom('sallyport.connection')
    .select('id')
    .where('org_id', '=', tx.org)
    .where('integration_id', '=', of.integration)
    .where('end_user_id', '=', of.endUserId)
    .where('account_id', '=', of.account)
    .where('status', 'not in', ['pending', 'revoked'])
    .executeTakeFirst()
  return row?.id
}

/** False when the connection is gone or of another generation. */
export async function connectionSetStatus(
  tx: TenantTx,
  id: ConnectionId,
  from: { generation: number },
  status: ConnectionStatus,
): Promise<boolean> {
  const { numUpdatedRows } = await ofGeneration(tx, id, from.generation).set({ status, updated_at: now() }).executeTakeFirst()
  return numUpdatedRows === 1n
}

/** Makes a connection usable. False when it is gone or of another generation. */
export async function connectionActivate(tx: TenantTx, id: ConnectionId, activation: Activation): Promise<boolean> {
  const { numUpdatedRows } = await ofGeneration(tx, id, activation.generation)
    .set({
      status: activation.status,
      granted_scopes: [...activation.grantedScopes],
      account_id: activation.account?.id ?? null,
      account_label: activation.account?.label ?? null,
      updated_at: now(),
    })
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

function ofGeneration(tx: TenantTx, id: ConnectionId, generation: number) {
  noteChange(tx, 'connection', id)
  return tx.updateTable('sallyport.connection').where('org_id', '=', tx.org).where('id', '=', id).where('generation', '=', generation)
}

function inPlace(tx: TenantTx, at: Place) {
  return described(tx).where('c.project_id', '=', at.project).where('c.environment', '=', at.environment)
}

function described(tx: TenantTx) {
  return tx
    .selectFrom('sallyport.connection as c')
    .innerJoin('sallyport.integration as i', (join) => join.onRef('i.org_id', '=', 'c.org_id').onRef('i.id', '=', 'c.integration_id'))
    .leftJoin('sallyport.credential_version as v', (join) =>
      join.onRef('v.org_id', '=', 'c.org_id').onRef('v.connection_id', '=', 'c.id').onRef('v.seq', '=', 'c.head_seq'),
    )
    .leftJoin('sallyport.refresh_intent as r', (join) => join.onRef('r.org_id', '=', 'c.org_id').onRef('r.connection_id', '=', 'c.id'))
    .selectAll('c')
    .select(['i.slug', 'i.provider', 'i.scopes as required_scopes', 'v.expires_at as token_expires_at', 'r.state as refreshing'])
    .where('c.org_id', '=', tx.org)
}

type Row = Awaited<ReturnType<ReturnType<typeof inPlace>['executeTakeFirstOrThrow']>>

function connection(row: Row): Connection {
  return {
    id: row.id,
    project: row.project_id,
    environment: row.environment,
    integration: row.integration_id,
    integrationSlug: row.slug,
    provider: row.provider,
    requiredScopes: row.required_scopes,
    endUserId: row.end_user_id,
    status: row.status,
    generation: row.generation,
    headSeq: BigInt(row.head_seq),
    grantedScopes: row.granted_scopes,
    account: row.account_id === null ? null : { id: row.account_id, label: row.account_label },
    tokenExpiresAt: row.token_expires_at,
    refreshing: row.refreshing,
    failure: failureOf(row),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

/** The constraint `connection_failure` holds the columns together. */
export function failureOf(row: {
  readonly trouble: RefreshTrouble | null
  readonly failing_since: Date | null
  readonly failed_at: Date | null
  readonly retry_at: Date | null
  readonly failures: number
}): ConnectionFailure | null {
  if (row.trouble === null || row.failing_since === null || row.failed_at === null || row.retry_at === null) return null
  return { trouble: row.trouble, since: row.failing_since, at: row.failed_at, failures: row.failures, retryAt: row.retry_at }
}

function now() {
  return sql<Date>`clock_timestamp()`
}
