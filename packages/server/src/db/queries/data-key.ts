/** Owns the rows of wrapped data keys. Refuses a second current one: of two makers, one stores. */
import type { Selectable } from 'kysely'
import type { DataKeyId } from '@sallyport/core'
import type { DataKeyStatus, Schema } from '../schema.ts'
import type { TenantTx } from '../tenant.ts'

export interface DataKey {
  readonly id: DataKeyId
  /** The root key it is wrapped under. */
  readonly rootKeyId: string
  readonly wrapped: Buffer
  readonly status: DataKeyStatus
  readonly createdAt: Date
}

/** Stores a current data key unless the organization has one. False when it had. */
export async function dataKeyInsert(tx: TenantTx, key: { id: DataKeyId; rootKeyId: string; wrapped: Buffer }): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('sallyport.data_key')
    .values({ org_id: tx.org, id: key.id, root_key_id: key.rootKeyId, wrapped: key.wrapped, status: 'current' })
    .onConflict((conflict) => conflict.column('org_id').where('status', '=', 'current').doNothing())
    .executeTakeFirst()
  return numInsertedOrUpdatedRows === 1n
}

export async function dataKeyFind(tx: TenantTx, id: DataKeyId): Promise<DataKey | undefined> {
  const row = await tx.selectFrom('sallyport.data_key').selectAll().where('org_id', '=', tx.org).where('id', '=', id).executeTakeFirst()
  return row && dataKey(row)
}

/** The one that seals. */
export async function dataKeyFindCurrent(tx: TenantTx): Promise<DataKey | undefined> {
  const row = await tx
    .selectFrom('sallyport.data_key')
    .selectAll()
    .where('org_id', '=', tx.org)
    .where('status', '=', 'current')
    .executeTakeFirst()
  return row && dataKey(row)
}

export async function dataKeyList(tx: TenantTx): Promise<DataKey[]> {
  const rows = await tx.selectFrom('sallyport.data_key').selectAll().where('org_id', '=', tx.org).orderBy('id').execute()
  return rows.map(dataKey)
}

function dataKey(row: Selectable<Schema['sallyport.data_key']>): DataKey {
  return { id: row.id, rootKeyId: row.root_key_id, wrapped: row.wrapped, status: row.status, createdAt: row.created_at }
}
