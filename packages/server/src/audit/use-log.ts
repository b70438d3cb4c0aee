/**
 * Owns writing down the use of credentials, in groups off the request's path. Refuses to admit more than it can hold: a use that may be
 * lost must not happen.
 *
 * Per organization one group is under way at a time, in one transaction; entries that arrive meanwhile form the next. What a strict
 * organization waits for is its group's commit. While PostgreSQL is away, batched entries stay and are tried again; strict ones, of every
 * organization, are refused at the first failed attempt, and at once until the next.
 *
 * Whose log can't be written, or only slowly, is in trouble alone: it waits for its own next try, takes its turn in a lane beside the others', and
 * holds no more than what the others have left. However much one holds, as much is free for everybody else.
 *
 * A group that PostgreSQL refuses is parted until what it refuses is alone: everything else is written. Rows may be lost, what they cost is not: it goes
 * with the row of another call, or with what is left of its own.
 */
import { hasCode, isUuid, systemClock, TransientMap } from '@sallyport/core'
import type { Clock, Logger, Metrics, OrgId } from '@sallyport/core'
import { auditAppend, auditEventFind, endUserStillNamed, isBusy, requestRecordInsertMany, usageInsertMany, useAppend } from '../db/index.ts'
import type { AuditHead, AuditUseMode, Charge, ChargedUsage, Database, NewAuditEvent, RequestRecordRow, TenantTx } from '../db/index.ts'
import { AuditError } from './audit-error.ts'
import { storable } from './event.ts'
import type { AuditEvent } from './event.ts'
import type { AboutPerson, PersonalSealer } from './personal.ts'

export interface UseLog {
  /**
   * Strict: a promise that resolves once the event is committed. Batched: undefined, at once; the event is committed within the group
   * time while PostgreSQL answers.
   * @throws AuditError `audit_unavailable` when nothing more can be held, or (strict) the event could not be committed; TypeError for an
   * event the log can't hold.
   * @param about what the event says of a person; sealed as it is committed
   */
  use(org: OrgId, mode: AuditUseMode, event: AuditEvent, about?: AboutPerson): Promise<void> | undefined
  /** Puts a record of a finished call into the next group. Beyond the bound records are dropped, counted and told: they are no audit. */
  request(record: RequestRecordRow): void
  /**
   * Puts what a model call used into the next group, bounded with the records. What a dropped one cost goes with the next that is written.
   * @param settled hears of what is charged once it is written, or never will be; of several calls together where some were dropped
   */
  usage(usage: ChargedUsage, settled: Settled): void
  /** Events and records not committed yet. */
  readonly buffered: number
  /** Resolves when nothing is buffered. Waits as long as PostgreSQL is away. */
  flush(): Promise<void>
  /** Takes nothing more, and waits for what is buffered. @throws AuditError `audit_unavailable` with the number that was lost. */
  close(timeoutMs?: number): Promise<void>
}

/** What was charged is written, or never will be. */
export type Settled = (charges: readonly Charge[]) => void

export interface UseLogOptions {
  readonly database: Pick<Database, 'withTenant'>
  readonly personal: PersonalSealer
  readonly logger: Logger
  /** Counts what is dropped; nobody does when absent. */
  readonly metrics?: Pick<Metrics, 'count'>
  /** Events held at most, and as many records, of one organization half as many; 20,000 when absent. */
  readonly maxBuffered?: number
  /** Longest wait before a group is begun, in milliseconds; 10 when absent. */
  readonly groupMs?: number
  /** How long `close` waits for PostgreSQL, in milliseconds; 10,000 when absent. */
  readonly closeTimeoutMs?: number
  /** By which entries wait; the machine's when absent. */
  readonly clock?: Pick<Clock, 'monotonic'>
}

interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: AuditError) => void
}

interface Entry {
  readonly event: NewAuditEvent
  readonly about: AboutPerson | undefined
  /** Monotonic: when it came. */
  readonly since: number
  /** Present for a strict organization: somebody waits. */
  readonly waiting: Waiting | undefined
}

interface Used {
  readonly usage: ChargedUsage
  readonly settled: Settled
  /** Monotonic: when it came. */
  readonly since: number
  /** It was refused as it was, and says less now. */
  readonly bare?: boolean
}

