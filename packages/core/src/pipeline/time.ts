/** Owns waiting. Refuses bare timers in policies: a way to wait is injected beside the clock. */
import { ManualClock } from '../kernel/index.ts'

/** Resolves after `ms`, or as soon as the signal aborts. Never rejects. */
export type Pause = (ms: number, signal?: AbortSignal) => Promise<void>

/** Longer ones would overflow the timer and end at once. */
const LONGEST_MS = 2 ** 31 - 1

/** By the machine's own timers. An abort ends it early, without an error. */
export const systemPause: Pause = (ms, signal) => {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (signal?.aborted === true) return Promise.resolve()
  const over = (): void => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', over)
    resolve()
  }
  const timer = setTimeout(over, Math.min(Math.max(0, ms), LONGEST_MS))
  signal?.addEventListener('abort', over, { once: true })
  return promise
}

interface Waiting {
  readonly due: number
  readonly resolve: () => void
}

/** A clock moved by hand whose pauses end when it gets there, for tests. */
export class ManualTime extends ManualClock {
  readonly #waiting = new Set<Waiting>()

  readonly pause: Pause = (ms, signal) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting = { due: this.monotonic() + Math.max(0, ms), resolve }
    if (signal?.aborted === true) return Promise.resolve()
    this.#waiting.add(waiting)
    signal?.addEventListener('abort', () => this.#end(waiting), { once: true })
    return promise
  }

  /** How many pauses are under way. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Moves on by `ms`, stopping at each pause that ends on the way until all that follows from it has happened. */
  async pass(ms: number): Promise<void> {
    const until = this.monotonic() + ms
    await turn()
    for (let next = this.#next(until); next !== undefined; next = this.#next(until)) {
      this.advance(next.due - this.monotonic())
      this.#end(next)
      await turn()
    }
    this.advance(until - this.monotonic())
    await turn()
  }

  #next(until: number): Waiting | undefined {
    return [...this.#waiting].filter(({ due }) => due <= until).toSorted((a, b) => a.due - b.due)[0]
  }

  #end(waiting: Waiting): void {
    this.#waiting.delete(waiting)
    waiting.resolve()
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}
