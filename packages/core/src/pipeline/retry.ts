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
import { discard, isReplayable, placeKey, placeOf } from './call.ts'
import type { Answer, Call, Place, Policy, Send } from './call.ts'
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

/** A call that may be tried again, as far as that needs to be known. */
export interface RetriedCall extends Place {
  readonly method: string
  /** Whatever its method, to send it again changes nothing: it carries an Idempotency-Key, or only reads. */
  readonly isHarmless: boolean
  /** It can be sent a second time: its body, if it has one, is still there. */
  readonly isReplayable: boolean
  /** Nothing begins from then on, by the monotonic clock. Milliseconds. */
  readonly deadline?: number | undefined
  /** In place of the configured number. */
  readonly maxRetries?: number
}

/** What came of a try: the head of an answer, or no answer. */
export type TryOutcome =
  | { readonly answer: { readonly status: number; readonly headers: Pick<Headers, 'get'> } }
  | { readonly error: unknown }

/** The tries of one call. */
export interface Tries {
  /** How long to wait before the next one, in milliseconds; undefined when none is to be made. To be asked once a try. */
  after(outcome: TryOutcome): number | undefined
  /** Once, when the call is over. */
  end(): void
}

type Outcome = { readonly answer: Answer } | { readonly error: unknown }

/** @throws RangeError for figures outside their ranges. The policy itself throws only what it is given. */
export function retry(options: RetryOptions = {}): Policy {
  const { pause = systemPause } = options
  const retries = new Retries(options)
  return (next) => (call) => run(retries, pause, next, call)
}

async function run(retries: Retries, pause: Pause, next: Send, call: Call): Promise<Answer> {
  const { method, deadline } = call
  const isHarmless = call.reads === true || call.headers.has('idempotency-key')
  const tries = retries.begin({ ...placeOf(call), method, isHarmless, isReplayable: isReplayable(call), deadline })
  try {
    for (;;) {
      const outcome = await attempt(next, call)
      const pauseMs = call.signal?.aborted === true ? undefined : tries.after(outcome)
      if (pauseMs === undefined) return delivered(outcome)
      await pause(pauseMs, call.signal)
      if (call.signal?.aborted === true) return delivered(outcome)
      if ('answer' in outcome) await discard(outcome.answer)
    }
  } finally {
    tries.end()
  }
}

/** Decides on further tries, and holds them within the budget. For callers that stream by themselves. */
export class Retries {
  readonly #options: Required<Omit<RetryOptions, 'budget' | 'budgetFloor' | 'retryableStatusCodes' | 'pause'>>
  readonly #statuses: ReadonlySet<number>
  readonly #budget: RetryBudget

  /** @throws RangeError for figures outside their ranges. */
  constructor(options: RetryOptions = {}) {
    const { maxRetries = 3, baseDelay = 1_000, maxDelay = 10_000, maxRetryAfter = 30_000, budget = 0.2, budgetFloor = 3 } = options
    const fits =
      Number.isInteger(maxRetries) && maxRetries >= 0 && maxRetries <= 10 && baseDelay >= 0 && maxDelay >= baseDelay && maxRetryAfter >= 0
    if (!fits || !(budget >= 0 && budget <= 1) || !(budgetFloor >= 0)) throw new RangeError('a figure of the retries is out of range')
    const { clock = systemClock, random = Math.random, metrics = noMetrics } = options
    this.#options = { maxRetries, baseDelay, maxDelay, maxRetryAfter, clock, random, metrics }
    this.#statuses = new Set(options.retryableStatusCodes ?? [TOO_MANY, 500, 502, 503, 504])
    this.#budget = new RetryBudget(budget, budgetFloor)
  }

  begin(call: RetriedCall): Tries {
    const key = placeKey(call)
    let [made, taken] = [0, false]
    this.#budget.enter(key)
    return {
      after: (outcome) => {
        const pauseMs = this.#pauseBefore(call, outcome, made)
        if (pauseMs === undefined) return undefined
        taken ||= this.#budget.take(key)
        this.#options.metrics.count('http_retries_total', { provider: call.provider, outcome: taken ? 'sent' : 'over_budget' })
        made += 1
        return taken ? pauseMs : undefined
      },
      end: () => this.#budget.leave(key, taken),
    }
  }

  /** How long to wait before the next try; undefined for no further one, also when it could not begin within the call's deadline. */
  #pauseBefore(call: RetriedCall, outcome: TryOutcome, made: number): number | undefined {
    const { baseDelay, maxDelay, maxRetryAfter, maxRetries, random, clock } = this.#options
    if (made >= (call.maxRetries ?? maxRetries) || !this.#mayRepeat(call, outcome)) return undefined
    const asked = 'answer' in outcome ? retryAfterMs(outcome.answer.headers, clock.now()) : undefined
    if (asked !== undefined && asked > maxRetryAfter) return undefined
    // Full jitter; what a provider asked for is the least, and callers that it asked at one moment come back apart.
    const own = Math.min(maxDelay, baseDelay * 2 ** made) * random()
    const pauseMs = asked === undefined ? own : Math.min(maxRetryAfter, asked + Math.min(own, baseDelay))
    return call.deadline !== undefined && clock.monotonic() + pauseMs >= call.deadline ? undefined : pauseMs
  }

  #mayRepeat({ method, isHarmless, isReplayable: isThere }: RetriedCall, outcome: TryOutcome): boolean {
    if (!isThere) return false
    const harmless = isHarmless || IDEMPOTENT.has(method)
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
