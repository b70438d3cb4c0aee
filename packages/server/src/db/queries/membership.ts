/** Owns who belongs to an organization, and as what. */
import type { Role } from '@sallyport/contract'
import type { UserId } from '@sallyport/core'
import type { TenantTx } from '../tenant.ts'

/** Gives the person this role, whatever it had. @throws DatabaseError `conflict` when there is no such person or organization. */
export async function membershipPut(tx: TenantTx, person: UserId, role: Role): Promise<void> {
  await tx
    .insertInto('sallyport.membership')
    .values({ org_id: tx.org, person_id: person, role })
    .onConflict((conflict) => conflict.columns(['org_id', 'person_id']).doUpdateSet({ role }))
    .execute()
}

export async function membershipList(tx: TenantTx): Promise<{ person: UserId; role: Role; createdAt: Date }[]> {
  const rows = await tx.selectFrom('sallyport.membership').selectAll().where('org_id', '=', tx.org).orderBy('person_id').execute()
  return rows.map((row) => ({ person: row.person_id, role: row.role, createdAt: row.created_at }))
}
