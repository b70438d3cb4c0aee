/** Owns the rows of organizations. Refuses to list them: nothing sees more than its own. */
import type { Selectable } from 'kysely'
import type { OrgId } from '@sallyport/core'
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
