/**
 * Owns what a caller is in an organization at the moment of a change: read inside the change's transaction, with the organization held. Refuses
 * what authentication remembers: an owner who was demoted a second ago demotes nobody.
 */
import type { Role } from '@sallyport/contract'
import type { UserId } from '@sallyport/core'
import { roleContains } from '../access/index.ts'
import { memberFind, organizationHold } from '../db/index.ts'
import type { Member, TenantTx } from '../db/index.ts'
import type { PersonPrincipal, Principal } from '../identity/index.ts'
import { OrganizationError } from './organization-error.ts'

/** @throws OrganizationError `forbidden` for a key */
export function personOf(principal: Principal): PersonPrincipal {
  if (principal.kind === 'person') return principal
  throw new OrganizationError('forbidden', 'This is for people; a key has no say in it.')
}

/**
 * Holds the organization until the transaction ends, and gives what the person is in it now: nobody else changes members meanwhile.
 * @throws OrganizationError `not_found` for an organization that is gone or going, and for somebody who is no member any more
 */
export async function holdAs(tx: TenantTx, person: UserId): Promise<Member> {
  const organization = await organizationHold(tx)
  const member = organization?.state === 'active' ? await memberFind(tx, person) : undefined
  if (member === undefined) throw new OrganizationError('not_found')
  return member
}

/** @throws OrganizationError `role_exceeded` unless `held` contains `role` */
export function requireRole(held: Role, role: Role): void {
  if (!roleContains(held, role)) throw new OrganizationError('role_exceeded', `This needs the role ${role} or a larger one.`)
}
