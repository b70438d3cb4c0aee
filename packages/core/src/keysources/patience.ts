/**
 * Owns how long and how often a key service is asked: again after a failure that may pass, with growing random pauses, until a deadline;
 * and after that, for a while, not at all. Refuses to repeat what was refused for good.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { EgressError } from '../http/index.ts'
import { systemClock } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import { KeySourceError } from '../crypto/index.ts'

/** Milliseconds. */
export interface PatienceLimits {
  /** From the first attempt to the last answer. Shorter than the time a transaction may lie idle (30 s): some wait inside one. */
  readonly deadlineMs: number
  /** Bounds of the pause between attempts; it doubles from the first to the second. */
  readonly firstPauseMs: number
  readonly longestPauseMs: number
  /** How long nobody asks after a deadline passed without an answer; doubles up to the second while it goes on. */
  readonly firstRestMs: number
  readonly longestRestMs: number
}

const DEFAULT_LIMITS: PatienceLimits = {
  deadlineMs: 6_000,
  firstPauseMs: 100,
  longestPauseMs: 1_500,
  firstRestMs: 500,
  longestRestMs: 5_000,
}

/** `away`: a deadline passed without an answer. `refuses`: it answered, and not what it should. */
export type ServiceState = 'answers' | 'away' | 'refuses'

/** Told of each change, not of each question. A service is taken to answer until it doesn't. */
export type StateListener = (state: ServiceState, error?: KeySourceError) => void

/** Failures of the way there and not of what was asked. A server that can't prove who it is isn't among them. */
const PASSING: ReadonlySet<string> = new Set(['upstream_unreachable', 'upstream_timeout', 'upstream_reset', 'upstream_invalid'])

/** How a key service is waited for, and who is told of its state. */
export interface PatienceOptions {
  readonly limits?: Partial<PatienceLimits>
  readonly clock?: Clock
  readonly onState?: StateListener
}

/** One per service, shared by everything that asks it. */
export class Patience {
  readonly #service: string
  readonly #limits: PatienceLimits
  readonly #clock: Clock
  readonly #onState: StateListener
  readonly #closed = new AbortController()
  #state: ServiceState = 'answers'
  #restUntil = 0
  #restMs = 0

  /** @param service its name, for messages */
  constructor(service: string, { limits = {}, clock = systemClock, onState = () => undefined }: PatienceOptions = {}) {
    this.#service = service
    this.#limits = { ...DEFAULT_LIMITS, ...limits }
    this.#clock = clock
    this.#onState = onState
  }

  /**
   * What `ask` gives. It gets a signal that ends with the deadline.
   * @throws KeySourceError `key_source_unavailable` once the deadline is reached or while nobody asks; anything else at once, as it came.
   */
  async ask<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#clock.monotonic() < this.#restUntil) throw this.#unavailable('not asked again yet')
    const closed = this.#closed.signal
    const signal = AbortSignal.any([AbortSignal.timeout(this.#limits.deadlineMs), closed])
    const end = this.#clock.monotonic() + this.#limits.deadlineMs
    // What the service said last tells more than that the time was up in the middle of the next attempt.
    let said: KeySourceError | undefined
    for (let wait = this.#limits.firstPauseMs; ; wait = Math.min(wait * 2, this.#limits.longestPauseMs)) {
      if (closed.aborted) throw this.#unavailable('closed')
      try {
        const answer = await ask(signal)
        this.#answered()
        return answer
      } catch (error) {
        const failure = this.#judged(error)
        if (closed.aborted) throw failure
        const ms = wait * (0.5 + Math.random() / 2)
        if (failure.code === 'key_source_refused') {
          this.#become('refuses', failure)
          throw failure
        }
        if (!signal.aborted) said = failure
        if (this.#clock.monotonic() + ms >= end) throw this.#rest(said ?? failure)
        await pause(ms, undefined, { signal: closed }).catch(() => undefined)
      }
    }
  }

  /** Nobody asks any more; who waits, for an answer or another attempt, is told at once. Nothing is said of the service's state after that. */
  close(): void {
    this.#closed.abort()
  }

  #judged(error: unknown): KeySourceError {
    if (error instanceof KeySourceError) return error
    if (!(error instanceof EgressError)) {
      // Said about what was asked, and so by a service that is there.
      this.#answered()
      throw error
    }
    if (PASSING.has(error.code)) return this.#unavailable(error.reason)
    return new KeySourceError('key_source_refused', `${this.#service} can't be called (${error.code}: ${error.reason})`)
  }

  #rest(failure: KeySourceError): KeySourceError {
    this.#restMs = Math.min(this.#restMs === 0 ? this.#limits.firstRestMs : this.#restMs * 2, this.#limits.longestRestMs)
    this.#restUntil = this.#clock.monotonic() + this.#restMs
    this.#become('away', failure)
    return failure
  }

  #answered(): void {
    this.#restMs = 0
    this.#become('answers')
  }

  #become(state: ServiceState, error?: KeySourceError): void {
    if (state === this.#state) return
    this.#state = state
    this.#onState(state, error)
  }

  #unavailable(reason: string): KeySourceError {
    return new KeySourceError('key_source_unavailable', `${this.#service} does not answer (${reason})`)
  }
}
