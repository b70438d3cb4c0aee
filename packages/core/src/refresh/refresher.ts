/**
 * Owns fresh tokens for callers: one refresh at a time for each credential in this process, each caller with a patience of its own, and the
 * work in the background that ends what was interrupted. Refuses to let a caller's end end a refresh.
 */
import { setTimeout as timer } from 'node:timers/promises'
import { hasCode, systemClock } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import { noMetrics, noTraces } from '../observability/index.ts'
import type { Logger, Metrics } from '../observability/index.ts'
import { leaseKey, TokenError } from '../tokens/index.ts'
import type { CredentialRef } from '../tokens/index.ts'
import { StoreContact } from './contact.ts'
import { UnspentIntents } from './course.ts'
import type { Parts } from './course.ts'
import { failureOf, overFailure, RefreshError } from './errors.ts'
import { failed, served } from './flight.ts'
import type { Flight, FreshTokens, Landing } from './flight.ts'
import { LearnedRotation } from './learned.ts'
import { DEFAULT_REFRESH_LIMITS } from './options.ts'
import type { Pause, RefreshEvent, RefreshLimits, RefresherOptions } from './options.ts'
import { ANY, isUsable, judge } from './policy.ts'
import type { Reading, Want } from './policy.ts'
import { RefreshProtocol } from './protocol.ts'
import { Readings } from './readings.ts'
import { Recovery } from './recovery.ts'
import { Turns } from './turn.ts'
import { UnsavedAnswers } from './unsaved.ts'
import type { Unsaved } from './unsaved.ts'
import { Changes } from './waiting.ts'

/** One caller's patience. */
export interface FreshOptions {
  /** Ends this caller's wait, never the refresh. */
  readonly signal?: AbortSignal
  /** How long to wait for a refresh; otherwise `usablePatienceMs` or `deadPatienceMs`. */
  readonly patienceMs?: number
  /** The provider refused the token of this version: a later one is wanted. */
  readonly force?: { readonly afterSeq: bigint }
}

/** Gives fresh tokens, once renewed for all callers of all processes. */
export interface Refresher {
  /**
   * Tokens with more life than the buffer; or, when they can't be had in time, usable ones, marked stale. Safe to repeat.
   * @throws RefreshError; TokenError `store_unavailable` while nothing usable is known; the signal's reason; what `endpoint` rejects with.
   */
  fresh(ref: CredentialRef, options?: FreshOptions): Promise<FreshTokens>
  /** Renews now, whatever life is left. A token that can't be renewed for want of a refresh token is given as it is. @throws as `fresh`. */
  refreshNow(ref: CredentialRef, options?: Pick<FreshOptions, 'signal' | 'patienceMs'>): Promise<FreshTokens>
  /** Saves what was spilled and ends interrupted refreshes that are nobody's; one pass. @throws TokenError `store_unavailable`. */
  recover(): Promise<void>
  /** Renews grants that were not used for long. How many it tried. @throws TokenError `store_unavailable`. */
  sweepIdle(limit?: number): Promise<number>
  /** Forgets versions that are neither head nor in use and older than `keepMs`. How many. @throws TokenError `store_unavailable`. */
  prune(): Promise<number>
  /** Begins all three in the background. */
  start(): void
  /** Answers of providers that are not saved yet. While there is one, this process must not end and is not ready. */
  readonly unsaved: number
  /** Stops the background and waits until nothing is under way and everything is saved. What was not, after `timeoutMs`. */
  drain(timeoutMs: number): Promise<{ readonly underWay: number; readonly unsaved: number }>
  /** Tells of changes, each once. Gives the way to stop. What a listener throws is logged. */
  onEvent(listener: (event: RefreshEvent) => void): () => void
  /** Stops everything at once, saved or not. The store, leases and spills stay open: they are the maker's. */
  close(): void
}

/** How often a caller looks again when a flight ended without an answer for it. */
const ROUNDS = 5

/** A refresher that has not begun yet: `start` lets it look for interrupted work. One for each store and process. */
export function createRefresher(options: RefresherOptions): Refresher {
  return new LineageRefresher(options)
}

