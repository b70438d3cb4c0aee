/** Owns whether a call to a provider is made again, and when. Refuses to repeat what may have had an effect, and to wait longer than was agreed. */
import { EgressError } from '../http/index.ts'

export interface RetryPolicy {
  readonly maxRetries: number
  /** Milliseconds. */
  readonly baseDelay: number
  readonly maxDelay: number
  readonly retryableStatusCodes: readonly number[]
}

export const DEFAULT_RETRY: RetryPolicy = {
  maxRetries: 3,
  baseDelay: 1_000,
  maxDelay: 10_000,
  retryableStatusCodes: [429, 500, 502, 503, 504],
}

/** RFC 9110 section 9.2.2. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

export interface Tried {
  readonly method: string
  /** The body can be sent a second time. */
  readonly replayable: boolean
  /** The call carries a key by which the provider knows it again. */
  readonly keyed: boolean
  /** Calls repeated so far. */
  readonly retries: number
}

/** Milliseconds to wait before the next try, or undefined for none. `random` from 0 to 1. */
export function delayAfterAnswer(
  policy: RetryPolicy,
  tried: Tried,
  answer: { readonly status: number; readonly retryAfter: string | null },
  now: number,
  random: number,
): number | undefined {
  if (!policy.retryableStatusCodes.includes(answer.status) || !mayRepeat(policy, tried)) return undefined
  if (!IDEMPOTENT.has(tried.method) && !tried.keyed) return undefined
  const asked = askedDelay(answer.retryAfter, now)
  // Asking earlier than the provider said would be answered in the same way, or worse.
  if (asked !== undefined && asked > policy.maxDelay) return undefined
  return Math.max(asked ?? 0, backoff(policy, tried.retries, random))
}

/** The same for a call without answer: what provably never left may be sent again whatever it is. */
export function delayAfterFailure(policy: RetryPolicy, tried: Tried, error: unknown, random: number): number | undefined {
  if (!(error instanceof EgressError) || !PASSING.has(error.code) || !mayRepeat(policy, tried)) return undefined
  return !error.sent || IDEMPOTENT.has(tried.method) || tried.keyed ? backoff(policy, tried.retries, random) : undefined
}

const PASSING: ReadonlySet<string> = new Set(['upstream_unreachable', 'upstream_timeout', 'upstream_reset'])

function mayRepeat({ maxRetries }: RetryPolicy, { retries, replayable }: Tried): boolean {
  return replayable && retries < maxRetries
}

/** Doubled each time, and at least half of it by chance. */
function backoff({ baseDelay, maxDelay }: RetryPolicy, retries: number, random: number): number {
  return Math.min(maxDelay, baseDelay * 2 ** retries) * (0.5 + random / 2)
}

/** `Retry-After` (RFC 9110 section 10.2.3) in milliseconds; undefined for none that can be read. */
function askedDelay(text: string | null, now: number): number | undefined {
  if (text === null) return undefined
  const ms = /^\d{1,10}$/u.test(text) ? Number(text) * 1000 : Date.parse(text) - now
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}
