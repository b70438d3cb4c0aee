/** Owns the rows of organizations. Refuses to list them: nothing sees more than its own. */
import type { OrgId } from '@sallyport/core'
import type { AuditUseMode, Schema } from '../schema.ts'
import type { TenantTx } from '../tenant.ts'
import type { Selectable } from 'kysely'

export interface Organization {
  readonly id: OrgId
  readonly name: string
  readonly auditUseMode: AuditUseMode
  readonly createdAt: Date
}

/** Makes the organization that the transaction names. @throws DatabaseError `conflict` when it exists. */
export async function organizationCreate(tx: TenantTx, made: { name: string; auditUseMode?: AuditUseMode }): Promise<Organization> {
  const row = await tx
    .insertInto('sallyport.organization')
    .values({ id: tx.org, name: made.name, audit_use_mode: made.auditUseMode ?? 'batched' })
    .returningAll()
    .executeTakeFirstOrThrow()
  return organization(row)
}

/** The transaction's own organization. */
export async function organizationFind(tx: TenantTx): Promise<Organization | undefined> {
  const row = await tx.selectFrom('sallyport.organization').selectAll().where('id', '=', tx.org).executeTakeFirst()
  return row && organization(row)
}

export async function organizationSetAuditUseMode(tx: TenantTx, mode: AuditUseMode): Promise<Organization | undefined> {
  const row = await tx
    .updateTable('sallyport.organization')
    .set({ audit_use_mode: mode })
    .where('id', '=', tx.org)
    .returningAll()
    .executeTakeFirst()
  return row && organization(row)
}

function organization(row: Selectable<Schema['sallyport.organization']>): Organization {
  return { id: row.id, name: row.name, auditUseMode: row.audit_use_mode, createdAt: row.created_at }
}
