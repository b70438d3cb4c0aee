/** Owns the rows of organizations on their way out, and the statements by which they go. Refuses to delete one that is not told to; so does the database. */
import { sql } from 'kysely'
import type { BulkRevocationId } from '@sallyport/core'
import type { DeletionState } from '../schema.ts'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'

export interface OrganizationDeletion {
  readonly state: DeletionState
  readonly requestedBy: string
  readonly requestedAt: Date
  /** Until when it can be taken back. */
  readonly dueAt: Date
  /** Null while it waits. */
  readonly bulk: BulkRevocationId | null
  /** By the database's clock, when it was read: whether the providers had their time. */
  readonly outOfPatience: boolean
}

/** Closes the organization from the commit on. @throws DatabaseError `conflict` when it is closed already. */
export async function deletionInsert(
  tx: TenantTx,
  made: { readonly requestedBy: string; readonly graceS: number; readonly patienceS: number },
): Promise<OrganizationDeletion> {
  await tx
    .insertInto('sallyport.organization_deletion')
    .values({
      org_id: tx.org,
      requested_by: made.requestedBy,
      due_at: sql<Date>`clock_timestamp() + make_interval(secs => ${made.graceS})`,
      patience_s: made.patienceS,
    })
    .execute()
  await setState(tx, 'deleting')
  return (await deletionFind(tx))!
}

export async function deletionFind(tx: TenantTx): Promise<OrganizationDeletion | undefined> {
  const row = await deletions(tx).executeTakeFirst()
  return row && deletion(row)
}

/** Held: of a step forward and a way back, one happens. */
export async function deletionHold(tx: TenantTx): Promise<OrganizationDeletion | undefined> {
  const row = await deletions(tx).forUpdate().executeTakeFirst()
  return row && deletion(row)
}

/** Opens the organization again. False when it is too late, or there was none. */
export async function deletionRemove(tx: TenantTx): Promise<boolean> {
  const { numDeletedRows } = await tx
    .deleteFrom('sallyport.organization_deletion')
    .where('org_id', '=', tx.org)
    .where('state', '=', 'waiting')
    .executeTakeFirst()
  if (numDeletedRows === 1n) await setState(tx, 'active')
  return numDeletedRows === 1n
}

export async function deletionRevoking(tx: TenantTx, bulk: BulkRevocationId): Promise<void> {
  await deletionOf(tx)
    .set({ state: 'revoking', bulk_id: bulk, revoking_since: sql<Date>`clock_timestamp()` })
    .where('state', '=', 'waiting')
    .execute()
}

export async function deletionDestroying(tx: TenantTx): Promise<void> {
  await deletionOf(tx).set({ state: 'destroying' }).where('state', '=', 'revoking').execute()
}

/** Nobody is given it for `seconds`. */
export async function deletionDelay(tx: TenantTx, seconds: number): Promise<void> {
  await deletionOf(tx)
    .set({ next_at: sql<Date>`clock_timestamp() + make_interval(secs => ${seconds}::double precision)` })
    .execute()
}

/** Deletes at most `most` rows, of one kind. 0: there are none left of which there may be many. */
export async function organizationPurge(tx: TenantTx, most: number): Promise<number> {
  const { rows } = await sql<{ gone: string }>`select sallyport.organization_purge(${most}) as gone`.execute(tx)
  return Number(rows[0]?.gone ?? 0)
}

/** Deletes the organization, with all that hangs on it. False when it isn't to go. */
export async function organizationEnd(tx: TenantTx): Promise<boolean> {
  const { rows } = await sql<{ ended: boolean }>`select sallyport.organization_end() as ended`.execute(tx)
  noteChange(tx, 'organization', tx.org)
  return rows[0]?.ended ?? false
}

async function setState(tx: TenantTx, state: 'active' | 'deleting'): Promise<void> {
  await tx.updateTable('sallyport.organization').set({ state }).where('id', '=', tx.org).execute()
  noteChange(tx, 'organization', tx.org)
}

function deletionOf(tx: TenantTx) {
  return tx.updateTable('sallyport.organization_deletion').where('org_id', '=', tx.org)
}

function deletions(tx: TenantTx) {
  return tx
    .selectFrom('sallyport.organization_deletion')
    .select(['state', 'requested_by', 'requested_at', 'due_at', 'bulk_id'])
    .select(sql<boolean>`coalesce(revoking_since + make_interval(secs => patience_s) <= clock_timestamp(), false)`.as('out_of_patience'))
    .where('org_id', '=', tx.org)
}

function deletion(row: Awaited<ReturnType<ReturnType<typeof deletions>['executeTakeFirstOrThrow']>>): OrganizationDeletion {
  return {
    state: row.state,
    requestedBy: row.requested_by,
    requestedAt: row.requested_at,
    dueAt: row.due_at,
    bulk: row.bulk_id,
    outOfPatience: row.out_of_patience,
  }
}
