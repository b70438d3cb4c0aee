/**
 * Owns the rows of wrapped data keys. Refuses a second current one: of two makers, one stores. Every change names the state it was decided on,
 * so that of two that decide alike one changes something and the other finds out.
 */
import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import type { DataKeyId } from '@sallyport/core'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'
import type { Schema } from '../schema.ts'

/** A data key that there is. */
export interface DataKey {
  readonly id: DataKeyId
  /** The root key it is wrapped under. */
  readonly rootKeyId: string
  readonly wrapped: Buffer
  readonly status: 'current' | 'previous'
  readonly createdAt: Date
  /** Since when it only opens. */
  readonly retiredAt: Date | null
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

/** Undefined for a destroyed one too. */
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

/** Every key that there is, oldest first. */
export async function dataKeyList(tx: TenantTx): Promise<DataKey[]> {
  const rows = await tx.selectFrom('sallyport.data_key').selectAll().where('org_id', '=', tx.org).orderBy('id').execute()
  return rows.flatMap((row) => dataKey(row) ?? [])
}

/** Makes `id` a previous key. False when it isn't the current one any more. Waits for another transaction that does the same. */
export async function dataKeyRetire(tx: TenantTx, id: DataKeyId): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('sallyport.data_key')
    .set({ status: 'previous', retired_at: sql<Date>`clock_timestamp()` })
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .where('status', '=', 'current')
    .executeTakeFirst()
  noteChange(tx, 'data_key', id)
  return numUpdatedRows === 1n
}

/** Puts another wrapping of the same key in place of `was`. False when that no longer stands there. */
export async function dataKeyRewrap(
  tx: TenantTx,
  id: DataKeyId,
  was: Buffer,
  now: { rootKeyId: string; wrapped: Buffer },
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('sallyport.data_key')
    .set({ root_key_id: now.rootKeyId, wrapped: now.wrapped })
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .where('wrapped', '=', was)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/**
 * Forgets a previous key. False when there is none of this id. The transaction fails with `conflict`, at its end, when anything is still
 * sealed under it.
 */
export async function dataKeyDelete(tx: TenantTx, id: DataKeyId): Promise<boolean> {
  const { numDeletedRows } = await tx
    .deleteFrom('sallyport.data_key')
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .where('status', '=', 'previous')
    .executeTakeFirst()
  noteChange(tx, 'data_key', id)
  return numDeletedRows === 1n
}

/**
 * How many refreshes that began until an hour after the key was retired are not over: what comes of them may wait outside the database, sealed under it.
 * A node that has not heard of a rotation yet goes on sealing under the key it knows.
 */
export async function dataKeyCountAwaited(tx: TenantTx, id: DataKeyId): Promise<number> {
  const { count } = await tx
    .selectFrom('sallyport.refresh_intent as i')
    .innerJoin('sallyport.data_key as k', (join) => join.onRef('k.org_id', '=', 'i.org_id').on('k.id', '=', id))
    .select(sql<string>`count(*)`.as('count'))
    .where('i.org_id', '=', tx.org)
    .where(sql<boolean>`i.started_at < k.retired_at + interval '1 hour'`)
    .executeTakeFirstOrThrow()
  return Number(count)
}

/** Destroys every key of the organization for good: what they sealed stays and can't be opened. Answers which keys those were. */
export async function dataKeyDestroyAll(tx: TenantTx): Promise<DataKeyId[]> {
  const rows = await tx
    .updateTable('sallyport.data_key')
    .set({ status: 'destroyed', wrapped: null, root_key_id: null })
    .where('org_id', '=', tx.org)
    .where('status', '<>', 'destroyed')
    .returning('id')
    .execute()
  for (const { id } of rows) noteChange(tx, 'data_key', id)
  return rows.map(({ id }) => id)
}

/** Marks a current key made before `madeBefore` as overdue, once a day however many ask. True: this call did. */
export async function dataKeyNoteOverdue(tx: TenantTx, id: DataKeyId, madeBefore: Date): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('sallyport.data_key')
    .set({ overdue_noted_at: sql<Date>`clock_timestamp()` })
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .where('status', '=', 'current')
    .where('created_at', '<', madeBefore)
    .where(sql<boolean>`(overdue_noted_at is null or overdue_noted_at < clock_timestamp() - interval '1 day')`)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

function dataKey(row: Selectable<Schema['sallyport.data_key']>): DataKey | undefined {
  const { status, wrapped, root_key_id: rootKeyId } = row
  if (status === 'destroyed' || wrapped === null || rootKeyId === null) return undefined
  return { id: row.id, rootKeyId, wrapped, status, createdAt: row.created_at, retiredAt: row.retired_at }
}
