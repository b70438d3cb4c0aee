/**
 * Owns trying again. Refuses to send twice what a provider might do twice: a call is repeated only when its method is idempotent, when its caller
 * says that it only reads, when it carries an Idempotency-Key, or when it is proven that no byte of it left. Refuses to come back earlier than a
 * provider asked.
 */
import { retryAfterMs } from '../http/index.ts'
import { systemClock } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import { noMetrics } from '../observability/index.ts'
import type { Metrics } from '../observability/index.ts'
import { circuitOf, discard, isReplayable } from './call.ts'
import type { Answer, Call, Policy, Send } from './call.ts'
import { isPassing } from './fault.ts'
import { RetryBudget } from './retry-budget.ts'
import { systemPause } from './time.ts'
import type { Pause } from './time.ts'

/** The names of the first four are those of the configuration (`http.retry`). Times in milliseconds. */
export interface RetryOptions {
  /** Tries after the first, 0 to 10; 3 when absent. */
  readonly maxRetries?: number
  /** The first pause is up to this long, each further one up to twice the one before; 1,000 when absent. */
  readonly baseDelay?: number
  /** No pause of our own is longer; 10,000 when absent. */
  readonly maxDelay?: number
  /** 429, 500, 502, 503 and 504 when absent. */
  readonly retryableStatusCodes?: readonly number[]
  /** A provider that asks for more is not tried again: its answer goes to the caller. 30,000 when absent. */
  readonly maxRetryAfter?: number
  /** Of the calls under way to one place, the share that may be on another try; 0.2 when absent. */
  readonly budget?: number
  /** Calls that may be on another try however few are under way; 3 when absent. */
  readonly budgetFloor?: number
  readonly clock?: Clock
  readonly pause?: Pause
  /** From 0 to below 1. */
  readonly random?: () => number
  readonly metrics?: Metrics
}

/** RFC 9110 section 9.2.2. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])
const TOO_MANY = 429

type Outcome = { readonly answer: Answer } | { readonly error: unknown }

/** @throws RangeError for figures outside their ranges. The policy itself throws only what it is given. */
export function retry(options: RetryOptions = {}): Policy {
  const retrying = new Retrying(options)
  return (next) => (call) => retrying.run(next, call)
}

class Retrying {
  readonly #options: Required<Omit<RetryOptions, 'budget' | 'budgetFloor' | 'retryableStatusCodes'>>
  readonly #statuses: ReadonlySet<number>
  readonly #budget: RetryBudget

  constructor(options: RetryOptions) {
    const { maxRetries = 3, baseDelay = 1_000, maxDelay = 10_000, maxRetryAfter = 30_000, budget = 0.2, budgetFloor = 3 } = options
    const fits =
      Number.isInteger(maxRetries) && maxRetries >= 0 && maxRetries <= 10 && baseDelay >= 0 && maxDelay >= baseDelay && maxRetryAfter >= 0
    if (!fits || !(budget >= 0 && budget <= 1) || !(budgetFloor >= 0)) throw new RangeError('a figure of the retries is out of range')
    const { clock = systemClock, pause = systemPause, random = Math.random, metrics = noMetrics } = options
    this.#options = { maxRetries, baseDelay, maxDelay, maxRetryAfter, clock, pause, random, metrics }
    this.#statuses = new Set(options.retryableStatusCodes ?? [TOO_MANY, 500, 502, 503, 504])
    this.#budget = new RetryBudget(budget, budgetFloor)
  }

  async run(next: Send, call: Call): Promise<Answer> {
    const key = circuitOf(call)
    let taken = false
    this.#budget.enter(key)
    try {
      for (let tries = 0; ; tries++) {
        const outcome = await attempt(next, call)
        const pauseMs = tries < this.#options.maxRetries ? this.#pauseBefore(call, outcome, tries) : undefined
        if (pauseMs === undefined) return delivered(outcome)
        taken ||= this.#budget.take(key)
        if (!taken) {
          this.#options.metrics.count('http_retries_total', { provider: call.provider, outcome: 'over_budget' })
          return delivered(outcome)
        }
        await this.#options.pause(pauseMs, call.signal)
        if (call.signal?.aborted === true) return delivered(outcome)
        if ('answer' in outcome) await discard(outcome.answer)
        this.#options.metrics.count('http_retries_total', { provider: call.provider, outcome: 'sent' })
      }
    } finally {
      this.#budget.leave(key, taken)
    }
  }

  /** How long to wait before the next try; undefined for no further one, also when it could not begin within the call's deadline. */
  #pauseBefore(call: Call, outcome: Outcome, tries: number): number | undefined {
    if (!this.#mayRepeat(call, outcome)) return undefined
    const { baseDelay, maxDelay, maxRetryAfter, random, clock } = this.#options
    const asked = 'answer' in outcome ? retryAfterMs(outcome.answer.headers, clock.now()) : undefined
    if (asked !== undefined && asked > maxRetryAfter) return undefined
    // Full jitter; what a provider asked for is the least, and callers that it asked at one moment come back apart.
    const own = Math.min(maxDelay, baseDelay * 2 ** tries) * random()
    const pauseMs = asked === undefined ? own : Math.min(maxRetryAfter, asked + Math.min(own, baseDelay))
    return call.deadline !== undefined && clock.monotonic() + pauseMs >= call.deadline ? undefined : pauseMs
  }

  #mayRepeat(call: Call, outcome: Outcome): boolean {
    if (!isReplayable(call) || call.signal?.aborted === true) return false
    const harmless = IDEMPOTENT.has(call.method) || call.reads === true || call.headers.has('idempotency-key')
    if ('answer' in outcome) return harmless && this.#statuses.has(outcome.answer.status)
    return isPassing(outcome.error) && (harmless || !outcome.error.sent)
  }
}

async function attempt(next: Send, call: Call): Promise<Outcome> {
  try {
    return { answer: await next(call) }
  } catch (error) {
    return { error }
  }
}

function delivered(outcome: Outcome): Answer {
  if ('answer' in outcome) return outcome.answer
  throw outcome.error
}
