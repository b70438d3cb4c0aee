/** Owns the ways of telling time. Refuses `Date.now()` elsewhere in code that decides: a clock is injected. */

export interface Clock {
  /** Wall time in milliseconds since the epoch. May step; never used for durations or leases. */
  now(): number
  /** Milliseconds from an arbitrary origin that never goes back. For durations and cache ages. */
  monotonic(): number
}

/** The machine's own clocks. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}

/** A clock moved by hand, for tests. Wall and monotonic time advance together; `step` moves the wall alone. */
export class ManualClock implements Clock {
  #wall: number
  #mono = 0

  constructor(wall = Date.UTC(2026, 0, 1)) {
    this.#wall = wall
  }

  now(): number {
    return this.#wall
  }

  monotonic(): number {
    return this.#mono
  }

  advance(ms: number): void {
    this.#wall += ms
    this.#mono += ms
  }

  step(ms: number): void {
    this.#wall += ms
  }
}
