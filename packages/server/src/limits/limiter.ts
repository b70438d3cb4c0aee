/**
 * Owns whether a caller may ask once more: one decision over the limits of its organization, its project and its key, of which all let it pass or
 * none is touched. People have a limit of their own, so that keys that are out of hand never keep their owner from the console. Refuses to be
 * off: what can't be read goes by the standard, what can't be drawn goes by this node's part.
 */
import type { Clock, OrgId } from '@sallyport/core'
import type { Change, RateLimitRow } from '../db/index.ts'
import type { KeyPrincipal, PersonPrincipal } from '../identity/index.ts'
import { inForce, sameFigures } from './figures.ts'
import type { RateBounds, RateFigures } from './figures.ts'
import type { LeaseSource } from './lease-source.ts'
import { RateLimitError } from './limit-error.ts'
import { fieldsOf, standingOf } from './standing.ts'
import type { HolderKind, Holding, Standing } from './standing.ts'
import { LeasedSupply, LocalSupply } from './supply.ts'
import type { Supply } from './supply.ts'

/** What of a caller is looked at. */
export type Counted = Pick<KeyPrincipal, 'kind' | 'keyId' | 'org' | 'project'> | Pick<PersonPrincipal, 'kind' | 'userId'>

export interface LimiterOptions {
  readonly bounds: RateBounds
  /** The figures that were set for these, of one organization. */
  readonly read: (org: OrgId, ids: readonly string[]) => Promise<readonly RateLimitRow[]>
  /** Undefined where there is no Redis. */
  readonly source?: LeaseSource | undefined
  readonly clock: Clock
  /** Is told of each refusal, by whose limit it was. */
  readonly onRefusal?: (holder: HolderKind) => void
}

export interface Limiter {
  /**
   * Counts one request. At once in the common case.
   * @throws RateLimitError, at once or in the promise; nothing was counted then.
   */
  admit(principal: Counted): Standing | Promise<Standing>
  /** How many nodes share the limits from now on; 1 at first. */
  useNodes(count: number): void
  /** What another node, or this one, has changed. */
  heard(change: Change | 'unknown'): void
  close(): void
}

/** Whose limits bound a caller, and since when that is known. */
interface Caller {
  /** Undefined of people, whose limits nobody sets. */
  readonly org: OrgId | undefined
  readonly ids: readonly string[]
  readonly kinds: readonly HolderKind[]
  holdings: readonly Holding[]
  readAt: number
  usedAt: number
  /** Something was changed since it was read: its next request waits for the new figures. */
  changed: boolean
  reading: Promise<void> | undefined
}

interface Held extends Holding {
  readonly id: string
}

const MAX_AGE_MS = 10_000
const RETRY_MS = 1_000
/** The longest that a request waits for its limits to be read. */
const PATIENCE_MS = 250
const SWEEP_MS = 1_000
const FORGOTTEN_MS = 60_000
const MAX_CALLERS = 50_000
/** How often one request asks Redis before it is told to come back. */
const MAX_QUESTIONS = 8
const COME_BACK_MS = 1_000

const KEY_KINDS: readonly HolderKind[] = ['organization', 'project', 'key']
/** Of a key that lies in no project. */
const ORGANIZATION_KEY_KINDS: readonly HolderKind[] = ['organization', 'key']
const PERSON_KINDS: readonly HolderKind[] = ['person']

export function createLimiter(options: LimiterOptions): Limiter {
  return new BucketLimiter(options)
}

class BucketLimiter implements Limiter {
  readonly #o: LimiterOptions
  readonly #callers = new Map<string, Caller>()
  readonly #supplies = new Map<string, Supply>()
  readonly #sweeper: NodeJS.Timeout
  #nodes = 1

