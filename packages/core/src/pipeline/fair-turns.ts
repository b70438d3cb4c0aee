/**
 * Owns turns at something scarce that many share: how many go at once, all together and of one lane, and who waits. Refuses to let one lane take every
 * place, stand before the others, or fill the queue: the last of the longest lane goes when somebody of a shorter one comes.
 */
import { PipelineError } from './errors.ts'
import { FairQueue } from './fair-queue.ts'

/** How many go at once, and how many may wait. */
export interface FairTurnsOptions {
  /** Turns at once, 1 or more. */
  readonly width: number
  /** Of one lane, 1 or more; as many as all when absent. */
  readonly perLane?: number
  /** Who may wait, all together. */
  readonly queue: number
  /** How long, in milliseconds; without end when absent. */
  readonly patienceMs?: number
}

/** Gives a place back. Idempotent. */
export type Leave = () => void

interface Waiting {
  readonly lane: string
  readonly end: (leave: Leave | undefined) => void
  timer: NodeJS.Timeout | undefined
}

/** So many at once, and in turn by lane: one lane with a thousand waiting holds no other up. */
export class FairTurns {
  readonly #width: number
  readonly #perLane: number
  readonly #patienceMs: number | undefined
  readonly #queue: FairQueue<Waiting>
  readonly #of = new Map<string, number>()
  #running = 0

  constructor({ width, perLane = width, queue, patienceMs }: FairTurnsOptions) {
    if (!(width >= 1 && perLane >= 1 && queue >= 0)) throw new RangeError('a number of turns is out of range')
    this.#width = width
    this.#perLane = perLane
    this.#patienceMs = patienceMs
    this.#queue = new FairQueue(queue)
  }

  /** Who waits now. */
  get waiting(): number {
    return this.#queue.size
  }

  /** A place, at once where one is free; undefined, at once or later, for whoever gets none. */
  enter(lane: string): Leave | undefined | Promise<Leave | undefined> {
    // Whoever waits could not have gone now: a newcomer stands before nobody.
    if (this.#running < this.#width && this.#mayGo(lane)) return this.#take(lane)
    return this.#wait(lane)
  }

  /** `task` in its turn. @throws PipelineError `queue_full` for whoever gets none; whatever `task` throws. */
  async run<Result>(lane: string, task: () => Promise<Result>): Promise<Result> {
    const entered = this.enter(lane)
    const leave = entered instanceof Promise ? await entered : entered
    if (leave === undefined) throw new PipelineError('queue_full')
    try {
      return await task()
    } finally {
      leave()
    }
  }

  #mayGo(lane: string): boolean {
    return (this.#of.get(lane) ?? 0) < this.#perLane
  }

  #take(lane: string): Leave {
    this.#running += 1
    this.#of.set(lane, (this.#of.get(lane) ?? 0) + 1)
    let left = false
    return () => {
      if (left) return
      left = true
      this.#leave(lane)
    }
  }

  #leave(lane: string): void {
    const others = this.#of.get(lane)! - 1
    this.#running -= 1
    if (others === 0) this.#of.delete(lane)
    else this.#of.set(lane, others)
    while (this.#running < this.#width) {
      const next = this.#queue.next((waiting) => this.#mayGo(waiting))
      if (next === undefined) return
      clearTimeout(next.timer)
      next.end(this.#take(next.lane))
    }
  }

  #wait(lane: string): Promise<Leave | undefined> | undefined {
    const { promise, resolve } = Promise.withResolvers<Leave | undefined>()
    const waiting: Waiting = { lane, end: resolve, timer: undefined }
    const without = this.#queue.add(lane, waiting)
    if (without === waiting) return undefined
    clearTimeout(without?.timer)
    without?.end(undefined)
    if (this.#patienceMs !== undefined) {
      waiting.timer = setTimeout(() => {
        if (this.#queue.remove(lane, waiting)) resolve(undefined)
      }, this.#patienceMs)
    }
    return promise
  }
}
