/**
 * Owns holding back when a provider says that its quota is used up, or nearly. Refuses to believe it for longer than a cap, to hold back another
 * connection than the one it was said to, or another of its resources, and to keep a caller waiting who can be told at once.
 */
import { retryAfterMs } from '../http/index.ts'
import { systemClock } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import { placeKey, placeOf } from './call.ts'
import type { Answer, Call, Counted, Place, Policy, Send } from './call.ts'
import { PipelineError } from './errors.ts'
import { quotaOf } from './quota-headers.ts'
import { systemPause } from './time.ts'
import type { Pause } from './time.ts'

/** Times in milliseconds. */
export interface QuotaOptions {
  /** A quota is believed to be used up for this long at most, whatever was said; 15 minutes when absent. */
  readonly maxHoldMs?: number
  /** A call waits for its turn this long; 10,000 when absent. One that would wait longer, or past its deadline, is refused at once. */
  readonly maxWaitMs?: number
  /** When fewer than this share of the quota is left, calls are spread over the time until there are more; 0.1 when absent, 0 for never. */
  readonly reserve?: number
  /** Connections that are remembered; 10,000 when absent. */
  readonly maxKnown?: number
  readonly clock?: Clock
  readonly pause?: Pause
}

/** With `Retry-After` they ask for patience; some say 403 for too many requests. */
const HOLDING: ReadonlySet<number> = new Set([403, 429, 503])
const TOO_MANY = 429
/** A resource's name as answers spell it. */
const RESOURCE = /^[\w.:/-]{1,64}$/u
/** Of a quota whose size was not said. */
const FEW = 5

interface Known {
  /** Monotonic: no call before. */
  nextAt: number
  /** Monotonic: what was said holds until then. */
  readonly until: number
  /** Between two calls, until then. */
  readonly spacingMs: number
}

/** @throws RangeError for figures outside their ranges. The policy: PipelineError `quota_exhausted`, with nothing sent. */
export function quota(options: QuotaOptions = {}): Policy {
  const keeping = new Quotas(options)
  const { pause = systemPause } = options
  return (next) => (call) => passed(keeping, pause, next, call)
}

async function passed(quotas: Quotas, pause: Pause, next: Send, call: Call): Promise<Answer> {
  const place = placeOf(call)
  const of = { connection: call.connection, ...(call.counted === undefined ? {} : { counted: call.counted }) }
  const waitMs = quotas.take(place, of, call.deadline)
  if (waitMs > 0) await pause(waitMs, call.signal)
  call.signal?.throwIfAborted()
  const answer = await next(call)
  quotas.learn(place, of, answer.status, answer.headers)
  return answer
}

/** Whose quota a call takes from, and which. */
export interface QuotaOf {
  readonly connection: string
  readonly counted?: Counted
}

/** What is known of quotas, by place, connection and resource. For callers that stream by themselves. */
export class Quotas {
  readonly #options: Required<Omit<QuotaOptions, 'pause'>>
  readonly #known = new Map<string, Known>()

  constructor({ maxHoldMs = 900_000, maxWaitMs = 10_000, reserve = 0.1, maxKnown = 10_000, clock }: QuotaOptions) {
    if (!(maxHoldMs >= 0) || !(maxWaitMs >= 0) || !(reserve >= 0 && reserve <= 1) || !(maxKnown >= 1))
      throw new RangeError('a figure of the quotas is out of range')
    this.#options = { maxHoldMs, maxWaitMs, reserve, maxKnown, clock: clock ?? systemClock }
  }

  /** How long a call has to wait, in milliseconds; takes its turn, so that the next one comes later. @throws PipelineError `quota_exhausted` */
  take(place: Place, { connection, counted }: QuotaOf, deadline?: number): number {
    if (this.#known.size === 0) return 0
    const now = this.#options.clock.monotonic()
    const known = [this.#standing(keyOf(place, connection), now)]
    if (counted !== undefined) known.push(this.#standing(keyOf(place, connection, counted.by), now))
    const holding = known.filter((one) => one !== undefined)
    const at = holding.reduce((latest, { nextAt }) => Math.max(latest, nextAt), now)
    const tooLate = at - now > this.#options.maxWaitMs || (deadline !== undefined && at >= deadline)
    if (holding.length > 0 && tooLate) throw new PipelineError('quota_exhausted', at - now)
    for (const one of holding) one.nextAt = at + one.spacingMs
    return at - now
  }

  /**
   * What an answer says of the quota. A call to wait that says nothing of what is left is meant for the whole connection, unless the provider
   * counts each endpoint for itself.
   */
  learn(place: Place, { connection, counted }: QuotaOf, status: number, headers: Pick<Headers, 'get'>): void {
    const { clock, maxHoldMs } = this.#options
    const said = quotaOf(headers, clock.now())
    // Most answers say nothing of it.
    if (said === undefined && !HOLDING.has(status)) return
    const asked = Math.min(maxHoldMs, HOLDING.has(status) ? (retryAfterMs(headers, clock.now()) ?? 0) : 0)
    const resetMs = Math.min(maxHoldMs, said?.resetMs ?? 0)
    const isOut = said !== undefined && said.remaining < 1
    const isOwn = isOut || (status === TOO_MANY && counted !== undefined && counted.saidIn === undefined)
    const own = keyOf(place, connection, counted && saidOf(counted, headers))
    if (isOwn) return this.#hold(own, Math.max(asked, resetMs), 0, 0)
    if (asked > 0) return this.#hold(keyOf(place, connection), asked, 0, 0)
    if (said !== undefined && this.#isLow(said)) this.#hold(own, 0, resetMs, resetMs / said.remaining)
  }

  #standing(key: string, now: number): Known | undefined {
    const known = this.#known.get(key)
    if (known === undefined || now < known.until) return known
    this.#known.delete(key)
    return undefined
  }

  #hold(key: string, heldMs: number, resetMs: number, spacingMs: number): void {
    if (heldMs === 0 && spacingMs === 0) return
    const { clock, maxKnown } = this.#options
    const now = clock.monotonic()
    const before = this.#known.get(key)
    this.#known.delete(key)
    // Answers come in any order: a hold is never made shorter by one that was on its way before.
    const nextAt = Math.max(before?.nextAt ?? 0, now + (heldMs > 0 ? heldMs : spacingMs))
    this.#known.set(key, { nextAt, until: Math.max(before?.until ?? 0, now + Math.max(heldMs, resetMs)), spacingMs })
    if (this.#known.size > maxKnown) this.#known.delete(this.#known.keys().next().value!)
  }

  #isLow({ remaining, limit }: { readonly remaining: number; readonly limit: number | undefined }): boolean {
    if (this.#options.reserve === 0 || remaining < 1) return false
    return remaining < (limit === undefined ? FEW : limit * this.#options.reserve)
  }
}

/** Without a resource: of the whole connection. */
function keyOf(place: Place, connection: string, counted?: string): string {
  return JSON.stringify(counted === undefined ? [placeKey(place), connection] : [placeKey(place), connection, counted])
}

function saidOf({ by, saidIn }: Counted, headers: Pick<Headers, 'get'>): string {
  const said = saidIn === undefined ? null : headers.get(saidIn)
  return said !== null && RESOURCE.test(said) ? said : by
}
