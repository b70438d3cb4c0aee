/**
 * Owns what a development installation begins with: one organization, one project, one local person who owns it, and one-time links that
 * sign that person in. Refuses to exist twice, and to touch anything that is there already.
 */
import { formatId, frame, hasCode, newId, sha256 } from '@sallyport/core'
import type { OrgId, ProjectId, Secret, UserId, Uuid } from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import { auditEndFind, membershipPut, organizationCreate, organizationFind, projectCreate } from '../db/index.ts'
import type { Database, Lookups, TenantTx } from '../db/index.ts'
import { LOCAL_ISSUER } from './outside-issuers.ts'
import { asked, newToken } from './sessions.ts'

export interface DevelopmentOwner {
  readonly person: UserId
  readonly org: OrgId
  readonly project: ProjectId
  /** True when this call made them. */
  readonly created: boolean
}

/** The one person who has no identity provider. */
export const LOCAL_OWNER = { issuer: LOCAL_ISSUER, subject: 'owner', name: 'Owner' } as const
const NAMES = { organization: 'Development', project: 'default' } as const

/** Time to read a link off the terminal and open it. */
const LINK_TTL_S = 3_600

/**
 * The owner of a development installation with organization and project, made on the first call, all in one transaction. Safe to repeat, to
 * race and to interrupt: organization and project have ids that follow from the person's, so there is nothing to search for and nothing to
 * remember.
 * @throws DatabaseError
 */
export async function ensureDevelopmentOwner(database: Pick<Database, 'lookups' | 'withTenant'>): Promise<DevelopmentOwner> {
  const person = await database.lookups.personUpsert({ id: newId('user'), ...LOCAL_OWNER })
  return { person, ...(await ensureOwned(database, person, NAMES)) }
}

interface Names {
  readonly organization: string
  readonly project: string
}

interface OwnPlace {
  readonly org: OrgId
  readonly project: ProjectId
}

/**
 * The organization and project that begin with a person: their ids follow from the person's, and from how many of those were deleted before. One that was
 * never comes back under its old id, whose log has ended.
 */
export async function ownPlace(database: Pick<Database, 'withTenant'>, person: UserId): Promise<OwnPlace> {
  for (let before = 0; ; before++) {
    const org = derivedId<'org'>('organization', person, before)
    if (!(await database.withTenant(org, isGone))) return { org, project: derivedId<'proj'>('project', person, before) }
  }
}

/** It is not there, and has been. In this order: what another makes between the two has its log and is there. */
async function isGone(tx: TenantTx): Promise<boolean> {
  if ((await auditEndFind(tx)).last === null) return false
  return (await organizationFind(tx)) === undefined
}

/**
 * Both, owned by the person, made when they are not there and `mayMake` does not throw, which is asked in the transaction that makes them.
 * @throws DatabaseError, and whatever `mayMake` throws
 */
export async function ensureOwned(
  database: Pick<Database, 'withTenant'>,
  person: UserId,
  names: Names,
  mayMake: (tx: TenantTx) => Promise<void> = () => Promise.resolve(),
): Promise<Omit<DevelopmentOwner, 'person'>> {
  const { org, project } = await ownPlace(database, person)
  const attempt = () => database.withTenant(org, (tx) => make(tx, person, project, names, mayMake))
  const created = await attempt().catch((error: unknown) => {
    if (!hasCode(error, 'conflict')) throw error
    // Another process made them between our look and our insert: now they are there to be found.
    return attempt()
  })
  return { org, project, created }
}

/**
 * A one-time link's token that signs `person` in, good for an hour. Its hash alone is stored.
 * @throws IdentityError `database_unavailable`
 */
export async function ownerLink(lookups: Pick<Lookups, 'ownerLinkPut'>, person: UserId): Promise<Secret> {
  const token = newToken()
  await asked(lookups.ownerLinkPut({ hash: sha256(token), person, ttlSeconds: LINK_TTL_S }))
  return token
}

async function make(
  tx: TenantTx,
  person: UserId,
  project: ProjectId,
  names: Names,
  mayMake: (tx: TenantTx) => Promise<void>,
): Promise<boolean> {
  await mayMake(tx)
  if ((await organizationFind(tx)) !== undefined) return false
  await organizationCreate(tx, { name: names.organization })
  await projectCreate(tx, { id: project, name: names.project })
  await membershipPut(tx, person, 'OWNER')
  const member = formatId('user', person)
  await appendAudit(
    tx,
    { action: 'organization.created', actor: 'system', target: formatId('org', tx.org), detail: { name: names.organization } },
    { action: 'project.created', actor: 'system', target: formatId('proj', project), detail: { name: names.project } },
    { action: 'membership.granted', actor: 'system', target: member, detail: { role: 'OWNER' } },
  )
  return true
}

/** A UUIDv8 (RFC 9562 section 5.8) that follows from a person's id; those are random, so it is as unique as they are. */
function derivedId<Kind extends 'org' | 'proj'>(what: string, person: UserId, before: number): Uuid<Kind> {
  // The first as it always was.
  const count = before === 0 ? [] : [String(before)]
  const bytes = sha256(frame(['sallyport/development/1', what, person, ...count])).subarray(0, 16)
  bytes[6] = 0x80 | (bytes[6]! & 0x0f)
  bytes[8] = 0x80 | (bytes[8]! & 0x3f)
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-') as Uuid<Kind>
}
