/**
 * Owns the end of organizations: closed at once, then, by whichever node is there, its connections ended here and at their providers, its keys
 * destroyed, its rows deleted. Its log stays, ends with its end, and can still be verified. Refuses to hold any of that in memory: each step is a
 * transaction, and a killed node's work is taken up where the last one was committed.
 */
import { formatId, frame, hasCode, Rounds, sha256 } from '@sallyport/core'
import type { BulkRevocationId, Logger, OrgId, UserId } from '@sallyport/core'
import { appendAudit, INSTALLATION } from '../audit/index.ts'
import {
  dataKeyList,
  deletionDelay,
  deletionDestroying,
  deletionFind,
  deletionHold,
  deletionInsert,
  deletionRemove,
  deletionRevoking,
  memberFind,
  organizationEnd,
  organizationFind,
  organizationHold,
  organizationPurge,
  revocationCountWaiting,
} from '../db/index.ts'
import type { Database, OrganizationDeletion, TenantTx } from '../db/index.ts'
import type { BulkRevocations } from '../revocation/index.ts'
import { shredIn } from '../vault/index.ts'
import { OrganizationError } from './organization-error.ts'
import { requireRole } from './standing.ts'

export interface DeletionOptions {
  readonly database: Pick<Database, 'withTenant' | 'lookups'>
  readonly bulk: Pick<BulkRevocations, 'beginOnce' | 'endRest' | 'find'>
  readonly logger: Logger
  readonly pollMs?: number
}

/** A person, who must own the organization at that moment; or whoever is at the terminal of the installation. */
export type Asker = UserId | 'system'

export interface WantedDeletion {
  /** The organization's name, exactly. */
  readonly confirm: string
  /** How long it can be taken back. */
  readonly graceS: number
  /** How long providers are waited for, at most 7 days; what they were not told of by then stays with them. */
  readonly patienceS: number
}

export interface OrganizationDeletions {
  /**
   * Closes the organization: from the commit on its keys, sessions and links are refused here, and within a second everywhere.
   * @throws OrganizationError `not_found`; `confirmation_mismatch` for another name; `conflict` when it is closed already
   */
  request(org: OrgId, by: Asker, wanted: WantedDeletion): Promise<OrganizationDeletion>
  /** Opens it again. @throws OrganizationError `not_found` when it isn't being deleted, `conflict` when it is too late */
  takeBack(org: OrgId, by: Asker): Promise<void>
  /** @throws OrganizationError `not_found` when it isn't being deleted */
  find(org: OrgId): Promise<OrganizationDeletion>
  /** Takes one that is due a step further. False when there was none. */
  work(): Promise<boolean>
  /** Looks for work now and every few seconds, until `close`. */
  start(): void
  /** Ends after the transaction it is at. */
  close(): Promise<void>
}

const POLL_MS = 2_000
/** How long a node that says nothing keeps one from the others. */
const TAKEN_S = 30
/** How soon one that waits for providers is looked at again. */
const LOOK_S = 2
/** A node that hears nothing knows by then. What it let in just before comes behind the one that ends them all, and is looked for. */
const SETTLING_S = 10
const PAGE = 500

export function createOrganizationDeletions(options: DeletionOptions): OrganizationDeletions {
  return new Deletions(options)
}

class Deletions implements OrganizationDeletions {
  readonly #o: DeletionOptions
  readonly #rounds: Rounds

  constructor(options: DeletionOptions) {
    this.#o = options
    const { pollMs = POLL_MS } = options
    this.#rounds = new Rounds({ round: () => this.work(), failed: (error) => this.#failed(error), everyMs: pollMs })
  }

