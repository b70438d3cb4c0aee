/**
 * Owns one refresh from the lease to its landing (docs/refresh.md). Refuses to call a provider without a committed intent and a proven lease,
 * and to lose an answer, whoever holds the lease by then.
 */
import { RefreshError } from './errors.ts'
import { failureOf, overFailure } from './errors.ts'
import type { Checkpoint } from './checkpoints.ts'
import { failed, served } from './flight.ts'
import type { Flight, Landing } from './flight.ts'
import type { RefreshEndpoint } from './options.ts'
import { ANY, judge, lifetimeOf, restOf } from './policy.ts'
import type { Reading } from './policy.ts'
import { overIn } from './course.ts'
import type { Course, Parts, Step } from './course.ts'
import type { Turn } from './turn.ts'
import { refused, settle, writeUnspent } from './settle.ts'
import type { BegunRefresh, Lease, RefreshIntent, RotationProfile } from '../tokens/index.ts'
import type { RefreshAnswer } from '../oauth/index.ts'

/** How often one flight begins anew, because the head moved or the lease was lost, before it gives up. */
const ROUNDS = 6
/** Repetitions of a call that provably never left. */
const UNSENT_REPEATS = 2
/** Proofs asked for one after another when the process keeps being held up between proof and call. */
const PROOFS = 3

export class RefreshProtocol {
  readonly #o: Parts
  readonly #releasing = new Set<Promise<void>>()

  constructor(parts: Parts) {
    this.#o = parts
  }

  /** @throws TokenError `store_unavailable`, and what `endpoint` throws. */
  async fly(flight: Flight): Promise<Landing> {
    await this.#o.reach('begun')
    for (let round = 0; round < ROUNDS; round++) {
      const landing = await this.#takeTurn(flight)
      if (landing !== undefined) return landing
    }
    return failed(new RefreshError('refresh_pending', null, 1_000))
  }

