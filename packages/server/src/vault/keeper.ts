/**
 * Owns the life of keys: turning them, counting what is under each, taking them away, and the hourly look at all of it. Everything it does is
 * safe to kill, to repeat and to do twice at once. Refuses to remove a key that anything is sealed under, and to destroy one without being
 * asked for exactly that.
 */
import { formatId, hasCode } from '@sallyport/core'
import type { Clock, DataKeyId, Logger, Metrics, OrgId } from '@sallyport/core'
import { appendAudit, INSTALLATION } from '../audit/index.ts'
import { dataKeyCountAwaited, dataKeyDelete, dataKeyList, dataKeyNoteOverdue, rootKeyDelete, rootKeyNoteOverdue } from '../db/index.ts'
import type { Database, DataKey, RootKeyUse } from '../db/index.ts'
import { BEGINNING, organizations } from './organizations.ts'
import { rotateRoot, rotateRootOf } from './root-rotation.ts'
import type { RewrapReport, RootRotationReport } from './root-rotation.ts'
import { shredIn } from './shredding.ts'
import type { Losses } from './shredding.ts'
import { recordsPerKey, sweepOrganization } from './sweep.ts'
import type { SweepReport } from './sweep.ts'
import { VaultError } from './vault-error.ts'
import type { Vault } from './vault.ts'
import { verifyOrganization } from './verification.ts'
import type { KeyVerification } from './verification.ts'

/** A data key and how many records are under it. */
export type CountedDataKey = Omit<DataKey, 'wrapped'> & { readonly records: number }

/** What became of asking for a new data key. */
export interface RenewReport {
  readonly from: DataKeyId
  readonly to: DataKeyId
}

export interface FullRotationReport {
  readonly root: RootRotationReport
  readonly organizations: number
  readonly renewed: number
  readonly resealed: number
  readonly unreadable: number
  /** Records still under a previous key, over all organizations. */
  readonly left: number
}

/** What became of one organization's keys after they may have been read. */
export interface ContainmentReport {
  readonly root: RewrapReport
  /** The key that seals now; null when the organization has none. */
  readonly to: DataKeyId | null
  /** Whether this call made it. False: a former call did, or there was nothing to renew. */
  readonly renewed: boolean
  readonly resealed: number
  readonly unreadable: number
  /** Records still under a previous key. */
  readonly left: number
}

export interface KeeperOptions {
  readonly database: Database
  readonly vault: Vault
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  /** Age at which data keys are renewed by themselves; 0: never. */
  readonly rotateAfterDays: number
}

/** `actor` is who asked, as the audit log names it. */
export interface Keeper {
  /** The organization's data keys, oldest first, with what is under each. Destroyed ones are not among them. */
  dataKeys(org: OrgId): Promise<CountedDataKey[]>
  rootKeys(): Promise<readonly RootKeyUse[]>
  /** The id of the one that wraps. */
  readonly primaryRootKey: string
  /** What this node has of a root key that the database knows. */
  rootKeyStatus(id: string): 'primary' | 'configured' | 'known'
  /** Every organization of the installation. */
  organizations(): AsyncIterable<OrgId>
  /**
   * Makes the next data key, unless a rotation of the last day still has records to move: then that one is to be finished first. Undefined:
   * nothing was made, because of that, because there is no key yet, or because another did it at the same moment.
   */
  renew(org: OrgId, actor: string): Promise<RenewReport | undefined>
  /** Moves the organization's records to its current key. See sweep.ts. */
  sweep(org: OrgId, actor: string): Promise<SweepReport>
  /** The same without waiting; failures are logged, and the hourly job goes on with it. */
  sweepSoon(org: OrgId, actor: string): void
  rotateRoot(actor: string): Promise<RootRotationReport>
  /**
   * After a root key became known to others: every data key that was ever under another root key than the primary is renewed, every record
   * resealed, every key rewrapped. Repeating it goes on where it was and renews nothing twice.
   */
  rotateEverything(actor: string): Promise<FullRotationReport>
  /** The organization's data keys under the primary root key. */
  rotateRootOf(org: OrgId, actor: string): Promise<RewrapReport>
  /**
   * After one organization's keys may have been read, until `exposedUntil`: its data key is renewed if it was made before that, every record
   * resealed and every data key rewrapped. Repeating it with the same moment goes on where it was and renews nothing twice.
   */
  contain(org: OrgId, exposedUntil: Date, actor: string): Promise<ContainmentReport>
  /**
   * An answer of a provider that could not be saved waits outside the database, sealed under the key of its time, where nothing counts it. So no
   * key is removed within a day of its retirement, nor while a refresh from its time is not over.
   * @throws VaultError `data_key_missing`, or `key_in_use` with the counts.
   */
  removeDataKey(org: OrgId, id: DataKeyId, actor: string): Promise<void>
  /**
   * Makes the database forget a root key that nothing is under. Written down in the log of the installation, and of `org` when somebody asked
   * for it there.
   * @throws VaultError `root_key_missing`, or `key_in_use` with the counts.
   */
  removeRootKey(id: string, actor: string, org?: OrgId): Promise<void>
  /**
   * The same for whoever can't know what other nodes are configured with: refused for a key that this node has, and for one that came after its
   * primary, which may be on its way to all of them. Throws as `removeRootKey`.
   */
  removeRetiredRootKey(id: string, actor: string, org: OrgId): Promise<void>
  /** What `shred` would make unreadable. Changes nothing. */
  losses(org: OrgId): Promise<Losses>
  /** Destroys the organization's data keys. What they sealed can never be opened again, but by restoring a backup of their rows. */
  shred(org: OrgId, actor: string): Promise<Losses>
  /** Unwraps every data key and opens every record of one organization, or of all. */
  verify(actor: string, org?: OrgId): Promise<KeyVerification>
  /** One look at everything: rewraps, renews what is due, finishes sweeps, forgets emptied keys, tells of overdue ones. */
  tend(): Promise<void>
  /** `tend` now and every hour, until `close`. */
  start(): void
  /** Ends what is under way after the page it is at. */
  close(): Promise<void>
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** From this age on a key is told of (DESIGN 4.1). */
const OVERDUE_DAYS = 90
/** An emptied key stays this long: whoever still holds an envelope that was read under it, or an answer that is not saved yet, can open that. */
const EMPTIED_KEPT_MS = DAY_MS
const SYSTEM = 'system'

export function createKeeper(options: KeeperOptions): Keeper {
  return new DatabaseKeeper(options)
}

class DatabaseKeeper implements Keeper {
  readonly #o: KeeperOptions
  readonly #ending = new AbortController()
  readonly #running = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | undefined
  #tending: Promise<void> | undefined

