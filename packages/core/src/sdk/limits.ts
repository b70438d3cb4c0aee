/** Owns how many calls to one provider begin a second and run at a time, in this process. Refuses a queue without end. */
import type { Clock } from '../kernel/index.ts'
import { SdkError } from './errors.ts'

export interface ProviderLimits {
  readonly qps?: number | undefined
  readonly concurrency?: number | undefined
}

interface Waiting {
  readonly begin: () => void
}

const MAX_WAITING = 10_000

export class CallLimit {
  readonly #qps: number
  readonly #concurrency: number
  readonly #clock: Clock
  readonly #onQueue: (size: number) => void
  readonly #waiting: Waiting[] = []
  #running = 0
  /** Calls that may begin now; at most a second's worth. */
  #credit: number
  #countedAt: number
  #timer: NodeJS.Timeout | undefined

  constructor({ qps = Infinity, concurrency = Infinity }: ProviderLimits, clock: Clock, onQueue: (size: number) => void) {
    this.#qps = qps
    this.#concurrency = concurrency
    this.#clock = clock
    this.#onQueue = onQueue
    this.#credit = Math.max(1, qps)
    this.#countedAt = clock.monotonic()
  }

  /** Waits for a turn, first come first served. Gives what ends it; idempotent. @throws SdkError `overloaded`; the signal's reason. */
  async enter(signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted()
    if (this.#waiting.length >= MAX_WAITING) throw new SdkError('overloaded', 'too many calls wait for the limits of this provider')
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const own: Waiting = {
      begin: () => {
        signal?.removeEventListener('abort', leave)
        resolve()
      },
    }
    const leave = (): void => {
      this.#waiting.splice(this.#waiting.indexOf(own), 1)
      this.#onQueue(this.#waiting.length)
      reject(signal!.reason as Error)
    }
    this.#waiting.push(own)
    signal?.addEventListener('abort', leave, { once: true })
    this.#serve()
    await promise
    let over = false
    return () => {
      if (over) return
      over = true
      this.#running -= 1
      this.#serve()
    }
  }

  #serve(): void {
    this.#count()
    while (this.#waiting.length > 0 && this.#running < this.#concurrency && this.#credit >= 1) {
      this.#credit -= 1
      this.#running += 1
      this.#waiting.shift()!.begin()
    }
    this.#onQueue(this.#waiting.length)
    if (this.#timer !== undefined || this.#waiting.length === 0 || this.#credit >= 1) return
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        this.#serve()
      },
      Math.ceil(((1 - this.#credit) / this.#qps) * 1000),
    )
  }

  #count(): void {
    const now = this.#clock.monotonic()
    const earned = this.#qps === Infinity ? Infinity : ((now - this.#countedAt) / 1000) * this.#qps
    this.#credit = Math.min(Math.max(1, this.#qps), this.#credit + earned)
    this.#countedAt = now
  }
}
