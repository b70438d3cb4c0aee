/**
 * Owns how long the store has answered this process without a break. Refuses to take a store that has only just come back for one that knows
 * everything: another process may hold an answer that it could not save meanwhile.
 */
import { hasCode } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'

/** An answer that took longer counts as a break: the question may have waited one out. */
const SLOW_MS = 2_000

export class StoreContact {
  readonly #clock: Clock
  /** By the monotonic clock: the first answer since the last break. */
  #since: number | undefined
  #wasBroken = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Asks, and takes note of whether there was an answer, from the store and not from what remembers it. */
  async through<T>(ask: () => Promise<T>, isFromStore: (answer: T) => boolean = () => true): Promise<T> {
    const askedAt = this.#clock.monotonic()
    try {
      const answer = await ask()
      if (isFromStore(answer)) this.#answered(askedAt)
      else this.#broken()
      return answer
    } catch (error) {
      if (hasCode(error, 'store_unavailable')) this.#broken()
      throw error
    }
  }

  /** How much of `ms` without a break is missing. With `afterBreak`, a process that never saw a break misses nothing. */
  missing(ms: number, afterBreak: boolean): number {
    if (afterBreak && !this.#wasBroken) return 0
    return this.#since === undefined ? ms : Math.max(0, this.#since + ms - this.#clock.monotonic())
  }

  #answered(askedAt: number): void {
    if (this.#clock.monotonic() - askedAt > SLOW_MS) this.#broken()
    this.#since ??= this.#clock.monotonic()
  }

  #broken(): void {
    this.#since = undefined
    this.#wasBroken = true
  }
}
