/** Owns the rows of integrations: an organization's registered client at a provider. The client secret stays sealed here. */
import type { Selectable } from 'kysely'
import type { Environment, IntegrationId, ProjectId } from '@sallyport/core'
import type { Schema } from '../schema.ts'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'
import { PLAIN_CALLS, readCallPolicy } from './call-policy.ts'
import type { CallPolicy } from './call-policy.ts'
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
  readonly callPolicy: CallPolicy
  readonly createdAt: Date
}

/** Without a policy its calls pass through as they come. */
export type NewIntegration = Omit<Integration, 'callPolicy' | 'createdAt'> & { readonly callPolicy?: CallPolicy }

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
      call_policy: JSON.stringify(made.callPolicy ?? PLAIN_CALLS),
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

/**
 * The same by its id. `ending`: it is about to go, so whoever adds a connection, a link or a revocation to it waits, and then finds it gone; otherwise
 * only others who would change it wait.
 */
export async function integrationHold(tx: TenantTx, at: Place, id: IntegrationId, ending = false): Promise<Integration | undefined> {
  const wanted = inPlace(tx, at).where('id', '=', id)
  const row = await (ending ? wanted.forUpdate() : wanted.forNoKeyUpdate()).executeTakeFirst()
  return row && integration(row)
}

/** Of one that the transaction holds. Whoever reads it from the commit on, on any node, reads what is new. */
export async function integrationChange(
  tx: TenantTx,
  id: IntegrationId,
  to: Pick<Integration, 'clientId' | 'clientSecret' | 'scopes' | 'callPolicy'>,
): Promise<Integration> {
  noteChange(tx, 'integration', id)
  const row = await tx
    .updateTable('sallyport.integration')
    .set({
      client_id: to.clientId,
      client_secret: to.clientSecret,
      scopes: [...to.scopes],
      call_policy: JSON.stringify(to.callPolicy),
    })
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
  return integration(row)
}

/** What still needs the client at its provider: connections that live, and grants that the provider is still to be told of. */
export async function integrationNeeds(
  tx: TenantTx,
  id: IntegrationId,
): Promise<{ readonly connections: boolean; readonly revocations: boolean }> {
  const connection = await tx
    .selectFrom('sallyport.connection')
    .select('id')
    .where('org_id', '=', tx.org)
    .where('integration_id', '=', id)
    .where('status', '<>', 'revoked')
    .limit(1)
    .executeTakeFirst()
  const revocation = await tx
    .selectFrom('sallyport.revocation')
    .select('id')
    .where('org_id', '=', tx.org)
    .where('integration_id', '=', id)
    .where('state', '=', 'waiting')
    .limit(1)
    .executeTakeFirst()
  return { connections: connection !== undefined, revocations: revocation !== undefined }
}

/** The client that it is at its provider, which stays so until the transaction ends. Undefined when it is gone. */
export async function integrationClientHeld(tx: TenantTx, id: IntegrationId): Promise<string | undefined> {
  const row = await tx
    .selectFrom('sallyport.integration')
    .select('client_id')
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .forShare()
    .executeTakeFirst()
  return row?.client_id
}

/** With everything that hangs on it. The policy `unneeded` refuses one that is needed: false then. */
export async function integrationRemove(tx: TenantTx, id: IntegrationId): Promise<boolean> {
  noteChange(tx, 'integration', id)
  const { numDeletedRows } = await tx
    .deleteFrom('sallyport.integration')
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .executeTakeFirst()
  return numDeletedRows === 1n
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
    callPolicy: readCallPolicy(row.call_policy),
    createdAt: row.created_at,
  }
}