class LineageRefresher implements Refresher {
  readonly #o: RefresherOptions
  readonly #limits: RefreshLimits
  readonly #clock: Clock
  readonly #metrics: Metrics
  readonly #logger: Logger
  readonly #pause: Pause
  /** Between the rounds of the background, which keep no process alive. */
  readonly #rest: Pause
  readonly #parts: Parts
  readonly #protocol: RefreshProtocol
  readonly #recovery: Recovery
  readonly #flights = new Map<string, { readonly flight: Flight; readonly landed: Promise<Landing> }>()
  readonly #listeners = new Set<(event: RefreshEvent) => void>()
  readonly #background = new AbortController()
  #closed = false

  constructor(options: RefresherOptions) {
    const { store, leases, hint, spills = [], logger, node, metrics = noMetrics, clock = systemClock, random = Math.random } = options
    const { pause = systemPause, traces = noTraces } = options
    this.#o = options
    this.#limits = { ...DEFAULT_REFRESH_LIMITS, ...options.limits }
    this.#clock = clock
    this.#metrics = metrics
    this.#logger = logger
    this.#pause = pause
    this.#rest = options.pause ?? systemRest
    const contact = new StoreContact(clock)
    this.#parts = {
      store,
      endpoint: options.endpoint,
      readings: new Readings(store, clock, contact),
      contact,
      turns: new Turns(leases, hint, this.#limits, pause),
      changes: new Changes(store, pause),
      unsaved: new UnsavedAnswers({
        store,
        spills,
        logger,
        metrics,
        pause,
        random,
        onSaved: (kept, outcome) => this.#onSaved(kept, outcome),
      }),
      unspent: new UnspentIntents(node),
      refusals: new Map(),
      learned: new LearnedRotation(store, logger),
      policy: { ...this.#limits, renewsAlone: options.renewsAlone },
      limits: this.#limits,
      clock,
      random,
      pause,
      metrics,
      traces,
      logger,
      node,
      reach: options.checkpoint ?? (() => undefined),
      tell: (event) => this.#tell(event),
      revokeOrphan: (ref, tokens) => this.#revokeOrphan(ref, tokens),
    }
    this.#protocol = new RefreshProtocol(this.#parts)
    this.#recovery = new Recovery({
      store,
      unsaved: this.#parts.unsaved,
      contact,
      clock,
      logger,
      isFlying: (key) => this.#flights.has(key),
      recover: (ref) => this.#fly(ref, ANY, undefined, true),
    })
  }

  get unsaved(): number {
    return this.#parts.unsaved.size
  }

  async fresh(ref: CredentialRef, options: FreshOptions = {}): Promise<FreshTokens> {
    return await this.#freshFor(ref, { afterSeq: options.force?.afterSeq ?? null, byHand: false }, options)
  }

  async refreshNow(ref: CredentialRef, options: FreshOptions = {}): Promise<FreshTokens> {
    const reading = await this.#parts.readings.readNow(ref)
    if (reading === undefined) throw new RefreshError('credential_absent')
    return await this.#freshFor(ref, { afterSeq: reading.state.head.seq, byHand: true }, options)
  }

  async recover(): Promise<void> {
    await this.#recovery.pass()
  }

  async sweepIdle(limit = 200): Promise<number> {
    const { store, readings } = this.#parts
    // The wall clock will do: this is about days.
    const idle = await store.idle(this.#clock.now() - this.#limits.idleMs, limit)
    for (const ref of idle) {
      if (this.#background.signal.aborted) break
      const reading = await readings.read(ref)
      if (reading !== undefined) await this.#fly(ref, { afterSeq: reading.state.head.seq, byHand: false }, reading, false)
    }
    return idle.length
  }

  async prune(): Promise<number> {
    return await this.#parts.store.prune(this.#clock.now() - this.#limits.keepMs)
  }

  start(): void {
    // Whoever starts it may do so in a span of its own, which ends long before the background does.
    this.#parts.traces.apart(() => {
      void this.#repeat(this.#limits.recoveryMs, 'Interrupted refreshes can not be looked for', () => this.#recovery.look())
      void this.#repeat(this.#limits.idleSweepMs, 'Unused grants can not be looked for', () => this.sweepIdle())
      void this.#repeat(this.#limits.pruneMs, 'Old versions can not be forgotten', () => this.prune())
    })
  }

  async drain(timeoutMs: number): Promise<{ readonly underWay: number; readonly unsaved: number }> {
    this.#stopBackground()
    const over = new AbortController()
    await Promise.race([this.#quiet(), this.#pause(timeoutMs, over.signal)])
    over.abort()
    return { underWay: this.#flights.size, unsaved: this.unsaved }
  }

  onEvent(listener: (event: RefreshEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  close(): void {
    this.#closed = true
    this.#stopBackground()
    this.#parts.unsaved.abandon()
    this.#parts.changes.close()
  }

  #stopBackground(): void {
    this.#background.abort()
    this.#recovery.stop()
  }

  async #freshFor(ref: CredentialRef, want: Want, options: FreshOptions): Promise<FreshTokens> {
    const key = leaseKey(ref)
    const since = this.#clock.monotonic()
    let joined = false
    for (let round = 0; round < ROUNDS; round++) {
      options.signal?.throwIfAborted()
      let flying = this.#flights.get(key)
      let reading: Reading | undefined
      if (flying === undefined) {
        const landing = await this.#look(ref, want)
        if ('kind' in landing) return taken(landing)
        reading = landing
        // Nothing is awaited between this look and the flight's being set.
        flying = this.#flights.get(key)
      }
      const own = flying === undefined
      if (!own && !joined) {
        joined = true
        this.#metrics.count('token_refresh_dedup_local_total', {})
      }
      flying ??= this.#begin(ref, want, reading, false)
      const landing = await this.#await(flying, since, options)
      const answer = this.#answerFrom(landing, flying.flight, want, own)
      if (answer !== undefined) return taken(answer)
    }
    throw new RefreshError('refresh_pending', null, 1_000)
  }

  /** What can be said without asking anybody but the store; or the reading that says a refresh is due. */
  async #look(ref: CredentialRef, want: Want): Promise<Landing | Reading> {
    const memory = this.#parts.unsaved.for(ref)
    let reading: Reading | undefined
    try {
      reading = await this.#parts.readings.read(ref)
    } catch (error) {
      if (memory === undefined || !hasCode(error, 'store_unavailable')) throw error
      return fromMemory(memory)
    }
    if (reading === undefined) return failed(new RefreshError('credential_absent'))
    const judged = judge(reading, this.#clock.monotonic(), want, this.#parts.policy)
    if (judged.kind === 'fresh') return served(reading)
    if (judged.kind === 'over') return failed(overFailure(judged.trouble))
    if (memory?.generation === reading.state.generation && memory.parentSeq >= reading.state.head.seq) return fromMemory(memory)
    if (reading.state.stale === true) return this.#usable(reading, want) ?? failed(new TokenError('store_unavailable', 'the store is away'))
    if (judged.kind !== 'resting') return reading
    return this.#usable(reading, want) ?? failed(failureOf(judged.trouble, judged.retryAfterMs))
  }

  /** What a landing means for this caller. Undefined: nothing yet. */
  #answerFrom(landing: Landing | 'impatient', flight: Flight, want: Want, own: boolean): Landing | undefined {
    if (landing === 'impatient') {
      return this.#usable(flight.reading, want) ?? failed(new RefreshError('refresh_pending', null, 1_000))
    }
    if (landing.kind === 'left') return undefined
    if (landing.kind === 'failed') return this.#usable(flight.reading, want) ?? landing
    const { seq, unsaved } = landing.fresh
    // Begun for others it may have landed without a call; begun for this caller, nothing can renew the version.
    return own || want.afterSeq === null || unsaved || seq > want.afterSeq ? landing : undefined
  }

  #usable(reading: Reading | undefined, want: Want): Landing | undefined {
    if (reading === undefined || want.afterSeq !== null || reading.state.status !== 'active') return undefined
    if (!isUsable(reading, this.#clock.monotonic())) return undefined
    const { head } = reading.state
    return { kind: 'served', fresh: { tokens: head.tokens, generation: head.generation, seq: head.seq, stale: true, unsaved: false } }
  }

  #fly(ref: CredentialRef, want: Want, reading: Reading | undefined, recovering: boolean): Promise<Landing> {
    return (this.#flights.get(leaseKey(ref)) ?? this.#begin(ref, want, reading, recovering)).landed
  }

  #begin(ref: CredentialRef, want: Want, reading: Reading | undefined, recovering: boolean) {
    const key = leaseKey(ref)
    const firstHead = reading === undefined ? undefined : { generation: reading.state.generation, seq: reading.state.head.seq }
    const flight: Flight = { ref, key, recovering, want, reading, firstHead, waited: false }
    const landed = this.#protocol
      .fly(flight)
      .catch((error: unknown) => failed(error instanceof Error ? error : new Error('a refresh failed', { cause: error })))
      .finally(() => this.#flights.delete(key))
    const flying = { flight, landed }
    this.#flights.set(key, flying)
    return flying
  }

  async #await(
    { flight, landed }: { readonly flight: Flight; readonly landed: Promise<Landing> },
    since: number,
    { signal, patienceMs }: FreshOptions,
  ): Promise<Landing | 'impatient'> {
    const now = this.#clock.monotonic()
    const usable = flight.reading !== undefined && isUsable(flight.reading, now)
    const patience = patienceMs ?? (usable ? this.#limits.usablePatienceMs : this.#limits.deadPatienceMs)
    const over = new AbortController()
    const impatient = this.#pause(Math.max(0, since + patience - now), over.signal).then(() => 'impatient' as const)
    try {
      return await Promise.race([landed, impatient, ...(signal === undefined ? [] : [abortOf(signal, over.signal)])])
    } finally {
      over.abort()
    }
  }

  async #quiet(): Promise<void> {
    // Of a drain that gave up nobody waits any more; what was abandoned will never be saved here.
    while (!this.#closed && (this.#flights.size > 0 || this.unsaved > 0)) {
      await Promise.all([...this.#flights.values()].map(({ landed }) => landed))
      await this.#parts.unsaved.saved()
    }
    await this.#protocol.quiet()
  }

  async #onSaved(kept: { readonly ref: CredentialRef; readonly tokens: FreshTokens['tokens'] }, outcome: string): Promise<void> {
    if (outcome === 'ended') await this.#revokeOrphan(kept.ref, kept.tokens)
  }

  async #revokeOrphan(ref: CredentialRef, tokens: FreshTokens['tokens']): Promise<void> {
    try {
      await this.#o.revokeOrphan?.(ref, tokens)
    } catch (error) {
      this.#logger.error('Tokens of a grant that had ended could not be handed on to be revoked', { ref, error })
    }
  }

  #tell(event: RefreshEvent): void {
    const { kind, ref, provider, health, trouble } = event
    if (kind === 'refreshed') this.#logger.debug('A credential was renewed', { ref, provider })
    else this.#logger[kind === 'recovered' ? 'info' : 'warn']('The health of a credential changed', { ref, provider, health, trouble })
    for (const listener of this.#listeners) {
      try {
        listener(event)
      } catch (error) {
        this.#logger.error('A listener for changes of credentials failed', { error })
      }
    }
  }

  async #repeat(everyMs: number, complaint: string, work: () => Promise<unknown>): Promise<void> {
    const { signal } = this.#background
    let complained = false
    while (!signal.aborted) {
      try {
        await work()
        complained = false
      } catch (error) {
        if (!complained) this.#logger.warn(complaint, { error })
        complained = true
      }
      await this.#rest(complained ? Math.max(everyMs, 1_000) : everyMs, signal)
    }
  }
}

/** What this process has and the store had not when it was looked for; it may have been saved since. */
function fromMemory({ tokens, generation, parentSeq: seq }: Unsaved): Landing {
  return { kind: 'served', fresh: { tokens, generation, seq, stale: false, unsaved: true } }
}

function taken(landing: Landing): FreshTokens {
  if (landing.kind === 'served') return landing.fresh
  throw landing.kind === 'failed' ? landing.error : new RefreshError('refresh_pending', null, 1_000)
}

// An abort ends a wait, and is no failure of whoever waits.
const systemPause: Pause = (ms, signal) => timer(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
/** For what goes on in the background: keeps no process alive. */
export const systemRest: Pause = (ms, signal) =>
  timer(ms, undefined, { ref: false, ...(signal === undefined ? {} : { signal }) }).catch(() => undefined)

/** Rejects with the signal's reason; forgets about it when `over`. */
function abortOf(signal: AbortSignal, over: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true, signal: over })
  })
}
