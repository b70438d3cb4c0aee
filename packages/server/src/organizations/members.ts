/**
 * Owns changes of who is what in an organization. Refuses to give or take a role that the caller does not have, and to leave an organization
 * without an owner, also when two do it at once.
 */
import type { Role } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import type { UserId } from '@sallyport/core'
import { hasSteppedUp } from '../access/index.ts'
import type { StepUp } from '../access/index.ts'
import { appendAudit, appendAuditAll } from '../audit/index.ts'
import { apiKeyRevokeOf, apiKeyTakeOver, memberFind, membershipDelete, membershipPut } from '../db/index.ts'
import type { Member, TenantTx } from '../db/index.ts'
import type { PersonPrincipal } from '../identity/index.ts'
import { OrganizationError } from './organization-error.ts'
import { requireAnotherOwner } from './owners.ts'
import { holdAs, requireRole } from './standing.ts'

/** Gives a member another role; the one it has already is no change. @throws OrganizationError as `removeMember` */
export async function changeRole(tx: TenantTx, actor: PersonPrincipal, person: UserId, role: Role, stepUp: StepUp): Promise<Member> {
  const { own, member } = await holdBoth(tx, actor, person, stepUp)
  requireRole(own.role, role)
  if (member.role === role) return member
  await requireAnotherOwner(tx, member)
  await membershipPut(tx, person, role)
  await tell(tx, 'member.updated', actor, person, { role: { from: member.role, to: role } })
  return { ...member, role }
}

/** What becomes of keys that somebody made who goes: the secrets were shown to them, so the keys end, unless whoever takes them out answers for them. */
export type KeysLeft = 'end' | 'take_over'

/**
 * Takes somebody out. @throws OrganizationError `not_found`, `role_exceeded`, `last_owner`, `step_up_required` for an owner; `conflict` for who would
 * take their own keys over: nobody would answer for them
 */
export async function removeMember(
  tx: TenantTx,
  actor: PersonPrincipal,
  person: UserId,
  { stepUp, keys }: { readonly stepUp: StepUp; readonly keys: KeysLeft },
): Promise<void> {
  if (keys === 'take_over' && person === actor.userId) {
    throw new OrganizationError('conflict', 'Who goes answers for no keys. Let somebody who stays take you out and the keys over.')
  }
  const { member } = await holdBoth(tx, actor, person, stepUp)
  await requireAnotherOwner(tx, member)
  await membershipDelete(tx, person)
  await tell(tx, 'member.removed', actor, person, { role: member.role })
  await (keys === 'end' ? endKeys(tx, actor, person) : takeKeysOver(tx, actor, person))
}

/** The caller goes, and the keys that they made. @throws OrganizationError `not_found`, `last_owner` */
export async function leave(tx: TenantTx, actor: PersonPrincipal): Promise<void> {
  const own = await holdAs(tx, actor.userId)
  await requireAnotherOwner(tx, own)
  await membershipDelete(tx, actor.userId)
  await tell(tx, 'member.left', actor, actor.userId, { role: own.role })
  await endKeys(tx, actor, actor.userId)
}

/** With all that came of them. After the membership is gone: who is making a key holds it, and is done or finds it gone. */
async function endKeys(tx: TenantTx, actor: PersonPrincipal, person: UserId): Promise<void> {
  const maker = formatId('user', person)
  const ended = await apiKeyRevokeOf(tx, maker)
  const by = formatId('user', actor.userId)
  await appendAuditAll(
    tx,
    ended.map(({ id }) => ({ action: 'key.revoked', actor: by, target: formatId('key', id), detail: { with: maker } })),
  )
}

/** Whoever removes somebody holds every role that they had, and could have made their keys. */
async function takeKeysOver(tx: TenantTx, actor: PersonPrincipal, person: UserId): Promise<void> {
  const [from, to] = [formatId('user', person), formatId('user', actor.userId)]
  const taken = await apiKeyTakeOver(tx, from, to)
  const events = taken.map((id) => ({ action: 'key.taken_over', actor: to, target: formatId('key', id), detail: { from, to } }))
  await appendAuditAll(tx, events)
}

async function holdBoth(tx: TenantTx, actor: PersonPrincipal, person: UserId, stepUp: StepUp): Promise<{ own: Member; member: Member }> {
  const own = await holdAs(tx, actor.userId)
  requireRole(own.role, 'ADMIN')
  const member = await memberFind(tx, person)
  if (member === undefined) throw new OrganizationError('not_found')
  requireRole(own.role, member.role)
  if (member.role === 'OWNER' && !hasSteppedUp(actor, stepUp)) {
    const how = `with a second factor, at most ${stepUp.maxAgeS} seconds ago,`
    throw new OrganizationError('step_up_required', `Sign in ${how} to change who owns the organization.`)
  }
  return { own, member }
}

function tell(tx: TenantTx, action: string, actor: PersonPrincipal, person: UserId, detail: Parameters<typeof appendAudit>[1]['detail']) {
  return appendAudit(tx, { action, actor: formatId('user', actor.userId), target: formatId('user', person), detail })
}
