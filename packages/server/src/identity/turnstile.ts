/** Owns how much slow work runs and waits at once. Refuses what would have to wait behind a full queue, at once and without a trace. */

/** Lets `width` tasks run and `queue` more wait; `run` refuses the next with undefined, so that the caller names the refusal. */
export class Turnstile {
  readonly #width: number
  readonly #queue: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(options: { readonly width: number; readonly queue: number }) {
    this.#width = options.width
    this.#queue = options.queue
  }

  /** The task's result once it had its turn, in order of arrival; undefined, synchronously, when running and waiting places are taken. */
  run<Result>(task: () => Promise<Result>): Promise<Result> | undefined {
    if (this.#running >= this.#width && this.#waiting.length >= this.#queue) return undefined
    return this.#turn(task)
  }

  /** Tasks that wait now. */
  get waiting(): number {
    return this.#waiting.length
  }

  async #turn<Result>(task: () => Promise<Result>): Promise<Result> {
    if (this.#running < this.#width) this.#running += 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await task()
    } finally {
      this.#leave()
    }
  }

  /** Hands the place to the next in line without giving it up, so that a newcomer can't slip in between. */
  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#running -= 1
    else next()
  }
}
