/** Owns how an organization comes to be: with its maker as owner, in one transaction. Refuses strangers: whoever owns none is invited first. */
import { formatId, newId } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { isAdmitted } from '../access/index.ts'
import { appendAudit } from '../audit/index.ts'
import { membershipPut, organizationCreate } from '../db/index.ts'
import type { Database } from '../db/index.ts'
import type { PersonPrincipal } from '../identity/index.ts'
import { OrganizationError } from './organization-error.ts'
import type { Joined } from './invitations.ts'

/** @throws OrganizationError `forbidden` for somebody who owns none; `conflict` for a taken id */
export async function foundOrganization(
  database: Pick<Database, 'withTenant' | 'lookups'>,
  actor: PersonPrincipal,
  name: string,
  org: OrgId = newId('org'),
): Promise<Joined> {
  const owns = [...actor.memberships].some(([own, role]) => role === 'OWNER' && isAdmitted(actor, own, role))
  if (!owns) throw new OrganizationError('forbidden', 'Only who owns an organization makes another.')
  const who = formatId('user', actor.userId)
  return database.withTenant(org, async (tx) => {
    const { createdAt } = await organizationCreate(tx, { name })
    await membershipPut(tx, actor.userId, 'OWNER')
    await appendAudit(
      tx,
      { action: 'organization.created', actor: who, target: formatId('org', org), detail: { name } },
      { action: 'membership.granted', actor: who, target: who, detail: { role: 'OWNER' } },
    )
    return { org, name, role: 'OWNER', createdAt }
  })
}