interface Group {
  events: readonly Entry[]
  records: readonly RequestRecordRow[]
  usages: readonly Used[]
  /** The head that an earlier attempt would have committed, when its outcome is unknown. */
  attempted: AuditHead | undefined
}

interface Queue {
  events: Entry[]
  records: RequestRecordRow[]
  usages: Used[]
  /** Events, their characters, and records that are not committed yet, those of use and those under way too. */
  held: number
  characters: number
  heldRecords: number
  /** What dropped calls cost, by budget and period. Never without a row that waits in `usages`, which takes it along. */
  owed: Map<string, Charge>
  /** Failed groups that are to be tried again, before anything newer. */
  readonly again: Group[]
  /** A group is under way, or waits for its turn. */
  scheduled: boolean
  /** Its last group failed, or took long: it does not keep the others waiting. */
  troubled: boolean
  /** The pause before its next try, in milliseconds; 0 when its last one did not fail. */
  pauseMs: number
  pause: NodeJS.Timeout | undefined
}

/** Organizations with a group to write, first come first served, and how many groups are under way. */
interface Lane {
  readonly most: number
  readonly turns: OrgId[]
  underWay: number
}

/** Bounds one transaction. */
const MAX_GROUP = 500
/** Organizations written at once: leaves most of the pool to requests. */
const MAX_CONCURRENT = 3
/** Beside them, of those in trouble, which wait for each other and for nobody else. */
const MAX_TROUBLED = 2
/** A group that takes longer gives its place in the lane to others. */
const LONG_MS = 500
const MAX_BUFFERED_CHARACTERS = 32 * 1024 * 1024
/** What is known of a person for longer is not said any more. Far under what the database remembers of whom was forgotten. */
const MAX_FACT_AGE_MS = 3_600_000
const FIRST_PAUSE_MS = 50
const US_PER_MS = 1_000
const LAST_PAUSE_MS = 1_000
/** Between two lines that say that rows are refused. */
const SAY_EVERY_MS = 10_000
const DROPPED = 'sallyport_records_dropped_total'

export function createUseLog(options: UseLogOptions): UseLog {
  return new GroupingUseLog(options)
}

class GroupingUseLog implements UseLog {
  readonly #database: Pick<Database, 'withTenant'>
  readonly #personal: PersonalSealer
  readonly #logger: Logger
  readonly #maxBuffered: number
  readonly #groupMs: number
  readonly #closeTimeoutMs: number
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #metrics: Pick<Metrics, 'count'> | undefined
  readonly #queues = new TransientMap<OrgId, Queue>()
  readonly #lane: Lane = { most: MAX_CONCURRENT, turns: [], underWay: 0 }
  readonly #troubledLane: Lane = { most: MAX_TROUBLED, turns: [], underWay: 0 }
  #events = 0
  #records = 0
  #characters = 0
  #droppedRecords = 0
  #refusedRecords = 0
  #saidRefusedAt = -Infinity
  #pauseMs = 0
  /** The last attempt found no database; until the next one, nobody is made to wait for it. */
  #away = false
  #groupTimer: NodeJS.Timeout | undefined
  #pauseTimer: NodeJS.Timeout | undefined
  #closed = false
  /** `close` has given up or is done: nothing is begun any more. */
  #over = false
  #idleWaiters: (() => void)[] = []

  constructor(options: UseLogOptions) {
    const {
      database,
      personal,
      logger,
      metrics,
      maxBuffered = 20_000,
      groupMs = 10,
      closeTimeoutMs = 10_000,
      clock = systemClock,
    } = options
    this.#clock = clock
    this.#metrics = metrics
    this.#database = database
    this.#personal = personal
    this.#logger = logger
    this.#maxBuffered = maxBuffered
    this.#groupMs = groupMs
    this.#closeTimeoutMs = closeTimeoutMs
  }

  get buffered(): number {
    return this.#events + this.#records
  }

