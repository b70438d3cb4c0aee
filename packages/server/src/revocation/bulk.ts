/**
 * Owns revoking many connections at once: page by page, each page one transaction that ends its connections and notes how far it has come.
 * Refuses to hold any of that in memory: a killed node's work is taken up where the last page was committed, by whichever node is there.
 */
import { formatId, hasCode, newId, Rounds } from '@sallyport/core'
import type { BulkRevocationId, Logger, OrgId } from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import type { JsonObject } from '../audit/index.ts'
import {
  blastRadius,
  bulkRevocationAdvance,
  bulkRevocationFind,
  bulkRevocationFinish,
  bulkRevocationHold,
  bulkRevocationInsert,
  bulkRevocationPage,
  connectionListLive,
} from '../db/index.ts'
import type { BlastRadius, BulkFilter, BulkRevocation, Database, TenantTx } from '../db/index.ts'
import type { Vault } from '../vault/index.ts'
import { endConnections } from './ending.ts'
import type { Ending } from './ending.ts'

export interface BulkOptions {
  readonly database: Pick<Database, 'withTenant' | 'lookups'>
  readonly vault: Pick<Vault, 'seal' | 'openIn'>
  readonly logger: Logger
  /** Called after each page: there is something to tell providers. */
  readonly onPage: () => void
  readonly pollMs?: number
}

export interface BulkRevocations {
  /** What a bulk revocation would end now. Changes nothing. */
  preview(org: OrgId, filter: BulkFilter): Promise<BlastRadius>
  /** Begins one; it goes on by itself. */
  begin(org: OrgId, filter: BulkFilter, actor: string): Promise<{ readonly bulk: BulkRevocation; readonly radius: BlastRadius }>
  /** Begins one that ends everything under an id that the caller chose, or finds the one that was begun under it: repeating it ends nothing more. */
  beginOnce(org: OrgId, id: BulkRevocationId, actor: string): Promise<BulkRevocation>
  /**
   * Ends a page of whatever lives in the organization still, as part of the bulk revocation `id`, which is done: what was made while it went on. How
   * many those were.
   */
  endRest(org: OrgId, id: BulkRevocationId, actor: string): Promise<number>
  find(org: OrgId, id: BulkRevocationId): Promise<BulkRevocation | undefined>
  /** Takes one that is due and works on it to its end, or until `close`. False when there was none. */
  work(): Promise<boolean>
  /** Looks for work now and every few seconds, until `close`. */
  start(): void
  /** Ends after the page it is at. */
  close(): Promise<void>
}

const PAGE = 250
const POLL_MS = 2_000
/** How long a node that says nothing keeps one from the others. A page takes a fraction of it. */
const TAKEN_S = 30

export function createBulkRevocations(options: BulkOptions): BulkRevocations {
  return new Bulk(options)
}

class Bulk implements BulkRevocations {
  readonly #o: BulkOptions
  readonly #rounds: Rounds

  constructor(options: BulkOptions) {
    this.#o = options
    const { pollMs = POLL_MS } = options
    this.#rounds = new Rounds({ round: () => this.work(), failed: (error) => this.#failed(error), everyMs: pollMs })
  }

  preview(org: OrgId, filter: BulkFilter): Promise<BlastRadius> {
    return this.#o.database.withTenant(org, (tx) => blastRadius(tx, filter))
  }

  async begin(org: OrgId, filter: BulkFilter, actor: string): Promise<{ bulk: BulkRevocation; radius: BlastRadius }> {
    const begun = await this.#o.database.withTenant(org, (tx) => beginIn(tx, newId('bulk'), filter, actor))
    this.#rounds.poke()
    return begun
  }

  async beginOnce(org: OrgId, id: BulkRevocationId, actor: string): Promise<BulkRevocation> {
    const known = await this.find(org, id)
    if (known !== undefined) return known
    try {
      const { bulk } = await this.#o.database.withTenant(org, (tx) => beginIn(tx, id, {}, actor))
      this.#rounds.poke()
      return bulk
    } catch (error) {
      // Of two at the same moment, one begins it.
      const begun = hasCode(error, 'conflict') ? await this.find(org, id) : undefined
      if (begun === undefined) throw error
      return begun
    }
  }

  async endRest(org: OrgId, id: BulkRevocationId, actor: string): Promise<number> {
    const ended = await this.#o.database.withTenant(org, async (tx) =>
      endConnections(tx, this.#o.vault, await connectionListLive(tx, PAGE), endingOf(id, actor)),
    )
    if (ended.length > 0) this.#o.onPage()
    return ended.length
  }

  find(org: OrgId, id: BulkRevocationId): Promise<BulkRevocation | undefined> {
    return this.#o.database.withTenant(org, (tx) => bulkRevocationFind(tx, id))
  }

  async work(): Promise<boolean> {
    const claimed = await this.#o.database.lookups.bulkRevocationClaim(TAKEN_S)
    if (claimed === undefined) return false
    let more = true
    while (more && !this.#rounds.closed) more = await this.#o.database.withTenant(claimed.org, (tx) => this.#page(tx, claimed.id))
    return true
  }

  start(): void {
    this.#rounds.start()
  }

  close(): Promise<void> {
    return this.#rounds.close()
  }

  /** Nobody's after TAKEN_S: the page that failed was rolled back, and is done again. */
  #failed(error: unknown): void {
    if (!hasCode(error, 'database_unavailable')) this.#o.logger.error('A bulk revocation was interrupted; it goes on', { error })
  }

  /** True while there may be more. The row of the bulk revocation is held: of two nodes, one does each page. */
  async #page(tx: TenantTx, id: BulkRevocationId): Promise<boolean> {
    const bulk = await bulkRevocationHold(tx, id)
    if (bulk === undefined) return false
    const ids = await bulkRevocationPage(tx, bulk, PAGE)
    const lastId = ids.at(-1)
    if (lastId === undefined) {
      await bulkRevocationFinish(tx, id)
      const detail = { found: bulk.found, ended: bulk.ended }
      await appendAudit(tx, { action: 'bulk_revocation.finished', actor: bulk.requestedBy, target: formatId('bulk', id), detail })
      return false
    }
    const ended = await endConnections(tx, this.#o.vault, ids, endingOf(id, bulk.requestedBy))
    await bulkRevocationAdvance(tx, id, { lastId, ended: ended.length, seconds: TAKEN_S })
    this.#o.onPage()
    return true
  }
}

function endingOf(id: BulkRevocationId, actor: string): Ending {
  return { actor, cause: 'bulk', tellProvider: true, detail: { bulk: formatId('bulk', id) } }
}

async function beginIn(
  tx: TenantTx,
  id: BulkRevocationId,
  filter: BulkFilter,
  actor: string,
): Promise<{ bulk: BulkRevocation; radius: BlastRadius }> {
  const radius = await blastRadius(tx, filter)
  const bulk = await bulkRevocationInsert(tx, { id, filter, requestedBy: actor, found: radius.connections })
  const detail = { ...filterDetail(filter), connections: radius.connections, end_users: radius.endUsers }
  await appendAudit(tx, { action: 'bulk_revocation.started', actor, target: formatId('bulk', bulk.id), detail })
  return { bulk, radius }
}

function filterDetail({ place, integration, provider }: BulkFilter): JsonObject {
  return {
    ...(place?.project === undefined ? {} : { project: formatId('proj', place.project) }),
    ...(place?.environment === undefined ? {} : { environment: place.environment }),
    ...(integration === undefined ? {} : { integration: formatId('int', integration) }),
    ...(provider === undefined ? {} : { provider }),
  }
}
