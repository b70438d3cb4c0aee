/**
 * Owns writing down what organizations keep of model calls, in groups beside the calls. Refuses to make a call wait for it, and to hold more than its bound: what is
 * beyond is dropped, counted and told. What an organization no longer keeps when it is written is not written, nor what was said by somebody whom it forgot since.
 *
 * Of each organization one group is written at a time, of several beside each other. Whose rows can't be written, or only slowly, waits for its own next try and takes
 * its turn in a lane beside the others'.
 */
import { hasCode, newId, Secret, systemClock } from '@sallyport/core'
import type { Clock, Logger, Metrics, OrgId, RequestId } from '@sallyport/core'
import { endUserStillNamed, isBusy, storedContentInsert } from '../db/index.ts'
import type { ContentPart, Database, Place, TenantTx } from '../db/index.ts'
import { createRoom } from '../llm/index.ts'
import type { Room } from '../llm/index.ts'
import { readSettings } from '../organizations/index.ts'
import { storedContentPlace } from '../vault/index.ts'
import type { Vault } from '../vault/index.ts'

export interface HeardPart {
  readonly org: OrgId
  readonly place: Place
  readonly request: RequestId
  readonly part: ContentPart
  readonly provider: string
  readonly endUser: string | null
  /** When the call began, by the machine's clock that never jumps. */
  readonly since: number
  readonly status: number | null
  /** Of the whole part; `content` may be its beginning alone. */
  readonly bytes: number
  readonly content: Buffer
}

export interface ContentLog {
  /** Room for so many bytes more of an organization, until `put` or `leave` of them. False: there is none, or it has its part of it. */
  enter(org: OrgId, bytes: number): boolean
  leave(org: OrgId, bytes: number): void
  /** Takes a part whose bytes have entered. Does not wait. */
  put(part: HeardPart): void
  /** One that had no room. */
  drop(): void
  /** Takes nothing more, and waits for what is held, for `timeoutMs` at most; what is left then is dropped. */
  close(timeoutMs: number): Promise<void>
}

export interface ContentLogOptions {
  readonly database: Pick<Database, 'withTenant'>
  readonly vault: Pick<Vault, 'seal'>
  readonly logger: Logger
  readonly metrics: Metrics
  /** Bytes held at most, of calls under way too; 64 MiB when absent. */
  readonly maxHeldBytes?: number
  /** The machine's when absent. */
  readonly clock?: Pick<Clock, 'monotonic'>
}

/** How many groups are under way. */
interface Lane {
  readonly most: number
  underWay: number
}

const MAX_HELD_BYTES = 64 * 1024 * 1024
/** Bounds one transaction. */
const MAX_GROUP = 32
const PAUSE_MS = 500
/** Organizations written at once: parts are large, and the pool is for requests. */
const MAX_CONCURRENT = 2
/** Beside them, of those in trouble, which wait for each other and for nobody else. */
const MAX_TROUBLED = 2
/** A group that takes longer gives its place in the lane to others. */
const LONG_MS = 500
const OUTCOMES = 'sallyport_stored_content_total'

export function createContentLog(options: ContentLogOptions): ContentLog {
  return new GroupingContentLog(options)
}

class GroupingContentLog implements ContentLog {
  readonly #o: ContentLogOptions
  readonly #waiting = new Map<OrgId, HeardPart[]>()
  readonly #writing = new Set<OrgId>()
  /** Until their next try; `all` while the database is away. */
  readonly #paused = new Map<OrgId | 'all', NodeJS.Timeout>()
  /** Whose last group failed, or took long. */
  readonly #slow = new Set<OrgId>()
  readonly #lane: Lane = { most: MAX_CONCURRENT, underWay: 0 }
  readonly #troubledLane: Lane = { most: MAX_TROUBLED, underWay: 0 }
  readonly #room: Room
  #begins = false
  #saidDropped = false
  #closed = false
  #over = false
  #idle: (() => void) | undefined

  constructor(options: ContentLogOptions) {
    this.#o = options
    this.#room = createRoom(options.maxHeldBytes ?? MAX_HELD_BYTES)
  }

  enter(org: OrgId, bytes: number): boolean {
    return !this.#closed && this.#room.enter(org, bytes)
  }

  leave(org: OrgId, bytes: number): void {
    this.#room.leave(org, bytes)
  }

