/**
 * Owns how many calls go to a provider, at once and each second, for each owner and integration. Refuses to let waiting calls pile up without
 * bound, one connection's calls crowd out another's, and a call wait for a turn that comes after its deadline.
 */
import { systemClock } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import type { Metrics } from '../observability/index.ts'
import { watched } from './body.ts'
import type { Answer, Call, Policy, Send } from './call.ts'
import { PipelineError } from './errors.ts'
import { FairQueue } from './fair-queue.ts'
import { systemPause } from './time.ts'
import type { Pause } from './time.ts'
import { TokenBucket } from './token-bucket.ts'

/** How fast and how many at once calls may go; what waits, waits in turn. */
export interface LimitOptions {
  /** Calls a second, above 0; without a limit when absent. */
  readonly qps?: number
  /** Calls that may begin at once after a rest, 1 or more; `qps` rounded up when absent. */
  readonly burst?: number
  /** Calls under way, 1 or more, their bodies included; without a limit when absent. */
  readonly concurrency?: number
  /** Calls that may wait; 100 when absent. */
  readonly queue?: number
  readonly clock?: Clock
  readonly pause?: Pause
  readonly metrics?: Metrics
}

/** @throws RangeError for figures outside their ranges. The policy: PipelineError `queue_full` or `deadline_exceeded`, with nothing sent. */
export function limits({ queue, clock, pause, metrics, ...figures }: LimitOptions): Policy {
  requireFigures({ queue, ...figures })
  const turns = new Turns({ queue, clock, pause, metrics })
  return (next) => (call) => pass(turns, figures, next, call)
}

async function pass(turns: Turns, figures: LimitFigures, next: Send, call: Call): Promise<Answer> {
  const leave = await turns.take(call, figures)
  try {
    const answer = await next(call)
    if (answer.ended !== undefined) void answer.ended.then(leave)
    else if (answer.body === null) leave()
    else return { ...answer, body: watched(answer.body, { end: leave }, call.signal) }
    return answer
  } catch (error) {
    leave()
    throw error
  }
}

/** @throws RangeError */
function requireFigures({ qps = 1, burst = 1, concurrency = 1, queue = 0 }: LimitFigures & { readonly queue?: number | undefined }): void {
  const fits = qps > 0 && Number.isFinite(qps) && burst >= 1 && concurrency >= 1 && queue >= 0
  if (!fits) throw new RangeError('a limit is out of range')
}

/** What limits the calls: by the second, at once, and how many may begin together after a rest. */
export type LimitFigures = Pick<LimitOptions, 'qps' | 'burst' | 'concurrency'>
/** Whose turn it is, and how long they wait for it. */
export type TurnOf = Pick<Call, 'owner' | 'integration' | 'provider' | 'connection' | 'signal' | 'deadline'>

/** Turns of each owner and integration, under figures of its own. For callers that stream by themselves. */
export class Turns {
  readonly #options: Undefinable<Omit<LimitOptions, keyof LimitFigures>>
  readonly #gates = new Map<string, Gate>()
  readonly #waiting = new Map<string, number>()

  constructor(options: Undefinable<Omit<LimitOptions, keyof LimitFigures>>) {
    this.#options = options
  }

  /**
   * Waits for a turn and gives what ends it, to be called once the provider's part is done. Other figures begin a queue of their own.
   * @throws RangeError for figures outside their ranges; PipelineError `queue_full` or `deadline_exceeded`; the signal's reason.
   */
  async take(of: TurnOf, { qps, burst, concurrency }: LimitFigures): Promise<() => void> {
    const key = JSON.stringify([of.owner, of.integration, qps, burst, concurrency])
    const gate = this.#gates.get(key) ?? this.#open(key, { qps, burst, concurrency })
    return gate.take(of)
  }

