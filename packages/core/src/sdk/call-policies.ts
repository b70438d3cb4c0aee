/**
 * Owns the policies around an SDK's calls, made of its configuration: one breaker, budget, quota and cache for all providers, limits for each that
 * has some. Refuses to know what a call does.
 */
import type { KeyObject } from '../crypto/index.ts'
import type { Clock } from '../kernel/index.ts'
import type { Metrics } from '../observability/index.ts'
import { answerCache, Breaker, deadline, limits, quota, retry } from '../pipeline/index.ts'
import type {
  AnswerCache,
  AnswersOf,
  AnswerStore,
  CircuitChange,
  LimitOptions,
  PipelinePolicies,
  Policy,
  RetryOptions,
} from '../pipeline/index.ts'
import { isRenewalOutage } from './call-grant.ts'
import type { ReadConfig } from './config-form.ts'

export interface CallPolicyOptions {
  readonly http: NonNullable<ReadConfig['http']>
  readonly rateLimits: NonNullable<ReadConfig['rateLimits']>
  /** Where answers are kept, and the key that hides what they answer; undefined where none are. */
  readonly answers: { readonly store: AnswerStore; readonly key: KeyObject } | undefined
  readonly deadlineMs: number
  readonly clock: Clock
  readonly metrics: Metrics
  readonly onCircuit: (change: CircuitChange) => void
}

/** Of a provider that asks for no more than what waits here. */
const DEFAULT_QUEUE = 1_000
const DEFAULT_BASE_DELAY_MS = 1_000
export const DEFAULT_MAX_DELAY_MS = 10_000
export const DEFAULT_TIMEOUT_MS = 30_000
export const DEFAULT_OPEN_MS = 60_000

export class CallPolicies {
  readonly #shared: PipelinePolicies
  readonly #answers: AnswerCache | undefined
  readonly #limits = new Map<string, Policy>()
  readonly #o: CallPolicyOptions

  constructor(options: CallPolicyOptions) {
    const { http, answers, deadlineMs, clock, metrics, onCircuit } = options
    this.#o = options
    this.#answers = answers && answerCache({ ...answers, ...cacheFigures(http), isOutage: isRenewalOutage, clock, metrics })
    this.#shared = {
      ...(this.#answers === undefined ? {} : { cache: this.#answers.policy }),
      deadline: deadline({ totalMs: deadlineMs, clock }),
      retry: retry({ ...retryFigures(http), clock, metrics }),
      quota: quota({ clock }),
      breaker: new Breaker({ ...breakerFigures(http), onChange: onCircuit, clock, metrics }).policy,
    }
  }

  /** Drops what was kept of a connection that is over. Never rejects. */
  async forgetAnswers(of: AnswersOf): Promise<void> {
    await this.#answers?.forget(of)
  }

  of(provider: string): PipelinePolicies {
    const figures = this.#o.rateLimits[provider]
    if (figures === undefined) return this.#shared
    const own = this.#limits.get(provider) ?? limits(this.#limitsOf(figures))
    this.#limits.set(provider, own)
    return { ...this.#shared, limits: own }
  }

  #limitsOf({ qps, concurrency, queue = DEFAULT_QUEUE }: CallPolicyOptions['rateLimits'][string]): LimitOptions {
    const { clock, metrics } = this.#o
    return { ...(qps === undefined ? {} : { qps }), ...(concurrency === undefined ? {} : { concurrency }), queue, clock, metrics }
  }
}

/** A provider that asks for more than `maxDelay` gets its answer handed on. */
function retryFigures({ retry: figures = {} }: CallPolicyOptions['http']): RetryOptions {
  const { maxRetries, baseDelay, maxDelay = DEFAULT_MAX_DELAY_MS, retryableStatusCodes } = figures
  return {
    maxDelay,
    maxRetryAfter: maxDelay,
    ...(maxRetries === undefined ? {} : { maxRetries }),
    baseDelay: baseDelay ?? Math.min(DEFAULT_BASE_DELAY_MS, maxDelay),
    ...(retryableStatusCodes === undefined ? {} : { retryableStatusCodes }),
  }
}

function breakerFigures({ circuitBreaker = {} }: CallPolicyOptions['http']): { readonly failures?: number; readonly openMs: number } {
  const { failureThreshold, resetTimeout = DEFAULT_OPEN_MS } = circuitBreaker
  return { openMs: resetTimeout, ...(failureThreshold === undefined ? {} : { failures: failureThreshold }) }
}

function cacheFigures({ cache: figures = {} }: CallPolicyOptions['http']): {
  readonly maxBodyBytes?: number
  readonly maxStaleMs?: number
} {
  const { maxBodyBytes, maxStale } = figures
  return { ...(maxBodyBytes === undefined ? {} : { maxBodyBytes }), ...(maxStale === undefined ? {} : { maxStaleMs: maxStale }) }
}