  use(org: OrgId, mode: AuditUseMode, event: AuditEvent, about?: AboutPerson): Promise<void> | undefined {
    requireOrganization(org)
    const stored = storable(event)
    if (this.#closed) throw unavailable('the log is closed')
    const known = this.#queues.get(org)
    if (!this.#hasRoom(known)) throw unavailable('the log is full')
    const entry = { event: stored, about, since: this.#clock.monotonic() }
    if (mode === 'batched') {
      this.#enqueue(org, { ...entry, waiting: undefined })
      this.#scheduleGroups()
      return undefined
    }
    if (this.#away) return Promise.reject(unavailable('the database is away'))
    if (known?.pause !== undefined) return Promise.reject(unavailable('the last event could not be committed'))
    return new Promise((resolve, reject) => {
      this.#enqueue(org, { ...entry, waiting: { resolve, reject } })
      this.#takeTurn(org)
    })
  }

  request(record: RequestRecordRow): void {
    if (this.#hasRecordRoom(record.org)) this.#queueFor(record.org).records.push(record)
    else this.#overflow(record.org, 'request')
  }

  usage(usage: ChargedUsage, settled: Settled): void {
    const { org } = usage.row
    const waits = (this.#queues.get(org)?.usages.length ?? 0) > 0
    // Beyond the bound too, where no row waits that could take its charges along: one for each organization at most.
    if (this.#hasRecordRoom(org) || (!this.#closed && !waits && usage.charges.length > 0)) {
      this.#queueFor(org).usages.push({ usage, settled, since: this.#clock.monotonic() })
      return
    }
    this.#overflow(org, 'usage')
    if (this.#closed) this.#uncharged({ usage, settled })
    else if (waits) owe(this.#queue(org).owed, usage.charges)
  }

  #hasRecordRoom(org: OrgId): boolean {
    requireOrganization(org)
    return !this.#closed && (this.#queues.get(org)?.heldRecords ?? 0) < this.#maxBuffered - this.#records
  }

  /** Where one record more is put, counted. */
  #queueFor(org: OrgId): Queue {
    const queue = this.#queue(org)
    queue.heldRecords++
    this.#records++
    this.#scheduleGroups()
    return queue
  }

  #overflow(org: OrgId, kind: 'request' | 'usage'): void {
    this.#metrics?.count(DROPPED, { kind, outcome: 'full' })
    if (this.#droppedRecords++ === 0) this.#logger.error('Records of calls are dropped: more wait than may be held', { org })
  }

  /** What it cost is in no budget, and nobody will write it any more. */
  #uncharged({ usage, settled }: Pick<Used, 'usage' | 'settled'>): void {
    const nano = usage.charges.reduce((sum, charge) => sum + charge.nano, 0)
    if (nano > 0) {
      this.#metrics?.count('sallyport_budget_uncharged_nanodollars_total', {}, nano)
      this.#logger.error('What a model call cost could not be taken out of its budgets', { org: usage.row.org, nano })
    }
    settled(usage.charges)
  }

  async flush(): Promise<void> {
    if (this.buffered === 0) return
    const idle = new Promise<void>((resolve) => this.#idleWaiters.push(resolve))
    this.#beginGroups()
    await idle
  }

  async close(timeoutMs = this.#closeTimeoutMs): Promise<void> {
    this.#closed = true
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, timeoutMs)
    await Promise.race([this.flush(), late])
    clearTimeout(timer)
    clearTimeout(this.#groupTimer)
    clearTimeout(this.#pauseTimer)
    this.#over = true
    for (const { events, pause } of this.#queues.values()) {
      clearTimeout(pause)
      for (const { waiting } of events) waiting?.reject(unavailable('the log is closed'))
    }
    if (this.buffered > 0) throw unavailable(`${this.#events} audit events and ${this.#records} request records could not be written`)
  }

  /** One organization holds as much as is free at most: alone half of all, and of several each the same part. */
  #hasRoom({ held, characters }: Pick<Queue, 'held' | 'characters'> = { held: 0, characters: 0 }): boolean {
    return held < this.#maxBuffered - this.#events && characters < MAX_BUFFERED_CHARACTERS - this.#characters
  }

  #enqueue(org: OrgId, entry: Entry): void {
    const queue = this.#queue(org)
    queue.events.push(entry)
    queue.held++
    queue.characters += size(entry)
    this.#events++
    this.#characters += size(entry)
  }

  #queue(org: OrgId): Queue {
    const known = this.#queues.get(org)
    if (known !== undefined) return known
    const nothing = { held: 0, characters: 0, heldRecords: 0, again: [], pauseMs: 0, pause: undefined }
    const made: Queue = { events: [], records: [], usages: [], owed: new Map(), ...nothing, scheduled: false, troubled: false }
    this.#queues.set(org, made)
    return made
  }

  #scheduleGroups(): void {
    this.#groupTimer ??= setTimeout(() => this.#beginGroups(), this.#groupMs)
  }

  #beginGroups(): void {
    clearTimeout(this.#groupTimer)
    this.#groupTimer = undefined
    for (const org of this.#queues.keys()) this.#takeTurn(org)
  }

  #takeTurn(org: OrgId): void {
    const queue = this.#queue(org)
    if (queue.scheduled || queue.pause !== undefined) return
    queue.scheduled = true
    const lane = queue.troubled ? this.#troubledLane : this.#lane
    lane.turns.push(org)
    this.#pump()
  }

  #pump(): void {
    for (const lane of [this.#lane, this.#troubledLane]) {
      while (!this.#over && this.#pauseTimer === undefined && lane.underWay < lane.most) {
        const org = lane.turns.shift()
        if (org === undefined) break
        void this.#runTurn(org, lane)
      }
    }
  }

  async #runTurn(org: OrgId, lane: Lane): Promise<void> {
    const queue = this.#queue(org)
    const group = takeGroup(queue)
    let place = lane
    place.underWay++
    const long = setTimeout(() => {
      queue.troubled = true
      if (this.#troubledLane.underWay >= MAX_TROUBLED) return
      place.underWay--
      place = this.#troubledLane
      place.underWay++
      this.#pump()
    }, LONG_MS)
    queue.troubled = false
    try {
      await this.#write(org, group)
      this.#wroteGroup(queue, group)
    } catch (error) {
      this.#failedGroup(org, queue, group, error)
    }
    clearTimeout(long)
    place.underWay--
    queue.scheduled = false
    if (hasMore(queue)) this.#takeTurn(org)
    else if (queue.pause === undefined) this.#queues.delete(org)
    this.#pump()
    if (this.buffered === 0) for (const wake of this.#idleWaiters.splice(0)) wake()
  }

  async #write(org: OrgId, group: Group): Promise<void> {
    await this.#database.withTenant(org, async (tx) => {
      if (group.attempted !== undefined && (await wasCommitted(tx, group.attempted))) return
      const events = await this.#sealed(tx, group.events)
      // Before the log, which is held until the end.
      if (group.usages.length > 0) await usageInsertMany(tx, await this.#stillNamed(tx, group.usages))
      if (events.length > 0)
        group.attempted = await (group.records.length > 0 ? useAppend(tx, events, group.records) : auditAppend(tx, events))
      else if (group.records.length > 0) await requestRecordInsertMany(tx, group.records)
    })
  }

  /** Whoever was forgotten since their call began is not named. */
  async #stillNamed(tx: TenantTx, usages: readonly Used[]): Promise<readonly ChargedUsage[]> {
    const now = this.#clock.monotonic()
    const named = usages.flatMap(({ usage: { row }, since }) =>
      row.endUser === null ? [] : [{ at: row, endUser: row.endUser, ageMs: now - since + row.durationUs / US_PER_MS }],
    )
    const stay = (await endUserStillNamed(tx, named)).values()
    return usages.map(({ usage }) =>
      usage.row.endUser === null || stay.next().value === true ? usage : { ...usage, row: { ...usage.row, endUser: null } },
    )
  }

  /** In the order of whom they are about, as every node does: the first of each makes a key that others wait for. */
  async #sealed(tx: TenantTx, entries: readonly Entry[]): Promise<NewAuditEvent[]> {
    const events = entries.map(({ event }) => event)
    for (const { about, since, at } of inOrderOfSubjects(entries)) {
      const ageMs = this.#clock.monotonic() - since
      const event = events[at]!
      const personal = ageMs > MAX_FACT_AGE_MS ? undefined : await this.#personal.seal(tx, event, { ...about, ageMs })
      if (personal !== undefined) events[at] = { ...event, personal }
    }
    return events
  }