  /** Waits for the lease and refreshes under it. Undefined: to be begun anew. */
  async #takeTurn(flight: Flight): Promise<Landing | undefined> {
    const got = await this.#o.traces.within({ name: 'sallyport.lease.wait' }, async (span) => {
      const waited = await this.#awaitTurn(flight)
      span.set({ 'sallyport.lease.outcome': 'lease' in waited ? 'held' : waited.kind })
      return waited
    })
    if (!('lease' in got)) return got
    await this.#o.reach('lease_held')
    return await this.#underTurn(flight, got)
  }

  /** The right to begin, or what made it needless or hopeless. */
  async #awaitTurn(flight: Flight): Promise<Landing | Turn> {
    const { clock, limits, turns, changes, random } = this.#o
    const since = clock.monotonic()
    await this.#o.reach('lease_asked')
    for (;;) {
      const waitedMs = clock.monotonic() - since
      const turn = await turns.take(flight.key, waitedMs)
      if (turn !== undefined) return turn
      if (flight.recovering) return { kind: 'left', lookAgainMs: 500 }
      if (waitedMs > limits.turnMs) return failed(new RefreshError('refresh_pending', null, 1_000))
      flight.waited = true
      await changes.next(flight.ref, 20 + 80 * random())
      const landing = await this.#look(flight)
      if (landing !== undefined) return landing
    }
  }

  /** Callers do not wait for the lease to be given back; a flight that begins anew does. */
  async #underTurn(flight: Flight, turn: Turn): Promise<Landing | undefined> {
    let landing: Landing | undefined
    try {
      landing = await this.#underLease(flight, turn.lease)
      return landing
    } finally {
      const released = this.#release(turn)
      if (landing === undefined) await released
    }
  }

  async #release(turn: Turn): Promise<void> {
    const released = turn.release().then(() => this.#o.reach('lease_released'))
    this.#releasing.add(released)
    try {
      await released
    } catch (error) {
      this.#o.logger.error('A lease was not given back', { error })
    } finally {
      this.#releasing.delete(released)
    }
  }

  /** Resolves when no lease is being given back. */
  async quiet(): Promise<void> {
    await Promise.allSettled(this.#releasing)
  }

  async #underLease(flight: Flight, lease: Lease): Promise<Landing | undefined> {
    const landing = await this.#look(flight)
    await this.#o.reach('head_read')
    if (landing !== undefined) return landing
    const reading = flight.reading!
    const endpoint = await this.#o.endpoint(flight.ref)
    const course: Course = { flight, endpoint, reading, tried: new Set(), quick: 0, since: null, lost: false }
    let step = await this.#firstStep(course)
    while (step !== undefined && !('kind' in step)) step = await this.#walk(course, lease, step)
    return step
  }

  /** Reads the head again and judges it for this flight. Undefined: the provider is to be asked. */
  async #look(flight: Flight): Promise<Landing | undefined> {
    const { readings, clock, policy, metrics } = this.#o
    const reading = await readings.readNow(flight.ref)
    flight.reading = reading
    if (reading === undefined) return failed(new RefreshError('credential_absent'))
    const now = clock.monotonic()
    if (flight.recovering) return recoveryView(reading, now)
    const judged = judge(reading, now, flight.want, policy)
    if (judged.kind === 'due') return undefined
    if (judged.kind === 'dead') return await this.#bury(flight, reading)
    if (judged.kind === 'over') return failed(overFailure(judged.trouble))
    if (judged.kind === 'resting') return failed(failureOf(judged.trouble, judged.retryAfterMs))
    if (flight.waited && hasMoved(flight, reading)) metrics.count('token_refresh_dedup_distributed_total', {})
    return served(reading)
  }

  /** Ends a grant that has nothing to be renewed with. */
  async #bury({ ref }: Flight, { state: { generation, head } }: Reading): Promise<Landing | undefined> {
    const at = { generation, headSeq: head.seq }
    if (await this.#o.store.end(ref, at, 'reconnect_required', 'no_refresh_token')) {
      this.#o.tell({ kind: 'ended', ref, provider: '', generation, health: 'reconnect_required', trouble: 'no_refresh_token' })
    }
    return failed(overFailure('no_refresh_token'))
  }

  /** Where to begin: at the head, or where an interrupted refresh stands. */
  async #firstStep(course: Course): Promise<Landing | Step | undefined> {
    const { intent, head } = course.reading.state
    if (intent === null) return { parentSeq: head.seq, replaces: null, attempt: 1 }
    if (await this.#payOwed(course, intent)) return undefined
    if (this.#o.unspent.has(course.reading.state)) return { parentSeq: intent.parentSeq, replaces: intent.id, attempt: intent.attempt }
    const refusal = await this.#knownRefusal(course, intent)
    if (refusal !== undefined) return await refused(this.#o, course, refusal, refusal.trouble)
    const kept = this.#o.unsaved.for(course.flight.ref)
    if (kept?.intent === intent.id) {
      const { tokens, generation, parentSeq: seq } = kept
      return { kind: 'served', fresh: { tokens, generation, seq, stale: false, unsaved: true } }
    }
    if (await this.#o.unsaved.adoptFor(intent.id)) return undefined
    if (intent.headSeq !== head.seq) {
      // A late answer has become the head: what this intent's parent was worth matters no more.
      await this.#o.store.withdraw(course.flight.ref, intent.id, null)
      return undefined
    }
    return await this.#afterInterruption(course, intent)
  }

  /** Writes what an earlier call heard and could not write: that it was turned away, and for how long. True when the pause stands now. */
  async #payOwed({ flight }: Course, intent: RefreshIntent): Promise<boolean> {
    const { unspent, clock } = this.#o
    const owed = unspent.owed(intent)
    if (owed === undefined) return false
    const retryInMs = Math.ceil(owed.until - clock.monotonic())
    if (retryInMs <= 0) return false
    await writeUnspent(this.#o, flight.ref, intent, { trouble: owed.trouble, retryInMs }, owed.inDoubt)
    return true
  }

  /** What this process heard of the intent's token and could not write. */
  async #knownRefusal({ flight, reading }: Course, intent: RefreshIntent) {
    const trouble = this.#o.refusals.get(intent.id)
    if (trouble === undefined) return undefined
    const { head } = reading.state
    const versions = head.seq === intent.parentSeq ? [head] : await this.#o.store.siblings(flight.ref)
    const parent = versions.find(({ seq }) => seq === intent.parentSeq)
    return parent === undefined ? undefined : { intent, parent, trouble }
  }

  /** The outcome of the intent's call is unknown, since `startedAt`. */
  async #afterInterruption(course: Course, intent: RefreshIntent): Promise<Landing | Step | undefined> {
    const { clock, learned, store, limits } = this.#o
    const { flight, endpoint, reading } = course
    course.since = intent.startedAt
    const profile = await learned.profileOf(reading.state, endpoint)
    const whose = { startedAt: intent.startedAt, isOurs: intent.node === this.#o.node }
    const underWayMs = overIn(profile, course, whose, limits, clock.monotonic())
    const waitMs = Math.max(this.#contactMissing(intent, profile), underWayMs)
    if (profile.kind === 'grace' && waitMs > 0 && waitMs === underWayMs) return await this.#passBy(flight, waitMs)
    if (waitMs <= 0) return { parentSeq: intent.parentSeq, replaces: intent.id, attempt: intent.attempt + 1 }
    if (intent.state === 'calling') {
      const noted = await store.doubt(flight.ref, intent.id, { trouble: 'outcome_unknown', retryInMs: Math.ceil(waitMs) })
      if (!noted) return undefined
      this.#o.tell({
        kind: 'failing',
        ref: flight.ref,
        provider: endpoint.provider,
        generation: intent.generation,
        health: 'outcome_unknown',
        trouble: 'outcome_unknown',
      })
    }
    return flight.recovering ? { kind: 'left', lookAgainMs: waitMs } : failed(failureOf('outcome_unknown', waitMs))
  }

  /** Too short to be told of: whoever may be sending yet has sent by then, and perhaps saved what came. */
  async #passBy({ recovering }: Flight, waitMs: number): Promise<Landing | undefined> {
    if (recovering) return { kind: 'left', lookAgainMs: waitMs }
    await this.#o.pause(waitMs)
    return undefined
  }

  /**
   * Under grace only a break that was seen counts, and none does once the token was shown more than twice: the window goes on meanwhile, and a store
   * that breaks off again and again would let it pass.
   */
  #contactMissing({ node, attempt }: RefreshIntent, { kind }: RotationProfile): number {
    if (kind === 'none' || node === this.#o.node || (kind === 'grace' && attempt > CAREFUL_SHOWINGS)) return 0
    return this.#o.contact.missing(this.#o.limits.contactMs, kind === 'grace')
  }

  /** One intent, one call, one outcome. */
  async #walk(course: Course, lease: Lease, step: Step): Promise<Landing | Step | undefined> {
    const { store, unspent } = this.#o
    const { flight, reading } = course
    const { generation, head } = reading.state
    await this.#o.reach('intent_asked')
    const from = { generation, headSeq: head.seq, parentSeq: step.parentSeq, replaces: step.replaces }
    const askedAt = this.#o.clock.monotonic()
    const begun = await unspent.around(flight.ref, from, step.attempt, () =>
      store.begin(flight.ref, from, { node: this.#o.node, attempt: step.attempt }),
    )
    if (begun === undefined) return undefined
    if (step.replaces !== null) this.#o.refusals.delete(step.replaces)
    const begunAt = this.#o.clock.monotonic()
    course.since ??= begun.intent.startedAt
    await this.#o.reach('intent_written')
    const answer = await this.#call(course, lease, begun, { askedAt, begunAt })
    if (answer === undefined) return await this.#stepBack(flight, begun)
    return await settle(this.#o, course, begun, answer)
  }

  /** The lease was gone before the call. A first intent is taken back; a later one says still that an earlier call's outcome is unknown. */
  async #stepBack({ ref }: Flight, { intent }: BegunRefresh): Promise<undefined> {
    this.#o.unspent.add(intent)
    if (intent.attempt === 1 && (await this.#o.store.withdraw(ref, intent.id, null))) this.#o.unspent.forget(intent)
  }

  /** Undefined: the lease is not ours any more, or it took too long to come here, and nothing was sent. */
  async #call(course: Course, lease: Lease, begun: BegunRefresh, { askedAt, begunAt }: IntentTimes): Promise<RefreshAnswer | undefined> {
    const { clock, metrics, pause, random } = this.#o
    const { endpoint } = course
    for (let repeat = 0; ; repeat++) {
      const provedAt = await this.#cleared(lease)
      const calledAt = clock.monotonic()
      if (provedAt === undefined || calledAt - askedAt > this.#o.limits.startMs) return undefined
      const answer = await this.#ask(endpoint, begun, {
        timeoutMs: callTimeout(endpoint, this.#o.limits.callMs),
        beginWithinMs: Math.max(0, provedAt + this.#o.limits.proofMs - calledAt),
        now: begun.intent.startedAt + Math.floor(calledAt - begunAt),
        lifetimeMs: lifetimeOf(begun.parent),
      })
      metrics.count('token_refresh_total', { provider: endpoint.provider, outcome: answer.kind })
      metrics.observe('token_refresh_duration_seconds', { provider: endpoint.provider }, (clock.monotonic() - calledAt) / 1000)
      await this.#o.reach('call_answered')
      if (answer.kind !== 'unsent' || repeat === UNSENT_REPEATS) return answer
      await pause(50 + 150 * random())
    }
  }

  #ask(endpoint: RefreshEndpoint, begun: BegunRefresh, call: Parameters<RefreshEndpoint['refresh']>[1]): Promise<RefreshAnswer> {
    const attributes = { 'sallyport.provider': endpoint.provider, 'sallyport.refresh.attempt': begun.intent.attempt }
    return this.#o.traces.within({ name: 'sallyport.token.refresh', attributes }, async (span) => {
      const answer = await askProvider(endpoint, begun, call)
      span.set({ 'sallyport.refresh.outcome': answer.kind })
      if (answer.kind !== 'tokens') span.fail(answer.kind)
      return answer
    })
  }

  /**
   * When the lease was held, a moment ago; undefined when it is not. A process that was stopped meanwhile (SIGSTOP, a suspended machine) sees it by the monotonic
   * clock, taken before the proof was asked for, and asks again.
   */
  async #cleared(lease: Lease): Promise<number | undefined> {
    const { clock, limits } = this.#o
    for (let proof = 0; proof < PROOFS; proof++) {
      const askedAt = clock.monotonic()
      if (!(await lease.prove().catch(() => false))) return undefined
      await this.#o.reach('call_cleared')
      if (clock.monotonic() - askedAt <= limits.proofMs) return askedAt
    }
    return undefined
  }
}

