/** Owns the rows of invitations. Refuses to change one that is over, and to hold two open ones for one address; the database does too. */
import { sql } from 'kysely'
import type { Role } from '@sallyport/contract'
import type { InvitationId, UserId } from '@sallyport/core'
import type { TenantTx } from '../tenant.ts'
import type { Page } from './page.ts'

export type InvitationState = 'open' | 'accepted' | 'revoked' | 'expired'

export interface Invitation {
  readonly id: InvitationId
  /** In small ASCII letters. */
  readonly email: string
  readonly role: Role
  readonly invitedBy: UserId
  /** By the database's clock, when it was read. */
  readonly state: InvitationState
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly acceptedBy: UserId | null
}

export interface NewInvitation {
  readonly id: InvitationId
  readonly email: string
  readonly role: Role
  readonly tokenHash: Buffer
  readonly invitedBy: UserId
  readonly lifeS: number
}

/** @throws DatabaseError `conflict` when another is open for the address. */
export async function invitationInsert(tx: TenantTx, made: NewInvitation): Promise<Invitation> {
  await tx
    .insertInto('sallyport.invitation')
    .values({
      org_id: tx.org,
      id: made.id,
      email: made.email,
      role: made.role,
      token_hash: made.tokenHash,
      invited_by: made.invitedBy,
      expires_at: sql<Date>`clock_timestamp() + make_interval(secs => ${made.lifeS})`,
    })
    .execute()
  return invitation(await invitations(tx).where('id', '=', made.id).executeTakeFirstOrThrow())
}

/** Newest first. */
export async function invitationList(tx: TenantTx, page: Page<InvitationId>): Promise<Invitation[]> {
  const rows = await invitations(tx)
    .$if(page.after !== undefined, (query) => query.where('id', '<', page.after!))
    .orderBy('id', 'desc')
    .limit(page.limit)
    .execute()
  return rows.map(invitation)
}

export async function invitationFind(tx: TenantTx, id: InvitationId): Promise<Invitation | undefined> {
  const row = await invitations(tx).where('id', '=', id).executeTakeFirst()
  return row && invitation(row)
}

/** Held: of two who accept it, one finds it open. */
export async function invitationHold(tx: TenantTx, id: InvitationId): Promise<Invitation | undefined> {
  const row = await invitations(tx).where('id', '=', id).forUpdate().executeTakeFirst()
  return row && invitation(row)
}

/** False unless it is neither accepted nor revoked. */
export async function invitationAccept(tx: TenantTx, id: InvitationId, person: UserId): Promise<boolean> {
  const { numUpdatedRows } = await over(tx)
    .set({ accepted_at: sql<Date>`clock_timestamp()`, accepted_by: person })
    .where('id', '=', id)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

export async function invitationRevoke(tx: TenantTx, id: InvitationId): Promise<boolean> {
  const { numUpdatedRows } = await over(tx)
    .set({ revoked_at: sql<Date>`clock_timestamp()` })
    .where('id', '=', id)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** Takes back what is open for the address, expired or not. Which it was. */
export async function invitationRevokeFor(tx: TenantTx, email: string): Promise<InvitationId | undefined> {
  const row = await over(tx)
    .set({ revoked_at: sql<Date>`clock_timestamp()` })
    .where('email', '=', email)
    .returning('id')
    .executeTakeFirst()
  return row?.id
}

function over(tx: TenantTx) {
  return tx
    .updateTable('sallyport.invitation')
    .where('org_id', '=', tx.org)
    .where('accepted_at', 'is', null)
    .where('revoked_at', 'is', null)
}

function invitations(tx: TenantTx) {
  return tx
    .selectFrom('sallyport.invitation')
    .select(['id', 'email', 'role', 'invited_by', 'created_at', 'expires_at', 'accepted_by'])
    .select(
      sql<InvitationState>`case when accepted_at is not null then 'accepted' when revoked_at is not null then 'revoked'
        when expires_at <= clock_timestamp() then 'expired' else 'open' end`.as('state'),
    )
    .where('org_id', '=', tx.org)
}

function invitation(row: Awaited<ReturnType<ReturnType<typeof invitations>['executeTakeFirstOrThrow']>>): Invitation {
  return {
    id: row.id,
    email: row.email,
    role: row.role,
    invitedBy: row.invited_by,
    state: row.state,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    acceptedBy: row.accepted_by,
  }
}

/** Those that a person accepted. */
export async function invitationListAcceptedBy(tx: TenantTx, person: UserId): Promise<InvitationId[]> {
  const rows = await tx
    .selectFrom('sallyport.invitation')
    .select('id')
    .where('org_id', '=', tx.org)
    .where('accepted_by', '=', person)
    .execute()
  return rows.map(({ id }) => id)
}
