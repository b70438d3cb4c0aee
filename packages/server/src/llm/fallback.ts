/**
 * Owns the walk over the targets of a named route: in which order they are asked, and when the next one is. Pure: it sends nothing, and knows nothing of
 * answers but whether one was handed over. Refuses to ask anybody else once an answer has begun.
 */
import { EgressError, hasCode } from '@sallyport/core'
import type { FallbackCause, ModelRouteTerms, ModelTarget } from '../db/index.ts'

/**
 * Why a target did not answer. Beside what a route may go on after, two for which the next one is asked in any case, since nothing went out:
 * - `no_key`: there is no credential for its provider here.
 * - `unsayable`: the request asks for what can't be said in the words of that provider.
 */
export type FailedFor = FallbackCause | 'no_key' | 'unsayable'

/** What became of one target. `answer`: what it said in place of an answer of use, kept so that it can be given when nobody does better. */
export type Outcome<Kept> =
  | { readonly served: true }
  | { readonly served: false; readonly cause: FailedFor; readonly answer: Kept }
  | { readonly served: false; readonly cause: FailedFor; readonly error: unknown }

/** One target's turn. */
export interface Turn {
  readonly target: ModelTarget
  /** Nobody is asked after it: what it says is the caller's, whatever it is. */
  readonly isLast: boolean
  /** Until its answer begins, in milliseconds. */
  readonly withinMs: number
  /** The how-manieth that is asked, from 1 on. Those that nothing was sent to do not count. */
  readonly attempt: number
}

/** Whoever had an answer handed it over himself; of all others this is the last word. */
export type Walked<Kept> = { readonly served: true } | { readonly served: false; readonly attempts: number; readonly answer: Kept }

export interface WalkOptions<Kept> {
  readonly targets: readonly ModelTarget[]
  readonly fallbackOn: ReadonlySet<FallbackCause>
  readonly deadlineMs: number
  /** Milliseconds, monotonic. */
  readonly now: () => number
  /** Throws what ends the call for good. */
  readonly ask: (turn: Turn) => Promise<Outcome<Kept>>
}

/** From the first on, or drawn by weight without putting back. `random`: from 0 to 1, without 1. */
export function inOrder(
  { strategy, targets }: Pick<ModelRouteTerms, 'strategy' | 'targets'>,
  random: () => number,
): readonly ModelTarget[] {
  if (strategy === 'ordered') return targets
  const left = [...targets]
  return targets.map(() => left.splice(drawn(left, random()), 1)[0]!)
}

function drawn(targets: readonly ModelTarget[], at: number): number {
  let rest = at * targets.reduce((sum, { weight }) => sum + weight, 0)
  const found = targets.findIndex(({ weight }) => (rest -= weight) < 0)
  return found < 0 ? targets.length - 1 : found
}

/**
 * Asks one after the other until one answers. When none does: the last answer that came, else what tells most of why there was none.
 * @throws what `ask` throws; the error of a target that the route doesn't go on after; EgressError `upstream_timeout` when the time is over.
 */
export async function walk<Kept>(options: WalkOptions<Kept>): Promise<Walked<Kept>> {
  const { targets, fallbackOn, now, ask } = options
  const endsAt = now() + options.deadlineMs
  let attempt = 1
  let kept: { readonly answer: Kept } | undefined
  const errors: { readonly cause: FailedFor; readonly error: unknown }[] = []
  for (const [at, target] of targets.entries()) {
    const leftMs = endsAt - now()
    if (leftMs <= 0) {
      errors.push({ cause: 'timeout', error: new EgressError('upstream_timeout', 'total') })
      break
    }
    const withinMs = Math.min(leftMs, target.firstByteTimeoutMs ?? leftMs)
    const outcome = await ask({ target, isLast: at === targets.length - 1, withinMs, attempt })
    if (outcome.served) return outcome
    if ('answer' in outcome) kept = outcome
    else errors.push(outcome)
    if (wasAsked(outcome.cause)) attempt += 1
    if (isEnd(outcome.cause, fallbackOn)) break
  }
  if (kept !== undefined) return { served: false, attempts: attempt - 1, answer: kept.answer }
  throw mostTelling(errors)
}

/** Of an error that a target failed with; undefined for one that ends the call: the caller went, or it lies with us. */
export function causeOf(error: unknown): FailedFor | undefined {
  if (hasCode(error, 'provider_key_required') || hasCode(error, 'provider_key_refused')) return 'no_key'
  if (NOT_ASKED.some((code) => hasCode(error, code))) return 'circuit_open'
  if (!(error instanceof EgressError)) return undefined
  if (error.code === 'upstream_timeout') return 'timeout'
  return error.code.startsWith('upstream_') ? 'server_error' : undefined
}

/** Of a status that a target answered with; undefined for one that is the caller's. */
export function causeOfStatus(status: number): FallbackCause | undefined {
  if (status === 429) return 'rate_limited'
  return status >= 500 ? 'server_error' : undefined
}

/** Left alone for now: its circuit is open, or it has as many of our calls as it may. */
const NOT_ASKED = ['circuit_open', 'quota_exhausted', 'overloaded', 'queue_full']

const wasAsked = (cause: FailedFor): boolean => cause !== 'no_key' && cause !== 'unsayable' && cause !== 'circuit_open'

function isEnd(cause: FailedFor, fallbackOn: ReadonlySet<FallbackCause>): boolean {
  return cause !== 'no_key' && cause !== 'unsayable' && !fallbackOn.has(cause)
}

/** Later ones were the route's last resort; but that a key is missing says little where another target was asked and failed. */
const TELLING: readonly (readonly FailedFor[])[] = [
  ['timeout', 'server_error', 'rate_limited'],
  ['circuit_open'],
  ['unsayable'],
  ['no_key'],
]

function mostTelling(errors: readonly { readonly cause: FailedFor; readonly error: unknown }[]): unknown {
  for (const causes of TELLING) {
    const found = errors.findLast(({ cause }) => causes.includes(cause))
    if (found !== undefined) return found.error
  }
  return new TypeError('a route without targets')
}
