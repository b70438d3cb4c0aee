/** Owns the rows of organizations. Refuses to list them: nothing sees more than its own. */
import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import type { OrgId, UserId } from '@sallyport/core'
import type { OrganizationState, Schema } from '../schema.ts'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'

export interface Organization {
  readonly id: OrgId
  readonly name: string
  readonly state: OrganizationState
  readonly createdAt: Date
}

/** Makes the organization that the transaction names. @throws DatabaseError `conflict` when it exists. */
export async function organizationCreate(tx: TenantTx, made: { name: string }): Promise<Organization> {
  const row = await tx.insertInto('sallyport.organization').values({ id: tx.org, name: made.name }).returningAll().executeTakeFirstOrThrow()
  return organization(row)
}

/** What is made under an `Idempotency-Key`, as keyed hashes of it and of the request. */
export interface OnceMade {
  readonly keyHash: Buffer
  readonly requestHash: Buffer
}

/**
 * What was made under the key within a day, or the transaction's own organization, which is to be made then. Waits for whoever makes it at the same
 * moment. See 0035_organizations_once.sql.
 */
export async function organizationCreateOnce(
  tx: TenantTx,
  { keyHash, requestHash }: OnceMade,
): Promise<{ readonly org: OrgId; readonly requestHash: Buffer; readonly madeAt: Date }> {
  const { rows } = await sql<{ request_hash: Buffer; org_id: OrgId; made_at: Date }>`
    select * from sallyport.organization_creation_once(${keyHash}, ${requestHash}, ${tx.org})`.execute(tx)
  const { request_hash, org_id, made_at } = rows[0]!
  return { org: org_id, requestHash: request_hash, madeAt: made_at }
}

/** How many organizations a person owns: exact until the transaction ends, for which others who count the same person's wait. */
export async function organizationsOwned(tx: TenantTx, person: UserId): Promise<number> {
  const { rows } = await sql<{ n: string }>`select sallyport.organizations_owned(${person}) as n`.execute(tx)
  return Number(rows[0]!.n)
}

/**
 * Whether the installation has an organization. Held until the transaction ends: of two that make the first one, the second sees what the other made.
 */
export async function installationHold(tx: TenantTx): Promise<{ readonly hasOrganizations: boolean }> {
  await sql`select pg_advisory_xact_lock(hashtextextended('sallyport/first-organization', 0))`.execute(tx)
  const { rows } = await sql`select sallyport.organization_page(null, 1)`.execute(tx)
  return { hasOrganizations: rows.length > 0 }
}

/** The transaction's own organization. */
export async function organizationFind(tx: TenantTx): Promise<Organization | undefined> {
  const row = await tx.selectFrom('sallyport.organization').selectAll().where('id', '=', tx.org).executeTakeFirst()
  return row && organization(row)
}

/**
 * The same, held: whoever decides on its members or its end waits here for whoever does the same, and then sees what that one did. Nobody
 * else waits: rows that only belong to it are added and changed meanwhile.
 */
export async function organizationHold(tx: TenantTx): Promise<Organization | undefined> {
  const row = await tx.selectFrom('sallyport.organization').selectAll().where('id', '=', tx.org).forNoKeyUpdate().executeTakeFirst()
  return row && organization(row)
}

export async function organizationRename(tx: TenantTx, name: string): Promise<Organization | undefined> {
  const row = await tx.updateTable('sallyport.organization').set({ name }).where('id', '=', tx.org).returningAll().executeTakeFirst()
  noteChange(tx, 'organization', tx.org)
  return row && organization(row)
}

function organization(row: Selectable<Schema['sallyport.organization']>): Organization {
  return { id: row.id, name: row.name, state: row.state, createdAt: row.created_at }
}