  #wroteGroup(queue: Queue, group: Group): void {
    this.#release(queue, group.events, recordsIn(group))
    for (const { settled, usage } of group.usages) settled(usage.charges)
    for (const { waiting } of group.events) waiting?.resolve()
    if (this.#pauseMs > 0 || queue.pauseMs > 0) this.#logger.info('The log of uses is written again')
    if (this.#droppedRecords > 0) this.#logger.warn('Records of calls were dropped', { dropped: this.#droppedRecords })
    this.#pauseMs = 0
    queue.pauseMs = 0
    this.#droppedRecords = 0
  }

  /**
   * Whoever waits is refused: the credential is then not used, and a line too many in the log, if the commit did happen, does no harm.
   * Events that nobody waits for stay: their credentials were used. Records stay, unless they are what PostgreSQL refuses.
   */
  #failedGroup(org: OrgId, queue: Queue, group: Group, error: unknown): void {
    const away = isAway(error)
    const suspect = away || isBusy(error) ? 0 : recordsIn(group)
    this.#refuse(queue, group.events)
    group.events = group.events.filter(isHeld)
    for (const waiting of away ? this.#queues.values() : [queue]) {
      this.#refuse(waiting, waiting.events)
      waiting.events = waiting.events.filter(isHeld)
    }
    if (suspect > 0) {
      queue.troubled = true
      queue.again.unshift(...this.#parted(org, queue, group, error))
      return
    }
    if (group.events.length + recordsIn(group) > 0) queue.again.unshift(group)
    if (away) this.#pauseAll(error)
    else this.#pauseOne(org, queue, error)
  }

  /** What is to be tried of a refused group, each alone: its events, and either half of its records. Of one that was alone, what is left of it. */
  #parted(org: OrgId, queue: Queue, group: Group, error: unknown): readonly Group[] {
    const { events, records, usages } = group
    if (events.length > 0) return [{ ...group, records: [], usages: [] }, groupOf({ records, usages })]
    if (recordsIn(group) > 1) return halves(group)
    const [used] = usages
    if (used !== undefined && used.bare !== true) return [groupOf({ usages: [bared(used)] })]
    this.#release(queue, [], 1)
    this.#metrics?.count(DROPPED, { kind: used === undefined ? 'request' : 'usage', outcome: 'refused' })
    this.#sayRefused(org, error)
    if (used !== undefined) this.#uncharged(used)
    return []
  }

