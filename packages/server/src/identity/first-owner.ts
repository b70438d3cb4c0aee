/**
 * Owns who owns a production installation first: the person that the configuration names, or the local owner with a one-time link. Refuses to
 * make a second beginning: once somebody else owns the installation, nobody gets in by way of its terminal.
 */
import { newId, SallyportError } from '@sallyport/core'
import type { OrgId, ProjectId, Secret, UserId } from '@sallyport/core'
import { installationHold, memberFind, organizationFind } from '../db/index.ts'
import type { Database, TenantTx } from '../db/index.ts'
import { ensureOwned, LOCAL_OWNER, ownerLink, ownPlace } from './development-owner.ts'
import { LOCAL_ISSUER } from './outside-issuers.ts'

export interface FirstOwner {
  readonly person: UserId
  readonly org: OrgId
  readonly project: ProjectId
  /** True when this call made them. */
  readonly created: boolean
  /** Signs the local owner in, once, within an hour; undefined for a person of an issuer, who signs in by its tokens. */
  readonly link: Secret | undefined
}

/** Somebody else owns the installation. The message says who to ask, never by name. */
export class InstallationOwned extends SallyportError<'installation_owned'> {
  constructor() {
    super(
      'installation_owned',
      'This installation has its first organization and another owner. Ask one of its owners for an invitation; links are printed for the local owner alone, while that still is one',
    )
  }
}

/** As in `ensureDevelopmentOwner`, but of no development. */
const NAMES = { organization: 'First organization', project: 'default' } as const

/**
 * The first owner with organization and project, made on the first call. Safe to repeat, to race and to interrupt.
 * @param named the person of the configuration; undefined: the local owner
 * @throws InstallationOwned; DatabaseError
 */
export async function ensureFirstOwner(
  database: Pick<Database, 'lookups' | 'withTenant'>,
  named: { readonly issuer: string; readonly subject: string } | undefined,
): Promise<FirstOwner> {
  const who = named ?? LOCAL_OWNER
  const person = await database.lookups.personUpsert({ id: newId('user'), name: 'Owner', issuer: who.issuer, subject: who.subject })
  const { org } = await ownPlace(database, person)
  const [first] = await database.lookups.organizationPage({ limit: 1 })
  if (!(await isTheirs(database, org, person)) && first !== undefined) throw new InstallationOwned()
  const owned = await ensureOwned(database, person, NAMES, requireNone)
  const link = who.issuer === LOCAL_ISSUER ? await ownerLink(database.lookups, person) : undefined
  return { person, ...owned, link }
}

/** Asked again with the installation held: two that begin at the same moment, for two people, make one beginning. Their own is no other. */
async function requireNone(tx: TenantTx): Promise<void> {
  const { hasOrganizations } = await installationHold(tx)
  if (hasOrganizations && (await organizationFind(tx)) === undefined) throw new InstallationOwned()
}

/** Whether the organization that was made for this person is there, and the person still owns it. */
function isTheirs(database: Pick<Database, 'withTenant'>, org: OrgId, person: UserId): Promise<boolean> {
  return database.withTenant(org, async (tx) => (await memberFind(tx, person))?.role === 'OWNER')
}
