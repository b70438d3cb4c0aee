/** Owns how often something may happen. Refuses to go by the wall clock, which steps. */
import type { Clock } from '../kernel/index.ts'

/** Full at first. In any stretch of time no more are taken than `burst` and what `perSecond` brings meanwhile. */
export class TokenBucket {
  #perMs: number
  #burst: number
  readonly #clock: Clock
  #level: number
  #filledAt: number

  /** @param level what is in it at first; full when absent, and never more than that. */
  constructor(perSecond: number, burst: number, clock: Clock, level = burst) {
    this.#perMs = perSecond / 1_000
    this.#burst = burst
    this.#clock = clock
    this.#level = Math.min(burst, Math.max(0, level))
    this.#filledAt = clock.monotonic()
  }

  /** Milliseconds until one can be taken; 0 for now. */
  waitMs(): number {
    this.#fill()
    return this.#level >= 1 ? 0 : Math.ceil((1 - this.#level) / this.#perMs)
  }

  /** False when there is none. */
  take(): boolean {
    if (this.waitMs() > 0) return false
    this.#level -= 1
    return true
  }

  /** Whole ones that could be taken now. */
  left(): number {
    this.#fill()
    return Math.floor(this.#level)
  }

  /** Milliseconds until it is full if nothing is taken. */
  fullInMs(): number {
    this.#fill()
    return (this.#burst - this.#level) / this.#perMs
  }

  /** Goes on with other figures. What is in it stays, as far as it fits: a larger bucket is no gift. */
  reshape(perSecond: number, burst: number): void {
    this.#fill()
    this.#perMs = perSecond / 1_000
    this.#burst = burst
    this.#level = Math.min(burst, this.#level)
  }

  isFull(): boolean {
    this.#fill()
    return this.#level >= this.#burst
  }

  #fill(): void {
    const now = this.#clock.monotonic()
    this.#level = Math.min(this.#burst, this.#level + (now - this.#filledAt) * this.#perMs)
    this.#filledAt = now
  }
}
