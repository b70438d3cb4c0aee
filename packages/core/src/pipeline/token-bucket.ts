/** Owns how often something may happen. Refuses to go by the wall clock, which steps. */
import type { Clock } from '../kernel/index.ts'

/** Full at first. In any stretch of time no more are taken than `burst` and what `perSecond` brings meanwhile. */
export class TokenBucket {
  readonly #perMs: number
  readonly #burst: number
  readonly #clock: Clock
  #level: number
  #filledAt: number

  constructor(perSecond: number, burst: number, clock: Clock) {
    this.#perMs = perSecond / 1_000
    this.#burst = burst
    this.#clock = clock
    this.#level = burst
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
