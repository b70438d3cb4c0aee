/** Owns who belongs to an organization, and as what. People themselves belong to none: of them it reads no more than one function gives. */
import { sql } from 'kysely'
import type { Role } from '@sallyport/contract'
import type { UserId } from '@sallyport/core'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'
import type { Page } from './page.ts'

export interface Member {
  readonly person: UserId
  readonly role: Role
  readonly name: string
  /** As the person's issuer says it. */
  readonly email: string | null
  readonly emailVerified: boolean
  readonly createdAt: Date
}

/**
 * Gives the person this role, whatever it had. @throws DatabaseError `conflict` when there is no such person or organization;
 * `database_query_failed` when it would take the last owner away.
 */
export async function membershipPut(tx: TenantTx, person: UserId, role: Role): Promise<void> {
  await tx
    .insertInto('sallyport.membership')
    .values({ org_id: tx.org, person_id: person, role })
    .onConflict((conflict) => conflict.columns(['org_id', 'person_id']).doUpdateSet({ role }))
    .execute()
  noteChange(tx, 'membership', person)
}

/** False when the person was no member. @throws DatabaseError `database_query_failed` when it would take the last owner away. */
export async function membershipDelete(tx: TenantTx, person: UserId): Promise<boolean> {
  const { numDeletedRows } = await tx
    .deleteFrom('sallyport.membership')
    .where('org_id', '=', tx.org)
    .where('person_id', '=', person)
    .executeTakeFirst()
  noteChange(tx, 'membership', person)
  return numDeletedRows === 1n
}

/** Whether the person is a member, and held so until the end of the transaction: whoever takes them out meanwhile waits, and then finds what they made. */
export async function membershipHold(tx: TenantTx, person: UserId): Promise<boolean> {
  const row = await tx
    .selectFrom('sallyport.membership')
    .select('person_id')
    .where('org_id', '=', tx.org)
    .where('person_id', '=', person)
    .forShare()
    .executeTakeFirst()
  return row !== undefined
}

/** In the order of their ids. */
export async function memberList(tx: TenantTx, page: Page<UserId>): Promise<Member[]> {
  return members(tx, null, page.after ?? null, page.limit)
}

export async function memberFind(tx: TenantTx, person: UserId): Promise<Member | undefined> {
  return (await members(tx, person, null, 1))[0]
}

/** Behind `organizationHold` nobody changes it until the transaction ends. Those who made the organization first. */
export async function ownerList(tx: TenantTx): Promise<UserId[]> {
  const rows = await tx
    .selectFrom('sallyport.membership')
    .select('person_id')
    .where('org_id', '=', tx.org)
    .where('role', '=', 'OWNER')
    .orderBy('created_at')
    .execute()
  return rows.map(({ person_id: person }) => person)
}

interface MemberRow {
  readonly person_id: UserId
  readonly role: Role
  readonly created_at: Date
  readonly name: string
  readonly email: string | null
  readonly email_verified: boolean
}

async function members(tx: TenantTx, wanted: UserId | null, after: UserId | null, most: number): Promise<Member[]> {
  const { rows } = await sql<MemberRow>`select * from sallyport.members(${wanted}, ${after}, ${most})`.execute(tx)
  return rows.map((row) => ({
    person: row.person_id,
    role: row.role,
    name: row.name,
    email: row.email,
    emailVerified: row.email_verified,
    createdAt: row.created_at,
  }))
}