  constructor(options: KeeperOptions) {
    this.#o = options
  }

  async dataKeys(org: OrgId): Promise<CountedDataKey[]> {
    return this.#o.database.withTenant(org, async (tx) => {
      const [keys, records] = [await dataKeyList(tx), await recordsPerKey(tx)]
      return keys.map((key) => counted(key, records.get(key.id) ?? 0))
    })
  }

  rootKeys(): Promise<readonly RootKeyUse[]> {
    return this.#o.database.system.rootKeyUse()
  }

  get primaryRootKey(): string {
    return this.#o.vault.rootKeyIds[0]!
  }

  rootKeyStatus(id: string): 'primary' | 'configured' | 'known' {
    if (id === this.primaryRootKey) return 'primary'
    return this.#o.vault.rootKeyIds.includes(id) ? 'configured' : 'known'
  }

  organizations(): AsyncIterable<OrgId> {
    return organizations((after, limit) => this.#o.database.lookups.organizationPage({ after, limit }))
  }

  async renew(org: OrgId, actor: string): Promise<RenewReport | undefined> {
    const keys = await this.dataKeys(org)
    const current = keys.find(({ status }) => status === 'current')
    if (current === undefined) return undefined
    // Not for longer: a record that doesn't open stays under its old key for ever, and must not keep the others there.
    const underWay = current.createdAt > this.#before(1) && keys.some(({ status, records }) => status === 'previous' && records > 0)
    if (underWay) return undefined
    return this.#renewFrom(org, current.id, actor)
  }

  sweep(org: OrgId, actor: string): Promise<SweepReport> {
    return sweepOrganization({ ...this.#o, signal: this.#ending.signal }, org, actor)
  }

  sweepSoon(org: OrgId, actor: string): void {
    this.#run('A sweep failed; the hourly job goes on with it', async () => void (await this.sweep(org, actor)))
  }

  rotateRoot(actor: string): Promise<RootRotationReport> {
    return rotateRoot({ ...this.#o, signal: this.#ending.signal }, actor)
  }

  async rotateEverything(actor: string): Promise<FullRotationReport> {
    const primary = this.primaryRootKey
    const since = (await this.rootKeys()).find(({ id }) => id === primary)?.createdAt ?? BEGINNING
    const totals = { organizations: 0, renewed: 0, resealed: 0, unreadable: 0, left: 0 }
    for await (const org of this.organizations()) {
      totals.organizations += 1
      const keys = await this.#o.database.withTenant(org, dataKeyList)
      const exposed = keys.find(({ status, rootKeyId, createdAt }) => status === 'current' && (rootKeyId !== primary || createdAt < since))
      if (exposed !== undefined && (await this.#renewFrom(org, exposed.id, actor)) !== undefined) totals.renewed += 1
      const { resealed, unreadable, left } = await this.sweep(org, actor)
      totals.resealed += resealed
      totals.unreadable += unreadable
      totals.left += sum(left.values())
    }
    return { root: await this.rotateRoot(actor), ...totals }
  }

  rotateRootOf(org: OrgId, actor: string): Promise<RewrapReport> {
    return rotateRootOf({ ...this.#o, signal: this.#ending.signal }, org, actor)
  }

  async contain(org: OrgId, exposedUntil: Date, actor: string): Promise<ContainmentReport> {
    const keys = await this.#o.database.withTenant(org, dataKeyList)
    const exposed = keys.find(({ status, createdAt }) => status === 'current' && createdAt < exposedUntil)
    const renewed = exposed !== undefined && (await this.#renewFrom(org, exposed.id, actor)) !== undefined
    const { to, resealed, unreadable, left } = await this.sweep(org, actor)
    return { root: await this.rotateRootOf(org, actor), to, renewed, resealed, unreadable, left: sum(left.values()) }
  }

  async removeDataKey(org: OrgId, id: DataKeyId, actor: string): Promise<void> {
    const key = (await this.dataKeys(org)).find((known) => known.id === id)
    if (key === undefined) throw new VaultError('data_key_missing', `the organization has no data key ${formatId('dk', id)}`)
    if (key.status === 'current') throw inUse(`${formatId('dk', id)} is the current data key: rotate first`)
    if (key.records > 0) throw inUse(`${key.records} records are still sealed under ${formatId('dk', id)}: let the rotation finish first`)
    if (key.retiredAt !== null && key.retiredAt.getTime() >= this.#o.clock.now() - EMPTIED_KEPT_MS) {
      throw inUse(`${formatId('dk', id)} was replaced less than a day ago: what is not saved yet may be sealed under it`)
    }
    try {
      await this.#o.database.withTenant(org, async (tx) => {
        const awaited = await dataKeyCountAwaited(tx, id)
        if (awaited > 0) throw inUse(`${awaited} refreshes from the time of ${formatId('dk', id)} are not over: let them end first`)
        if (!(await dataKeyDelete(tx, id))) return
        await appendAudit(tx, {
          action: 'data_key.removed',
          actor,
          target: formatId('dk', id),
          detail: { id: formatId('dk', id), records: 0 },
        })
      })
    } catch (error) {
      throw hasCode(error, 'conflict') ? inUse(`something was sealed under ${formatId('dk', id)} just now`) : error
    }
  }

  async removeRootKey(id: string, actor: string, org?: OrgId): Promise<void> {
    const { database, vault, logger } = this.#o
    const key = (await this.rootKeys()).find((known) => known.id === id)
    const unknown = (): VaultError => new VaultError('root_key_missing', `the database knows no root key "${id}"`)
    if (key === undefined) throw unknown()
    if (key.dataKeys + key.systemSecrets > 0) {
      throw inUse(
        `root key "${id}" still wraps ${key.dataKeys} data keys and ${key.systemSecrets} secrets of the installation: rotate first`,
      )
    }
    // The primary's row may go when it is of other bytes than the primary is: then it is what keeps the right one from being taken.
    if (this.primaryRootKey === id && (await vault.provesRootKey(id))) throw inUse(`root key "${id}" is the primary one: put another first`)
    const event = { action: 'root_key.removed', actor, target: id, detail: { id, primary: this.primaryRootKey } }
    try {
      await database.withTenant(INSTALLATION, async (tx) => {
        if (!(await rootKeyDelete(tx, id))) throw unknown()
        await appendAudit(tx, event)
      })
    } catch (error) {
      throw hasCode(error, 'conflict') ? inUse(`something was wrapped under root key "${id}" just now`) : error
    }
    if (org !== undefined) await database.withTenant(org, (tx) => appendAudit(tx, event))
    logger.info('Removed a root key', { rootKey: id })
  }

  async removeRetiredRootKey(id: string, actor: string, org: OrgId): Promise<void> {
    const known = await this.rootKeys()
    const primary = known.find((key) => key.id === this.primaryRootKey)
    if (this.rootKeyStatus(id) === 'configured')
      throw inUse(`root key "${id}" is still configured: take it out of the encryption keys first`)
    const later = known.find((key) => key.id === id && primary !== undefined && key.createdAt > primary.createdAt)
    if (later !== undefined) throw inUse(`root key "${id}" came after the primary one: it may be about to be used`)
    await this.removeRootKey(id, actor, org)
  }

  async losses(org: OrgId): Promise<Losses> {
    const keys = await this.dataKeys(org)
    return { keys: keys.map(({ id }) => id), records: sum(keys.map(({ records }) => records)) }
  }

  shred(org: OrgId, actor: string): Promise<Losses> {
    return this.#o.database.withTenant(org, (tx) => shredIn(tx, actor))
  }

  async verify(actor: string, org?: OrgId): Promise<KeyVerification> {
    const all = org === undefined ? this.organizations() : [org]
    const total = { organizations: 0, dataKeys: 0, records: 0, destroyed: 0, faults: [] as KeyVerification['faults'][number][] }
    for await (const each of all) {
      const found = await verifyOrganization(this.#o, each)
      await this.#tellVerified(each, actor, found)
      total.organizations += 1
      total.dataKeys += found.dataKeys
      total.records += found.records
      total.destroyed += found.destroyed
      total.faults.push(...found.faults)
    }
    return total
  }

  tend(): Promise<void> {
    this.#tending ??= this.#tend().finally(() => (this.#tending = undefined))
    return this.#tending
  }

  start(): void {
    const tend = (): void => this.#run('Looking after the keys failed; the next hour tries again', () => this.tend())
    this.#timer = setInterval(tend, HOUR_MS)
    this.#timer.unref()
    tend()
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#ending.abort()
    await Promise.all(this.#running)
  }

  async #renewFrom(org: OrgId, from: DataKeyId, actor: string): Promise<RenewReport | undefined> {
    return this.#o.database.withTenant(org, async (tx) => {
      const to = await this.#o.vault.renew(tx, from)
      if (to === undefined) return undefined
      const detail = { from: formatId('dk', from), to: formatId('dk', to) }
      await appendAudit(tx, { action: 'data_key.rotated', actor, target: formatId('dk', to), detail })
      return { from, to }
    })
  }

  async #tellVerified(org: OrgId, actor: string, { dataKeys, records, destroyed, faults }: KeyVerification): Promise<void> {
    const target = formatId('org', org)
    const detail = { data_keys: dataKeys, records, destroyed, faults: faults.length }
    await this.#o.database.withTenant(org, (tx) => appendAudit(tx, { action: 'data_key.verified', actor, target, detail }))
  }

  async #tend(): Promise<void> {
    const { database, metrics } = this.#o
    try {
      const primary = await this.#tellRoot()
      // Whoever holds root keys may be away: what is to be told of data keys is told all the same.
      const failure =
        primary &&
        (await this.#tendRoot(primary).then(
          () => undefined,
          (error: unknown) => ({ error }),
        ))
      const days = this.#o.rotateAfterDays === 0 ? OVERDUE_DAYS : Math.min(OVERDUE_DAYS, this.#o.rotateAfterDays)
      const madeBefore = this.#before(days)
      const work = organizations((after, limit) =>
        database.lookups.dataKeyWork({ primaryRoot: this.primaryRootKey, madeBefore, after, limit }),
      )
      for await (const org of work) {
        if (this.#ending.signal.aborted) return
        await this.#tendOrganization(org)
      }
      await this.#tellDataKeys()
      if (failure !== undefined) throw failure.error
      metrics.count('sallyport_key_tending_total', { outcome: 'done' })
    } catch (error) {
      metrics.count('sallyport_key_tending_total', { outcome: 'failed' })
      throw error
    }
  }

  async #tellDataKeys(): Promise<void> {
    const { clock, database, metrics } = this.#o
    const census = await database.lookups.dataKeyCensus({ primaryRoot: this.primaryRootKey, madeBefore: this.#before(OVERDUE_DAYS) })
    for (const state of ['current', 'previous', 'behind'] as const) metrics.gauge('sallyport_data_keys', { state }, census[state])
    const oldest = census.oldestCurrent === null ? 0 : clock.now() - census.oldestCurrent.getTime()
    metrics.gauge('sallyport_data_key_oldest_age_seconds', {}, oldest / 1000)
    metrics.gauge('sallyport_data_keys_overdue', {}, census.overdue)
  }

  /** The ages and counts of root keys; what is overdue is said and written down once a day, by whichever node comes first. */
  async #tellRoot(): Promise<RootKeyUse | undefined> {
    const { clock, database, logger, metrics } = this.#o
    const known = await this.rootKeys()
    const used = known.filter(({ id, dataKeys, systemSecrets }) => id !== this.primaryRootKey && dataKeys + systemSecrets > 0)
    const primary = known.find(({ id }) => id === this.primaryRootKey)
    const counts = { primary: primary === undefined ? 0 : 1, in_use: used.length, unused: known.length - used.length - (primary ? 1 : 0) }
    for (const [state, count] of Object.entries(counts)) metrics.gauge('sallyport_root_keys', { state }, count)
    if (primary === undefined) return undefined
    const age = clock.now() - primary.createdAt.getTime()
    metrics.gauge('sallyport_root_key_age_seconds', {}, age / 1000)
    if (age <= OVERDUE_DAYS * DAY_MS) return primary
    const days = Math.floor(age / DAY_MS)
    await database.withTenant(INSTALLATION, async (tx) => {
      if (!(await rootKeyNoteOverdue(tx, primary.id, this.#before(OVERDUE_DAYS)))) return
      logger.warn('The primary root key is overdue for rotation', { rootKey: primary.id, days })
      await appendAudit(tx, { action: 'root_key.overdue', actor: SYSTEM, target: primary.id, detail: { id: primary.id, days } })
    })
    return primary
  }

  /**
   * Only towards a root key that came later: while nodes are given a new list one after the other, those with the old one don't undo what those
   * with the new one did.
   */
  async #tendRoot(primary: RootKeyUse): Promise<void> {
    const known = await this.rootKeys()
    const newest = known.every(({ createdAt, dataKeys, systemSecrets }) => dataKeys + systemSecrets === 0 || createdAt <= primary.createdAt)
    if (newest) await this.rotateRoot(SYSTEM)
  }

  /** One organization's failure is not the others'. */
  async #tendOrganization(org: OrgId): Promise<void> {
    try {
      const keys = await this.dataKeys(org)
      const current = keys.find(({ status }) => status === 'current')
      const due = this.#o.rotateAfterDays > 0 && current !== undefined && current.createdAt < this.#before(this.#o.rotateAfterDays)
      const renewed = due ? await this.renew(org, SYSTEM) : undefined
      if (renewed !== undefined || keys.some(({ status, records }) => status === 'previous' && records > 0)) await this.sweep(org, SYSTEM)
      else await this.#forgetEmptied(org, keys)
      if (renewed === undefined && current !== undefined) await this.#tellOverdue(org, current)
    } catch (error) {
      this.#o.logger.error("Looking after an organization's keys failed; the next hour tries again", { org, error })
    }
  }

  async #forgetEmptied(org: OrgId, keys: readonly CountedDataKey[]): Promise<void> {
    const limit = this.#o.clock.now() - EMPTIED_KEPT_MS
    const emptied = keys.filter(({ status, records, retiredAt }) => {
      return status === 'previous' && records === 0 && retiredAt !== null && retiredAt.getTime() < limit
    })
    for (const { id } of emptied) {
      try {
        await this.removeDataKey(org, id, SYSTEM)
      } catch (error) {
        if (!hasCode(error, 'key_in_use')) throw error
        this.#o.logger.debug('An emptied data key is kept: refreshes from its time are not over', { org, dataKey: id })
      }
    }
  }

  /** Said and written down once a day, by whichever node comes first. */
  async #tellOverdue(org: OrgId, { id, createdAt }: CountedDataKey): Promise<void> {
    const madeBefore = this.#before(OVERDUE_DAYS)
    if (createdAt >= madeBefore) return
    const days = Math.floor((this.#o.clock.now() - createdAt.getTime()) / DAY_MS)
    await this.#o.database.withTenant(org, async (tx) => {
      if (!(await dataKeyNoteOverdue(tx, id, madeBefore))) return
      this.#o.logger.warn('A data key is overdue for rotation', { org, dataKey: id, days })
      await appendAudit(tx, {
        action: 'data_key.overdue',
        actor: SYSTEM,
        target: formatId('dk', id),
        detail: { id: formatId('dk', id), days },
      })
    })
  }

  #before(days: number): Date {
    return new Date(this.#o.clock.now() - days * DAY_MS)
  }

  #run(failure: string, work: () => Promise<void>): void {
    if (this.#ending.signal.aborted) return
    const run: Promise<void> = work()
      .catch((error: unknown) => this.#o.logger.error(failure, { error }))
      .finally(() => this.#running.delete(run))
    this.#running.add(run)
  }
}

function counted({ id, rootKeyId, status, createdAt, retiredAt }: DataKey, records: number): CountedDataKey {
  return { id, rootKeyId, status, createdAt, retiredAt, records }
}

function sum(counts: Iterable<number>): number {
  return [...counts].reduce((total, count) => total + count, 0)
}

function inUse(what: string): VaultError {
  return new VaultError('key_in_use', what, { publicDetail: `${what}.` })
}