  put(part: HeardPart): void {
    if (this.#over) return this.#gaveUp([part])
    const known = this.#waiting.get(part.org)
    if (known === undefined) this.#waiting.set(part.org, [part])
    else known.push(part)
    this.#beginSoon()
  }

  drop(): void {
    this.#o.metrics.count(OUTCOMES, { outcome: 'dropped' })
    if (this.#saidDropped) return
    this.#saidDropped = true
    this.#o.logger.warn('What an organization keeps of model calls is dropped: more waits than may be held')
  }

  async close(timeoutMs: number): Promise<void> {
    this.#closed = true
    const { promise: over, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, timeoutMs)
    this.#idle = resolve
    this.#begin()
    await over
    clearTimeout(timer)
    this.#over = true
    for (const pause of this.#paused.values()) clearTimeout(pause)
    for (const parts of this.#waiting.values()) this.#gaveUp(parts)
    this.#waiting.clear()
  }

  /** What is put in one turn of the loop is one group. */
  #beginSoon(): void {
    if (this.#begins) return
    this.#begins = true
    queueMicrotask(() => {
      this.#begins = false
      this.#begin()
    })
  }

  #begin(): void {
    for (const lane of [this.#lane, this.#troubledLane]) {
      while (!this.#over && !this.#paused.has('all') && lane.underWay < lane.most) {
        const org = this.#next(lane)
        if (org === undefined) break
        void this.#run(org, lane)
      }
    }
    if (this.#waiting.size === 0 && this.#writing.size === 0) this.#idle?.()
  }

  /** Whoever waits longest for a turn in this lane. */
  #next(lane: Lane): OrgId | undefined {
    for (const org of this.#waiting.keys()) {
      if (this.#slow.has(org) === (lane === this.#troubledLane) && !this.#writing.has(org) && !this.#paused.has(org)) return org
    }
    return undefined
  }

  async #run(org: OrgId, lane: Lane): Promise<void> {
    const parts = this.#take(org)
    let place = lane
    place.underWay += 1
    this.#writing.add(org)
    const long = setTimeout(() => {
      this.#slow.add(org)
      if (this.#troubledLane.underWay >= MAX_TROUBLED) return
      place.underWay -= 1
      place = this.#troubledLane
      place.underWay += 1
      this.#begin()
    }, LONG_MS)
    this.#slow.delete(org)
    await this.#write(org, parts)
    clearTimeout(long)
    place.underWay -= 1
    this.#writing.delete(org)
    this.#begin()
  }

  /** The next group of one organization, whose rest goes behind everybody else's. */
  #take(org: OrgId): readonly HeardPart[] {
    const parts = this.#waiting.get(org) ?? []
    this.#waiting.delete(org)
    if (parts.length > MAX_GROUP) this.#waiting.set(org, parts.slice(MAX_GROUP))
    return parts.slice(0, MAX_GROUP)
  }

  async #write(org: OrgId, parts: readonly HeardPart[]): Promise<void> {
    try {
      const stored = await this.#o.database.withTenant(org, (tx) => this.#store(tx, parts))
      if (stored > 0) this.#o.metrics.count(OUTCOMES, { outcome: 'stored' }, stored)
      this.#release(parts)
      this.#saidDropped = false
    } catch (error) {
      if ((isBusy(error) || hasCode(error, 'database_unavailable')) && !this.#over)
        return this.#again(org, parts, isBusy(error) ? org : 'all')
      this.#o.logger.error('What an organization keeps of model calls could not be written', { org, dropped: parts.length, error })
      this.#gaveUp(parts)
    }
  }

  async #store(tx: TenantTx, parts: readonly HeardPart[]): Promise<number> {
    const { settings } = await readSettings(tx)
    const kept = parts.filter(({ part }) => (part === 'prompt' ? settings.store_prompts : settings.store_responses))
    const wanted = await this.#stillNamed(tx, kept)
    for (const { content, place, request, part, provider, endUser, status, bytes } of wanted) {
      // In the order of time, as every id is.
      const id: string = newId('req')
      const sealed = await this.#o.vault.seal(tx, storedContentPlace(id), new Secret(content.toString('base64')))
      const whole = content.length === bytes
      await storedContentInsert(tx, {
        id,
        place,
        request,
        part,
        provider,
        endUser,
        status,
        bytes,
        whole,
        sealed,
        days: settings.stored_content_days,
      })
    }
    return wanted.length
  }

  /** What nobody said who was forgotten since. */
  async #stillNamed(tx: TenantTx, parts: readonly HeardPart[]): Promise<readonly HeardPart[]> {
    const now = (this.#o.clock ?? systemClock).monotonic()
    const named = parts.flatMap(({ place, endUser, since }) => (endUser === null ? [] : [{ at: place, endUser, ageMs: now - since }]))
    const stay = (await endUserStillNamed(tx, named)).values()
    return parts.filter(({ endUser }) => endUser === null || stay.next().value === true)
  }

  /** It stays, first of its organization's, and is tried again after a moment: of everybody where the database is away, or of this one alone. */
  #again(org: OrgId, parts: readonly HeardPart[], who: OrgId | 'all'): void {
    this.#waiting.set(org, [...parts, ...(this.#waiting.get(org) ?? [])])
    if (who !== 'all') this.#slow.add(org)
    if (this.#paused.has(who)) return
    const pause = setTimeout(() => {
      this.#paused.delete(who)
      this.#begin()
    }, PAUSE_MS)
    this.#paused.set(who, pause)
  }

  #gaveUp(parts: readonly HeardPart[]): void {
    this.#o.metrics.count(OUTCOMES, { outcome: 'dropped' }, parts.length)
    this.#release(parts)
  }

  #release(parts: readonly HeardPart[]): void {
    for (const { org, content } of parts) this.leave(org, content.length)
  }
}
