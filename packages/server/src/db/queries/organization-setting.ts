/** Owns the rows of what organizations have settled. Refuses to know what a name means: that is the contract's. */
import { sql } from 'kysely'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'

export interface StoredSetting {
  readonly name: string
  readonly value: unknown
  readonly updatedBy: string
  readonly updatedAt: Date
}

export async function settingList(tx: TenantTx): Promise<StoredSetting[]> {
  const rows = await tx.selectFrom('sallyport.organization_setting').selectAll().where('org_id', '=', tx.org).orderBy('name').execute()
  return rows.map((row) => ({ name: row.name, value: row.value, updatedBy: row.updated_by, updatedAt: row.updated_at }))
}

/** Puts a value, whatever was there. All nodes hear that the organization changed. */
export async function settingPut(tx: TenantTx, name: string, value: unknown, by: string): Promise<void> {
  const written = { value: JSON.stringify(value), updated_by: by, updated_at: sql<Date>`clock_timestamp()` }
  await tx
    .insertInto('sallyport.organization_setting')
    .values({ org_id: tx.org, name, ...written })
    .onConflict((conflict) => conflict.columns(['org_id', 'name']).doUpdateSet(written))
    .execute()
  noteChange(tx, 'organization', tx.org)
}
