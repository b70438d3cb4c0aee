/**
 * Owns how an organization comes to be: with its maker as owner, in one transaction, once however often it is asked for under one key. Refuses strangers
 * (whoever owns none is invited first), and more of them than one person may own.
 */
import { formatId, newId } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { isAdmitted } from '../access/index.ts'
import { appendAudit } from '../audit/index.ts'
import { membershipPut, organizationCreate, organizationCreateOnce, organizationsOwned } from '../db/index.ts'
import type { Database, TenantTx } from '../db/index.ts'
import { requireSameRequest } from '../idempotency/index.ts'
import type { CreationHashes } from '../idempotency/index.ts'
import type { PersonPrincipal } from '../identity/index.ts'
import { OrganizationError } from './organization-error.ts'
import type { Joined } from './invitations.ts'

export interface WantedOrganization {
  readonly name: string
  /** How many organizations one person may own. */
  readonly mostOwned: number
  /** Absent: each time another. */
  readonly once?: CreationHashes | undefined
}

export interface Founded {
  readonly joined: Joined
  /** It was made before. */
  readonly replayed: boolean
}

/**
 * @throws OrganizationError `forbidden` for somebody who owns none; `organization_limit`; `conflict` for a taken id. IdempotencyError
 * `idempotency_mismatch`
 */
export async function foundOrganization(
  database: Pick<Database, 'withTenant' | 'lookups'>,
  actor: PersonPrincipal,
  wanted: WantedOrganization,
  org: OrgId = newId('org'),
): Promise<Founded> {
  const owns = [...actor.memberships].some(([own, role]) => role === 'OWNER' && isAdmitted(actor, own, role))
  if (!owns) throw new OrganizationError('forbidden', 'Only who owns an organization makes another.')
  return database.withTenant(org, async (tx) => {
    const made = wanted.once === undefined ? undefined : await madeBefore(tx, wanted.once, wanted.name)
    return made === undefined ? { joined: await found(tx, actor, wanted), replayed: false } : { joined: made, replayed: true }
  })
}

/** The same request has the same name, so that the answer is the one from before. */
async function madeBefore(tx: TenantTx, once: CreationHashes, name: string): Promise<Joined | undefined> {
  const { org, requestHash, madeAt } = await organizationCreateOnce(tx, once)
  if (org === tx.org) return undefined
  requireSameRequest(requestHash, once.requestHash)
  return { org, name, role: 'OWNER', createdAt: madeAt }
}

async function found(tx: TenantTx, actor: PersonPrincipal, { name, mostOwned }: WantedOrganization): Promise<Joined> {
  if ((await organizationsOwned(tx, actor.userId)) >= mostOwned) {
    throw new OrganizationError('organization_limit', `One person owns at most ${mostOwned} organizations here.`)
  }
  const who = formatId('user', actor.userId)
  const { createdAt } = await organizationCreate(tx, { name })
  await membershipPut(tx, actor.userId, 'OWNER')
  await appendAudit(
    tx,
    { action: 'organization.created', actor: who, target: formatId('org', tx.org), detail: { name } },
    { action: 'membership.granted', actor: who, target: who, detail: { role: 'OWNER' } },
  )
  return { org: tx.org, name, role: 'OWNER', createdAt }
}