  #open(key: string, figures: Undefinable<LimitFigures>): Gate {
    const given = Object.fromEntries(
      Object.entries({ ...this.#options, ...figures }).filter(([, value]) => value !== undefined),
    ) as LimitOptions
    requireFigures(given)
    if (this.#gates.size >= LOOKED_THROUGH_AT) for (const [name, one] of this.#gates) if (one.isIdle()) this.#gates.delete(name)
    const gate = new Gate(given, this.#measure)
    this.#gates.set(key, gate)
    return gate
  }

  readonly #measure = (provider: string, by: 1 | -1): void => {
    const count = (this.#waiting.get(provider) ?? 0) + by
    this.#waiting.set(provider, count)
    this.#options.metrics?.gauge('rate_limit_queue_size', { provider }, count)
  }
}

type Undefinable<T> = { readonly [Name in keyof T]?: T[Name] | undefined }

/** Gates that are idle and rested know nothing that new ones would not, and are forgotten when there are this many. */
const LOOKED_THROUGH_AT = 1_000

interface Waiting {
  readonly lane: string
  readonly begin: () => void
  readonly refuse: (error: unknown) => void
}

class Gate {
  readonly #concurrency: number
  readonly #bucket: TokenBucket | undefined
  readonly #queue: FairQueue<Waiting>
  readonly #pause: Pause
  readonly #clock: Clock
  readonly #measure: (provider: string, by: 1 | -1) => void
  #running = 0
  #alarm = false

  constructor(options: LimitOptions, measure: (provider: string, by: 1 | -1) => void) {
    const { qps, burst, concurrency = Infinity, queue = 100, clock = systemClock, pause = systemPause } = options
    this.#concurrency = concurrency
    this.#bucket = qps === undefined ? undefined : new TokenBucket(qps, burst ?? Math.ceil(qps), clock)
    this.#queue = new FairQueue(queue)
    this.#pause = pause
    this.#clock = clock
    this.#measure = measure
  }

  async take(of: TurnOf): Promise<() => void> {
    await this.#turn(of)
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#running--
      this.#pump()
    }
  }

  isIdle(): boolean {
    return this.#running === 0 && this.#queue.size === 0 && (this.#bucket?.isFull() ?? true)
  }

  async #turn(call: TurnOf): Promise<void> {
    if (this.#queue.size === 0 && this.#mayBegin()) return
    const turn = Promise.withResolvers<void>()
    const waiting: Waiting = { lane: call.connection, begin: turn.resolve, refuse: turn.reject }
    const over = new AbortController()
    const refused = this.#queue.add(waiting.lane, waiting)
    refused?.refuse(new PipelineError('queue_full', this.#bucket?.waitMs()))
    this.#measure(call.provider, 1)
    const leave = (): void => {
      if (this.#queue.remove(waiting.lane, waiting)) waiting.refuse(call.signal?.reason)
    }
    call.signal?.addEventListener('abort', leave, { once: true })
    if (call.signal?.aborted === true) leave()
    if (call.deadline !== undefined) void this.#expire(waiting, call.deadline, over.signal)
    this.#pump()
    try {
      await turn.promise
    } finally {
      over.abort()
      call.signal?.removeEventListener('abort', leave)
      this.#measure(call.provider, -1)
    }
  }

  async #expire(waiting: Waiting, deadline: number, over: AbortSignal): Promise<void> {
    await this.#pause(deadline - this.#clock.monotonic(), over)
    if (!over.aborted && this.#queue.remove(waiting.lane, waiting)) waiting.refuse(new PipelineError('deadline_exceeded'))
  }

  #mayBegin(): boolean {
    if (this.#running >= this.#concurrency || this.#bucket?.take() === false) return false
    this.#running++
    return true
  }

  /** Lets in whoever may go now, and comes back when the next token is there. */
  #pump(): void {
    while (this.#queue.size > 0 && this.#mayBegin()) this.#queue.next()!.begin()
    const waitMs = this.#bucket?.waitMs() ?? 0
    if (this.#queue.size === 0 || this.#running >= this.#concurrency || waitMs === 0 || this.#alarm) return
    this.#alarm = true
    void this.#pause(waitMs).then(() => {
      this.#alarm = false
      this.#pump()
    })
  }
}