/** By the monotonic clock: before the intent was asked for, and when its writing was known. */
interface IntentTimes {
  readonly askedAt: number
  readonly begunAt: number
}

async function askProvider(
  endpoint: RefreshEndpoint,
  begun: BegunRefresh,
  call: Parameters<RefreshEndpoint['refresh']>[1],
): Promise<RefreshAnswer> {
  try {
    return await endpoint.refresh(begun.parent.tokens, call)
  } catch {
    // It promised not to: whether anything was sent, nobody can say.
    return { kind: 'unknown', why: 'reset' }
  }
}

/** Showings of one token within its grace before which a store that was away is given time to be told what others heard. */
const CAREFUL_SHOWINGS = 2

/** Under grace the first call and a probe must both be over within half the window. */
function callTimeout({ rotation, requestLifetimeMs }: RefreshEndpoint, callMs: number): number {
  return Math.min(callMs, requestLifetimeMs, rotation.kind === 'grace' ? (rotation.seconds * 1000) / 4 : callMs)
}

/** Recovery looks at intents alone: whether the token is fresh says nothing about them. */
function recoveryView(reading: Reading, monotonic: number): Landing | undefined {
  const { status, intent } = reading.state
  if (status !== 'active' || intent === null) return { kind: 'left', lookAgainMs: 0 }
  const rest = restOf(reading, monotonic, ANY)
  return rest === undefined ? undefined : { kind: 'left', lookAgainMs: rest.retryAfterMs }
}

function hasMoved({ firstHead }: Flight, { state: { generation, head } }: Reading): boolean {
  return firstHead !== undefined && (firstHead.seq !== head.seq || firstHead.generation !== generation)
}

export type Reach = (point: Checkpoint) => Promise<void> | void
