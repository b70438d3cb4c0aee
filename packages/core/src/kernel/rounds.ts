/**
 * Owns work that is looked for again and again: when, never twice at once here, and to an end that can be waited for. Refuses to begin a round after its
 * end, and to end because one failed.
 */

export interface RoundsOptions {
  /** Looks for work and does some. True when there may be more, which is done right behind it. */
  readonly round: () => Promise<boolean>
  /** Hears what a round threw. What it was about is met again in the next. Must not throw. */
  readonly failed: (error: unknown) => void
  /** How long after a look the next one begins by itself, in milliseconds. */
  readonly everyMs: number
}

/** Work that is looked for again and again, one round at a time, until it is stopped. */
export class Rounds {
  readonly #o: RoundsOptions
  #timer: NodeJS.Timeout | undefined
  #working: Promise<void> | undefined
  #asked = false
  #closed = false

  constructor(options: RoundsOptions) {
    this.#o = options
  }

  /** True from the beginning of `close`: a round that is long may look, and end where it can be taken up again. */
  get closed(): boolean {
    return this.#closed
  }

  /** Looks for work now and every `everyMs`, until `close`. Keeps no process alive. */
  start(): void {
    if (this.#closed || this.#timer !== undefined) return
    this.#timer = setInterval(() => this.poke(), this.#o.everyMs)
    this.#timer.unref()
    this.poke()
  }

  /** There may be work now. Asked for during a round, another one comes behind it. */
  poke(): void {
    this.#asked = true
    if (this.#closed || this.#working !== undefined) return
    this.#working = this.#work().finally(() => {
      this.#working = undefined
      // Asked for after its last look, and before anybody could see that it ends.
      if (this.#asked) this.poke()
    })
  }

  /** Resolves after the round that is under way. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    await this.#working
  }

  async #work(): Promise<void> {
    while (this.#asked && !this.#closed) {
      this.#asked = false
      try {
        if (await this.#o.round()) this.#asked = true
      } catch (error) {
        this.#o.failed(error)
      }
    }
  }
}
