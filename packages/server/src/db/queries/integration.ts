/** Owns the rows of integrations: an organization's registered client at a provider. The client secret stays sealed here. */
import type { Selectable } from 'kysely'
import type { Environment, IntegrationId, ProjectId } from '@sallyport/core'
import type { Schema } from '../schema.ts'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'
import type { Page, Place } from './page.ts'

export interface Integration {
  readonly id: IntegrationId
  readonly project: ProjectId
  readonly environment: Environment
  readonly slug: string
  readonly provider: string
  /** The last segment of its redirect URI. */
  readonly context: string
  readonly clientId: string
  /** An envelope, sealed to this row. */
  readonly clientSecret: Buffer
  readonly scopes: readonly string[]
  readonly createdAt: Date
}

export type NewIntegration = Omit<Integration, 'createdAt'>

/** @throws DatabaseError `conflict` when the slug is taken in this place, or the project doesn't exist. */
export async function integrationInsert(tx: TenantTx, made: NewIntegration): Promise<Integration> {
  noteChange(tx, 'integration', made.id)
  const row = await tx
    .insertInto('sallyport.integration')
    .values({
      org_id: tx.org,
      id: made.id,
      project_id: made.project,
      environment: made.environment,
      slug: made.slug,
      provider: made.provider,
      context: made.context,
      client_id: made.clientId,
      client_secret: made.clientSecret,
      scopes: [...made.scopes],
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  return integration(row)
}

/** Oldest first. */
export async function integrationList(tx: TenantTx, at: Place, page: Page<IntegrationId>): Promise<Integration[]> {
  const rows = await inPlace(tx, at)
    .$if(page.after !== undefined, (query) => query.where('id', '>', page.after!))
    .orderBy('id')
    .limit(page.limit)
    .execute()
  return rows.map(integration)
}

export async function integrationFind(tx: TenantTx, at: Place, id: IntegrationId): Promise<Integration | undefined> {
  const row = await inPlace(tx, at).where('id', '=', id).executeTakeFirst()
  return row && integration(row)
}

export async function integrationFindBySlug(tx: TenantTx, at: Place, slug: string): Promise<Integration | undefined> {
  const row = await inPlace(tx, at).where('slug', '=', slug).executeTakeFirst()
  return row && integration(row)
}

/** The same, held against others that hold it until the transaction ends: they stand in line. */
export async function integrationHoldBySlug(tx: TenantTx, at: Place, slug: string): Promise<Integration | undefined> {
  const row = await inPlace(tx, at).where('slug', '=', slug).forNoKeyUpdate().executeTakeFirst()
  return row && integration(row)
}

/** By the segment that a callback arrived at. */
export async function integrationFindByContext(tx: TenantTx, context: string): Promise<Integration | undefined> {
  const row = await tx
    .selectFrom('sallyport.integration')
    .selectAll()
    .where('org_id', '=', tx.org)
    .where('context', '=', context)
    .executeTakeFirst()
  return row && integration(row)
}

function inPlace(tx: TenantTx, at: Place) {
  return tx
    .selectFrom('sallyport.integration')
    .selectAll()
    .where('org_id', '=', tx.org)
    .where('project_id', '=', at.project)
    .where('environment', '=', at.environment)
}

function integration(row: Selectable<Schema['sallyport.integration']>): Integration {
  return {
    id: row.id,
    project: row.project_id,
    environment: row.environment,
    slug: row.slug,
    provider: row.provider,
    context: row.context,
    clientId: row.client_id,
    clientSecret: row.client_secret,
    scopes: row.scopes,
    createdAt: row.created_at,
  }
}
