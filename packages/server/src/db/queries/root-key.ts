/**
 * Owns changes of root keys' rows, and of the installation's secrets under them, that share a transaction with their audit event; what is read of them is system.ts's. The rows are the installation's: no organization's row security stands before them.
 */
import { sql } from 'kysely'
import type { TenantTx } from '../tenant.ts'

/** Makes a root key known unless its id is; gives the check value that is stored afterwards, and whether this call did it. */
export async function rootKeyAdd(
  tx: TenantTx,
  id: string,
  check: Uint8Array,
): Promise<{ readonly stored: Buffer; readonly added: boolean }> {
  const { rows } = await sql<{ stored: Buffer; added: boolean }>`select stored, added from sallyport.root_key_add(${id}, ${check})`.execute(
    tx,
  )
  return rows[0]!
}

/** Forgets a root key. False when it isn't known. The transaction fails with `conflict` when something is still wrapped under it. */
export async function rootKeyDelete(tx: TenantTx, id: string): Promise<boolean> {
  const { numDeletedRows } = await tx.deleteFrom('sallyport.root_key').where('id', '=', id).executeTakeFirst()
  return numDeletedRows === 1n
}

/** Marks a root key known since before `madeBefore` as overdue, once a day however many ask. True: this call did. */
export async function rootKeyNoteOverdue(tx: TenantTx, id: string, madeBefore: Date): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('sallyport.root_key')
    .set({ overdue_noted_at: sql<Date>`clock_timestamp()` })
    .where('id', '=', id)
    .where('created_at', '<', madeBefore)
    .where(sql<boolean>`(overdue_noted_at is null or overdue_noted_at < clock_timestamp() - interval '1 day')`)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** Puts another sealing of the same secret in place of `was`. False when that no longer stands there. */
export async function systemSecretReplace(tx: TenantTx, name: string, was: Uint8Array, now: Uint8Array): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update sallyport.system_secret set sealed = ${now} where name = ${name} and sealed = ${was}`.execute(tx)
  return numAffectedRows === 1n
}