  request(org: OrgId, by: Asker, wanted: WantedDeletion): Promise<OrganizationDeletion> {
    return this.#o.database.withTenant(org, async (tx) => {
      const organization = await organizationHold(tx)
      if (organization === undefined) throw new OrganizationError('not_found')
      const actor = await requireOwner(tx, by)
      if (organization.state !== 'active') throw new OrganizationError('conflict', 'The organization is being deleted already.')
      if (organization.name !== wanted.confirm)
        throw new OrganizationError('confirmation_mismatch', 'Nothing was done: that is not its name.')
      const { graceS, patienceS } = wanted
      const deletion = await deletionInsert(tx, { requestedBy: actor, graceS: Math.max(graceS, SETTLING_S), patienceS })
      const detail = { due_at: deletion.dueAt.toISOString(), wait_for_providers_s: patienceS }
      await tell(tx, 'organization.deletion_requested', actor, detail)
      return deletion
    })
  }

  takeBack(org: OrgId, by: Asker): Promise<void> {
    return this.#o.database.withTenant(org, async (tx) => {
      await organizationHold(tx)
      const actor = await requireOwner(tx, by)
      if ((await deletionHold(tx)) === undefined) throw new OrganizationError('not_found')
      if (!(await deletionRemove(tx))) throw new OrganizationError('conflict', 'It is too late: what was in it is being destroyed.')
      await tell(tx, 'organization.deletion_cancelled', actor, {})
    })
  }

  find(org: OrgId): Promise<OrganizationDeletion> {
    return this.#o.database.withTenant(org, async (tx) => {
      const deletion = await deletionFind(tx)
      if (deletion === undefined) throw new OrganizationError('not_found')
      return deletion
    })
  }

  async work(): Promise<boolean> {
    const org = await this.#o.database.lookups.organizationDeletionClaim(TAKEN_S)
    if (org === undefined) return false
    const deletion = await this.#o.database.withTenant(org, deletionFind)
    if (deletion?.state === 'waiting') await this.#revoke(org, deletion)
    else if (deletion?.state === 'revoking') await this.#destroy(org, deletion)
    // What came in behind the destruction has a key of its own, and goes the same way first.
    else if (deletion?.state === 'destroying' && (await this.#destroy(org, deletion))) await this.#end(org, deletion)
    return true
  }

  start(): void {
    this.#rounds.start()
  }

  close(): Promise<void> {
    return this.#rounds.close()
  }

  /** Nobody's after TAKEN_S: the step that failed was rolled back, and is done again. */
  #failed(error: unknown): void {
    if (hasCode(error, 'database_unavailable')) return
    this.#o.logger.error('The deletion of an organization was interrupted; it goes on', { error })
  }

  /** The point from which it can't be taken back: whoever still does so before the connections end finds the row held. */
  async #revoke(org: OrgId, { requestedBy }: OrganizationDeletion): Promise<void> {
    const id = endingId(org)
    const goesOn = await this.#o.database.withTenant(org, async (tx) => {
      const held = await deletionHold(tx)
      if (held?.state !== 'waiting') return false
      await deletionRevoking(tx, id)
      await deletionDelay(tx, 0)
      return true
    })
    if (goesOn) await this.#o.bulk.beginOnce(org, id, requestedBy)
  }

  /**
   * True when it is done. Whatever was let in by a node that had not heard, or was under way and brought tokens or a key since, is ended and
   * destroyed too, however often that takes: as long as a key lives, nothing goes.
   */
  async #destroy(org: OrgId, { state, bulk: id, requestedBy, outOfPatience }: OrganizationDeletion): Promise<boolean> {
    // A node that died between the two of `#revoke` has left it to be begun.
    const bulk = await this.#o.bulk.beginOnce(org, id!, requestedBy)
    const late = bulk.state === 'done' ? await this.#o.bulk.endRest(org, id!, requestedBy) : 0
    return this.#o.database.withTenant(org, async (tx) => {
      const waiting = await revocationCountWaiting(tx)
      // Without the keys no provider can be told of anything any more.
      const patient = waiting > 0 && !outOfPatience && state === 'revoking'
      // Connections are ended here in any case: what is not queued yet is not settled either.
      if (bulk.state !== 'done' || late > 0 || patient) {
        await deletionDelay(tx, LOOK_S)
        return false
      }
      await deletionDestroying(tx)
      await deletionDelay(tx, 0)
      const { keys } = await shredIn(tx, requestedBy)
      if (waiting > 0 && keys.length > 0) await tell(tx, 'organization.providers_not_told', requestedBy, { grants: waiting })
      return true
    })
  }

  async #end(org: OrgId, { requestedBy }: OrganizationDeletion): Promise<void> {
    let gone = 1
    while (gone > 0 && !this.#rounds.closed) {
      gone = await this.#o.database.withTenant(org, async (tx) => {
        await deletionDelay(tx, TAKEN_S)
        return organizationPurge(tx, PAGE)
      })
    }
    if (this.#rounds.closed || (await this.#o.database.withTenant(org, dataKeyList)).length > 0) return
    // Of the installation's log and the organization's, one can't be written with the other. Said twice is better than never.
    const event = { action: 'organization.deleted', actor: requestedBy, target: formatId('org', org) }
    await this.#o.database.withTenant(INSTALLATION, (tx) => appendAudit(tx, { ...event, detail: {} }))
    await this.#o.database.withTenant(org, async (tx) => {
      if ((await organizationFind(tx)) === undefined || !(await organizationEnd(tx))) return
      await appendAudit(tx, { ...event, detail: {} })
    })
    this.#o.logger.info('Deleted an organization', { org })
  }
}

/** As what the asker stands in the log. What authentication remembers is not enough to end everything by. */
async function requireOwner(tx: TenantTx, by: Asker): Promise<string> {
  if (by === 'system') return by
  const member = await memberFind(tx, by)
  if (member === undefined) throw new OrganizationError('not_found')
  requireRole(member.role, 'OWNER')
  return formatId('user', by)
}

function tell(tx: TenantTx, action: string, actor: string, detail: Parameters<typeof appendAudit>[1]['detail']): Promise<void> {
  return appendAudit(tx, { action, actor, target: formatId('org', tx.org), detail })
}

/**
 * The bulk revocation that belongs to the end of an organization: one, however often it is begun. In the form of a UUIDv8 (RFC 9562 section 5.8).
 * One that was begun before a deletion was taken back is not met again, since none begins while that is possible.
 */
function endingId(org: OrgId): BulkRevocationId {
  const hex = sha256(frame(['sallyport/organization-end/1', org])).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}` as BulkRevocationId
}