  #sayRefused(org: OrgId, error: unknown): void {
    this.#refusedRecords++
    const now = this.#clock.monotonic()
    if (now - this.#saidRefusedAt < SAY_EVERY_MS) return
    this.#logger.error('Records of calls were refused and dropped', { org, dropped: this.#refusedRecords, error })
    this.#saidRefusedAt = now
    this.#refusedRecords = 0
  }

  #refuse(queue: Queue, entries: readonly Entry[]): void {
    const refused = entries.filter((entry) => !isHeld(entry))
    this.#release(queue, refused, 0)
    for (const { waiting } of refused) waiting?.reject(unavailable('the event could not be committed'))
  }

  #release(queue: Queue, entries: readonly Entry[], records: number): void {
    const characters = entries.reduce((sum, entry) => sum + size(entry), 0)
    queue.held -= entries.length
    queue.characters -= characters
    queue.heldRecords -= records
    this.#events -= entries.length
    this.#characters -= characters
    this.#records -= records
  }

  /** No organization is written while the database is away. */
  #pauseAll(error: unknown): void {
    if (this.#pauseMs === 0) this.#logger.error('The log of uses can not be written; it is held and tried again', { error })
    this.#away = true
    if (this.#over || this.#pauseTimer !== undefined) return
    this.#pauseMs = nextPauseMs(this.#pauseMs)
    this.#pauseTimer = setTimeout(() => {
      this.#pauseTimer = undefined
      this.#away = false
      this.#pump()
    }, this.#pauseMs)
  }

  #pauseOne(org: OrgId, queue: Queue, error: unknown): void {
    const said = queue.pauseMs > 0
    if (!said) this.#logger.error('The log of uses of an organization can not be written; it is held and tried again', { org, error })
    queue.troubled = true
    queue.pauseMs = nextPauseMs(queue.pauseMs)
    if (this.#over) return
    queue.pause = setTimeout(() => {
      queue.pause = undefined
      if (hasMore(queue)) this.#takeTurn(org)
      else this.#queues.delete(org)
    }, queue.pauseMs)
  }
}

