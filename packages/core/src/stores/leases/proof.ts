/**
 * Owns how old the last proof of a lease is. Refuses to trust one clock: the monotonic one stands still while a machine sleeps, the wall
 * clock can be set back, so a proof is as old as the older of the two says.
 */
import type { Clock } from '../../kernel/index.ts'

/** A proof younger than this need not be asked for again. */
export const PROOF_LIFE_MS = 250

export class Proof {
  readonly #clock: Clock
  #mono = -Infinity
  #wall = -Infinity

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A question that proves the lease if it is answered well: call what it gives with the answer, and it counts from here. */
  asking(): () => void {
    const [mono, wall] = [this.#clock.monotonic(), this.#clock.now()]
    return () => {
      if (mono < this.#mono) return
      this.#mono = mono
      this.#wall = wall
    }
  }

  /** False when nothing was ever proven, and when the wall clock went back: then its age is unknown. */
  isYoungerThan(ms: number): boolean {
    const [mono, wall] = [this.#clock.monotonic() - this.#mono, this.#clock.now() - this.#wall]
    return wall >= 0 && Math.max(mono, wall) < ms
  }
}
