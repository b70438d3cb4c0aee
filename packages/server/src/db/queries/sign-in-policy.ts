/** Owns how the people of an organization must have signed in, as a row. What it means is judged in identity/sign-in-policy.ts. */
import { sql } from 'kysely'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'

export interface SignInPolicyRow {
  /** JSON, unjudged. */
  readonly ways: unknown
  readonly breakGlass: boolean
  readonly updatedAt: Date
}

export async function signInPolicyFind(tx: TenantTx): Promise<SignInPolicyRow | undefined> {
  const row = await tx.selectFrom('sallyport.sign_in_policy').selectAll().where('org_id', '=', tx.org).executeTakeFirst()
  return row && { ways: row.ways, breakGlass: row.break_glass, updatedAt: row.updated_at }
}

/** Puts the policy in place of the one before. `ways` has 1 to 20 entries. */
export async function signInPolicyPut(tx: TenantTx, policy: { ways: readonly unknown[]; breakGlass: boolean }): Promise<SignInPolicyRow> {
  const values = { ways: JSON.stringify(policy.ways), break_glass: policy.breakGlass }
  const row = await tx
    .insertInto('sallyport.sign_in_policy')
    .values({ org_id: tx.org, ...values })
    .onConflict((conflict) => conflict.column('org_id').doUpdateSet({ ...values, updated_at: sql<Date>`now()` }))
    .returningAll()
    .executeTakeFirstOrThrow()
  noteChange(tx, 'organization', tx.org)
  return { ways: row.ways, breakGlass: row.break_glass, updatedAt: row.updated_at }
}

/** False when there was none. */
export async function signInPolicyRemove(tx: TenantTx): Promise<boolean> {
  const { numDeletedRows } = await tx.deleteFrom('sallyport.sign_in_policy').where('org_id', '=', tx.org).executeTakeFirst()
  noteChange(tx, 'organization', tx.org)
  return numDeletedRows > 0n
}
