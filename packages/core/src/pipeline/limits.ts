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
export function limits(options: LimitOptions): Policy {
  const { qps = 1, burst = 1, concurrency = 1, queue = 0 } = options
  const fits = qps > 0 && Number.isFinite(qps) && burst >= 1 && concurrency >= 1 && queue >= 0
  if (!fits) throw new RangeError('a limit is out of range')
  const gates = new Map<string, Gate>()
  const waiting = new Map<string, number>()
  const measure = (provider: string, by: 1 | -1): void => {
    const count = (waiting.get(provider) ?? 0) + by
    waiting.set(provider, count)
    options.metrics?.gauge('rate_limit_queue_size', { provider }, count)
  }
  return (next) => async (call) => {
    const key = JSON.stringify([call.owner, call.integration])
    const gate = gates.get(key) ?? new Gate(options, measure)
    if (!gates.has(key) && gates.size >= LOOKED_THROUGH_AT) for (const [name, one] of gates) if (one.isIdle()) gates.delete(name)
    gates.set(key, gate)
    return await gate.pass(next, call)
  }
}

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

  async pass(next: Send, call: Call): Promise<Answer> {
    await this.#turn(call)
    let held = true
    const release = (): void => {
      if (!held) return
      held = false
      this.#running--
      this.#pump()
    }
    try {
      const answer = await next(call)
      if (answer.ended !== undefined) void answer.ended.then(release)
      else if (answer.body === null) release()
      else return { ...answer, body: watched(answer.body, { end: release }, call.signal) }
      return answer
    } catch (error) {
      release()
      throw error
    }
  }

  isIdle(): boolean {
    return this.#running === 0 && this.#queue.size === 0 && (this.#bucket?.isFull() ?? true)
  }

  async #turn(call: Call): Promise<void> {
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
