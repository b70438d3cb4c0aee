/** Owns the rows of limits that were set. Whoever has none goes by the installation's standard. */
import { sql } from 'kysely'
import type { KeyId, OrgId, ProjectId } from '@sallyport/core'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'

/** Whose limit it is. The organization's own is the transaction's. */
export type RateLimitHolder =
  | { readonly kind: 'organization'; readonly id: OrgId }
  | { readonly kind: 'project'; readonly id: ProjectId }
  | { readonly kind: 'key'; readonly id: KeyId }

export interface RateLimitRow {
  readonly id: OrgId | ProjectId | KeyId
  readonly perSecond: number
  readonly burst: number
  readonly changedAt: Date
}

/** Those that were set, of the ids that are asked for; by primary key. */
export async function rateLimitFind(tx: TenantTx, ids: readonly string[]): Promise<RateLimitRow[]> {
  const rows = await tx
    .selectFrom('sallyport.rate_limit')
    .select(['id', 'per_second', 'burst', 'changed_at'])
    .where('org_id', '=', tx.org)
    .where('id', 'in', [...ids] as RateLimitRow['id'][])
    .execute()
  return rows.map(({ id, per_second, burst, changed_at }) => ({ id, perSecond: per_second, burst, changedAt: changed_at }))
}

/** Sets the limit, new or again. @throws DatabaseError `conflict` when there is no such holder. */
export async function rateLimitPut(
  tx: TenantTx,
  { kind, id }: RateLimitHolder,
  { perSecond, burst }: { readonly perSecond: number; readonly burst: number },
): Promise<void> {
  await tx
    .insertInto('sallyport.rate_limit')
    .values({ org_id: tx.org, id, holder: kind, per_second: perSecond, burst })
    .onConflict((conflict) =>
      conflict.columns(['org_id', 'id']).doUpdateSet({ per_second: perSecond, burst, changed_at: sql<Date>`clock_timestamp()` }),
    )
    .execute()
  noteChange(tx, 'rate_limit', id)
}

/** Back to the standard. */
export async function rateLimitDelete(tx: TenantTx, { id }: RateLimitHolder): Promise<void> {
  await tx.deleteFrom('sallyport.rate_limit').where('org_id', '=', tx.org).where('id', '=', id).execute()
  noteChange(tx, 'rate_limit', id)
}