  constructor(options: LimiterOptions) {
    this.#o = options
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS)
    this.#sweeper.unref()
  }

  admit(principal: Counted): Standing | Promise<Standing> {
    const caller = this.#caller(principal)
    const now = this.#o.clock.monotonic()
    caller.usedAt = now
    if (caller.changed || caller.readAt === -Infinity) return this.#readSoon(caller).then(() => this.#decide(caller))
    if (now - caller.readAt >= MAX_AGE_MS && caller.org !== undefined) void this.#read(caller)
    return this.#decide(caller)
  }

  useNodes(count: number): void {
    this.#nodes = Math.max(1, count)
    for (const supply of this.#supplies.values()) supply.useNodes(this.#nodes)
  }

  heard(change: Change | 'unknown'): void {
    if (change !== 'unknown' && change.table !== 'rate_limit') return
    for (const caller of this.#callers.values()) {
      if (caller.org === undefined) continue
      if (change === 'unknown' || (caller.org === change.org && caller.ids.includes(change.id))) caller.changed = true
    }
  }

  close(): void {
    clearInterval(this.#sweeper)
  }

  #caller(principal: Counted): Caller {
    const id = principal.kind === 'key' ? principal.keyId : principal.userId
    const known = this.#callers.get(id)
    if (known !== undefined) return known
    const caller = principal.kind === 'key' ? this.#keyCaller(principal) : this.#personCaller(id)
    this.#callers.set(id, caller)
    if (this.#callers.size > MAX_CALLERS) this.#callers.delete(this.#callers.keys().next().value!)
    return caller
  }

  #keyCaller({ org, project, keyId }: Pick<KeyPrincipal, 'org' | 'project' | 'keyId'>): Caller {
    const unread = { readAt: -Infinity, usedAt: 0, changed: true, reading: undefined }
    const kinds = project === null ? ORGANIZATION_KEY_KINDS : KEY_KINDS
    return { org, ids: project === null ? [org, keyId] : [org, project, keyId], kinds, holdings: this.#holdings(kinds, []), ...unread }
  }

  #personCaller(id: string): Caller {
    const known = { readAt: 0, usedAt: 0, changed: false, reading: undefined }
    return {
      org: undefined,
      ids: [id],
      kinds: PERSON_KINDS,
      holdings: this.#holdings(PERSON_KINDS, []),
      ...known,
    }
  }

  #holdings(kinds: readonly HolderKind[], figures: readonly (RateFigures | undefined)[]): readonly Holding[] {
    return kinds.map((kind, at) => ({ kind, figures: inForce(figures[at], this.#o.bounds) }))
  }

  /** What is not read in time goes by what is known, and holds when it comes. */
  async #readSoon(caller: Caller): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, PATIENCE_MS)
    await Promise.race([this.#read(caller), late]).finally(() => clearTimeout(timer))
  }

  /** Shared by all who ask at the same moment. What can't be read stays as it was known. */
  #read(caller: Caller): Promise<void> {
    caller.reading ??= this.#reread(caller).finally(() => (caller.reading = undefined))
    return caller.reading
  }

  async #reread(caller: Caller): Promise<void> {
    const { clock, read } = this.#o
    const askedAt = clock.monotonic()
    // Before the question: what changes while it is asked is asked again.
    caller.changed = false
    try {
      const rows = await read(caller.org!, caller.ids)
      caller.readAt = askedAt
      this.#apply(
        caller,
        caller.ids.map((id) => rows.find((row) => row.id === id)),
      )
    } catch {
      // Said by whoever asked the database. The limits that are known hold on.
      caller.readAt = askedAt - MAX_AGE_MS + RETRY_MS
    }
  }

  #apply(caller: Caller, figures: readonly (RateFigures | undefined)[]): void {
    const before = caller.holdings
    const holdings = this.#holdings(caller.kinds, figures)
    if (!holdings.every(({ figures: now }, at) => sameFigures(now, before[at]!.figures))) caller.holdings = holdings
    // Whether or not it is news to this caller: another of the same organization may not have read it yet.
    for (const [at, id] of caller.ids.entries()) this.#supplies.get(id)?.reshape(holdings[at]!.figures)
  }

  #decide(caller: Caller): Standing | Promise<Standing> {
    const supplies = this.#suppliesOf(caller)
    const waits = supplies.map((supply) => supply.waitMs())
    const longest = longestOf(waits)
    if (longest > 0) throw this.#refusal(caller, waits.indexOf(longest), longest)
    if (waits.includes(undefined)) return this.#askThenDecide(caller)
    return this.#take(caller, supplies)
  }

  async #askThenDecide(caller: Caller): Promise<Standing> {
    for (let question = 0; question < MAX_QUESTIONS; question++) {
      const unknown = this.#suppliesOf(caller).filter((supply) => supply.waitMs() === undefined)
      await Promise.all(unknown.map((supply) => supply.ask()))
      const supplies = this.#suppliesOf(caller)
      const waits = supplies.map((supply) => supply.waitMs())
      const longest = longestOf(waits)
      if (longest > 0) throw this.#refusal(caller, waits.indexOf(longest), longest)
      if (!waits.includes(undefined)) return this.#take(caller, supplies)
    }
    throw this.#refusal(caller, 0, COME_BACK_MS)
  }

  #take(caller: Caller, supplies: readonly Supply[]): Standing {
    for (const supply of supplies) supply.take()
    const lefts = supplies.map((supply) => supply.left())
    const tightest = lefts.indexOf(Math.min(...lefts))
    return standingOf(caller.holdings, caller.holdings[tightest]!, lefts[tightest]!, supplies[tightest]!.fullInMs())
  }

  #refusal(caller: Caller, at: number, waitMs: number): RateLimitError {
    const holding = caller.holdings[at]!
    const retryAfterS = Math.max(1, Math.ceil(waitMs / 1_000))
    this.#o.onRefusal?.(holding.kind)
    return new RateLimitError(holding.kind, retryAfterS, fieldsOf(standingOf(caller.holdings, holding, 0, retryAfterS * 1_000)))
  }

  #suppliesOf(caller: Caller): readonly Supply[] {
    return caller.ids.map((id, at) => this.#supplies.get(id) ?? this.#open({ id, ...caller.holdings[at]! }))
  }

  #open({ id, kind, figures }: Held): Supply {
    const { source, clock } = this.#o
    const supply =
      source === undefined
        ? new LocalSupply(figures, this.#nodes, clock)
        : new LeasedSupply(`${kind}:${id}`, figures, this.#nodes, source, clock)
    this.#supplies.set(id, supply)
    return supply
  }

  #sweep(): void {
    const now = this.#o.clock.monotonic()
    for (const [id, supply] of this.#supplies) if (supply.rest()) this.#supplies.delete(id)
    for (const [id, caller] of this.#callers) if (now - caller.usedAt > FORGOTTEN_MS) this.#callers.delete(id)
  }
}

function longestOf(waits: readonly (number | undefined)[]): number {
  let longest = 0
  for (const wait of waits) if (wait !== undefined && wait > longest) longest = wait
  return longest
}
