/**
 * Owns invitations: made for one address, good once, for a person whose verified address it is. Refuses to send them: whoever makes one is given
 * the link, once. An invitation gives no more than its maker still could at the moment it is accepted.
 */
import type { Role } from '@sallyport/contract'
import { formatId, newId, Secret, sha256 } from '@sallyport/core'
import type { InvitationId, OrgId } from '@sallyport/core'
import { roleContains } from '../access/index.ts'
import { appendAudit } from '../audit/index.ts'
import type { PersonalSealer } from '../audit/index.ts'
import {
  invitationAccept,
  invitationHold,
  invitationInsert,
  invitationRevoke,
  invitationRevokeFor,
  memberFind,
  membershipPut,
  organizationHold,
} from '../db/index.ts'
import type { Database, Invitation, TenantTx } from '../db/index.ts'
import { emailAddress, newToken } from '../identity/index.ts'
import type { PersonPrincipal } from '../identity/index.ts'
import { getsIn, takesEmail } from './email-domains.ts'
import { OrganizationError } from './organization-error.ts'
import { requireRoom } from './room.ts'
import type { Room } from './room.ts'
import { readSettings } from './settings.ts'
import { holdAs, requireRole } from './standing.ts'

export interface WantedInvitation {
  /** In small ASCII letters, as the contract's shape leaves it. */
  readonly email: string
  readonly role: Role
  readonly lifeS: number
}

/**
 * Makes one, in place of an open one for the same address, whose token is void then.
 * @throws OrganizationError `not_found`, `role_exceeded`, `email_domain_refused`, `resource_limit`
 */
export async function invite(
  tx: TenantTx,
  { personal, room }: { readonly personal: PersonalSealer; readonly room: Room },
  actor: PersonPrincipal,
  { email, role, lifeS }: WantedInvitation,
): Promise<{ readonly invitation: Invitation; readonly token: Secret }> {
  const own = await holdAs(tx, actor.userId)
  requireRole(own.role, 'ADMIN')
  requireRole(own.role, role)
  const { settings } = await readSettings(tx)
  if (!takesEmail(settings.email_domains, email)) throw domainRefused()
  const replaced = await invitationRevokeFor(tx, email)
  await requireRoom(tx, room, 'members')
  const [id, token] = [newId('inv'), newToken()]
  const invitation = await invitationInsert(tx, { id, email, role, tokenHash: sha256(token), invitedBy: actor.userId, lifeS })
  const replaces = replaced === undefined ? {} : { replaces: formatId('inv', replaced) }
  const detail = { role, expires_at: invitation.expiresAt.toISOString(), ...replaces }
  const event = { action: 'invitation.created', actor: formatId('user', actor.userId), target: formatId('inv', id), detail }
  const about = { subject: event.target, facts: { email } }
  await appendAudit(tx, { ...event, personal: await personal.seal(tx, event, about) })
  return { invitation, token }
}

/** Takes one back. One that is over stays as it is. @throws OrganizationError `not_found`, `role_exceeded` */
export async function revokeInvitation(tx: TenantTx, actor: PersonPrincipal, id: InvitationId): Promise<Invitation> {
  const own = await holdAs(tx, actor.userId)
  const invitation = await invitationHold(tx, id)
  if (invitation === undefined) throw new OrganizationError('not_found')
  requireRole(own.role, invitation.role)
  if (!(await invitationRevoke(tx, id))) return invitation
  const event = { action: 'invitation.revoked', actor: formatId('user', actor.userId), target: formatId('inv', id) }
  await appendAudit(tx, { ...event, detail: { role: invitation.role } })
  return { ...invitation, state: 'revoked' }
}

export interface Joined {
  readonly org: OrgId
  readonly name: string
  readonly role: Role
  readonly createdAt: Date
}

/**
 * Makes the person a member, once.
 * @throws OrganizationError `invitation_invalid`, `invitation_email_mismatch`, `email_domain_refused`; `conflict` for who is a member already: an
 * invitation changes nobody's role.
 */
export async function acceptInvitation(
  database: Pick<Database, 'lookups' | 'withTenant'>,
  personal: PersonalSealer,
  actor: PersonPrincipal,
  token: Secret,
): Promise<Joined> {
  const found = await database.lookups.invitationLookup(sha256(token))
  if (found === undefined) throw over()
  return database.withTenant(found.org, (tx) => join(tx, personal, actor, found.id))
}

async function join(tx: TenantTx, personal: PersonalSealer, actor: PersonPrincipal, id: InvitationId): Promise<Joined> {
  const organization = await organizationHold(tx)
  const invitation = await invitationHold(tx, id)
  if (organization?.state !== 'active' || invitation?.state !== 'open') throw over()
  if (emailAddress(actor.email) !== invitation.email) {
    throw new OrganizationError('invitation_email_mismatch', 'Sign in with the invited e-mail address, verified by your provider.')
  }
  const inviter = await memberFind(tx, invitation.invitedBy)
  if (inviter === undefined || !roleContains(inviter.role, 'ADMIN') || !roleContains(inviter.role, invitation.role)) throw over()
  const { settings } = await readSettings(tx)
  if (!getsIn(settings.email_domains, inviter)) throw over()
  if (!takesEmail(settings.email_domains, invitation.email)) throw domainRefused()
  if ((await memberFind(tx, actor.userId)) !== undefined)
    throw new OrganizationError('conflict', 'You are a member of this organization already.')
  await invitationAccept(tx, id, actor.userId)
  await membershipPut(tx, actor.userId, invitation.role)
  const detail = { invitation: formatId('inv', id), role: invitation.role, invited_by: formatId('user', invitation.invitedBy) }
  const who = formatId('user', actor.userId)
  const event = { action: 'invitation.accepted', actor: who, target: who, detail }
  const about = { subject: who, facts: { email: invitation.email, name: actor.name } }
  await appendAudit(tx, { ...event, personal: await personal.seal(tx, event, about) })
  return { org: tx.org, name: organization.name, role: invitation.role, createdAt: organization.createdAt }
}

function over(): OrganizationError {
  return new OrganizationError('invitation_invalid', 'Ask for a new invitation.')
}

function domainRefused(): OrganizationError {
  return new OrganizationError('email_domain_refused', 'The organization takes e-mail addresses of certain domains only.')
}