function nextPauseMs(pauseMs: number): number {
  return Math.min(Math.max(pauseMs * 2, FIRST_PAUSE_MS), LAST_PAUSE_MS)
}

/** Of one that is busy with this organization alone, everybody else gets answers. */
function isAway(error: unknown): boolean {
  return hasCode(error, 'database_unavailable') && !isBusy(error)
}

function takeGroup(queue: Queue): Group {
  const again = queue.again.shift()
  if (again !== undefined) return again
  const { events, records, usages, owed } = queue
  const group = groupOf({
    events: events.splice(0, MAX_GROUP),
    records: records.splice(0, MAX_GROUP),
    usages: usages.splice(0, MAX_GROUP),
  })
  const last = group.usages.at(-1)
  if (last === undefined || owed.size === 0) return group
  queue.owed = new Map()
  const charges = [...last.usage.charges, ...owed.values()]
  return { ...group, usages: [...group.usages.slice(0, -1), { ...last, usage: { ...last.usage, charges } }] }
}

function groupOf({ events = [], records = [], usages = [] }: Partial<Pick<Group, 'events' | 'records' | 'usages'>>): Group {
  return { events, records, usages, attempted: undefined }
}

function halves({ records, usages }: Group): readonly Group[] {
  if (records.length > 0 && usages.length > 0) return [groupOf({ records }), groupOf({ usages })]
  const middle = Math.ceil((records.length + usages.length) / 2)
  return [
    groupOf({ records: records.slice(0, middle), usages: usages.slice(0, middle) }),
    groupOf({ records: records.slice(middle), usages: usages.slice(middle) }),
  ]
}

/** The call without its figures and names: that it was, and what budgets are charged for it, which none but its row may say once. */
function bared({ usage, settled, since }: Used): Used {
  const { org, id, request, at, project, environment, key, provider, status } = usage.row
  const nothing = { endUser: null, model: null, route: null, error: null, source: null, costNano: null, durationUs: 0, firstByteUs: null }
  const tokens = { inputTokens: null, cachedTokens: null, writtenTokens: null, outputTokens: null, reasoningTokens: null }
  const row = { org, id, request, at, project, environment, key, provider, status, ...nothing, ...tokens }
  return { usage: { ...usage, row }, settled, since, bare: true }
}

const MOST_NANO = 9e18

function owe(owed: Map<string, Charge>, charges: readonly Charge[]): void {
  for (const charge of charges) {
    const of = `${charge.budget} ${charge.startsOn}`
    owed.set(of, { ...charge, nano: Math.min((owed.get(of)?.nano ?? 0) + charge.nano, MOST_NANO) })
  }
}

function recordsIn({ records, usages }: Group): number {
  return records.length + usages.length
}

/** Those that say something of somebody, each with its place in the group. */
function inOrderOfSubjects(entries: readonly Entry[]) {
  const personal = entries.flatMap(({ about, since }, at) => (about === undefined ? [] : [{ about, since, at }]))
  return personal.toSorted((a, b) => Number(a.about.subject > b.about.subject) - Number(a.about.subject < b.about.subject))
}

/** Nobody waits for it, so it stays until it is written. */
function isHeld({ waiting }: Entry): boolean {
  return waiting === undefined
}

function hasMore({ events, records, usages, again }: Queue): boolean {
  return again.length > 0 || events.length + records.length + usages.length > 0
}

/**
 * Whether an attempt whose answer was lost did commit. Appending nothing waits for that transaction, should it still be under way; the
 * event then found in its place tells by its hash.
 */
async function wasCommitted(tx: TenantTx, attempted: AuditHead): Promise<boolean> {
  await auditAppend(tx, [])
  const found = await auditEventFind(tx, attempted.seq)
  return found !== undefined && found.hash.equals(attempted.hash)
}

function size({ event, about }: Entry): number {
  const told = about === undefined ? 0 : Object.values(about.facts).reduce((sum, fact) => sum + (fact?.length ?? 0), 0)
  return event.action.length + event.actor.length + event.target.length + event.detail.length + told
}

function requireOrganization(org: OrgId): void {
  if (!isUuid(org)) throw new TypeError('not an organization id')
}

function unavailable(why: string): AuditError {
  return new AuditError('audit_unavailable', `a use can't be put on record: ${why}`)
}
