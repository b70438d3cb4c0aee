/**
 * Owns when keys were last used. Refuses a write for a call: a use is a mark in memory, and the marks of a minute are one statement, whichever
 * organizations they are of. A crash loses a minute of them; they are for people who clear up, and no record of what was done.
 */
import type { Clock, KeyId, Logger } from '@sallyport/core'
import type { Lookups } from '../db/index.ts'

export interface KeyUses {
  /** No I/O. While more keys are used than can be held, the oldest marks of others are lost. */
  note(key: KeyId): void
  /** Writes what is held now; marks that can't be written are kept. Resolves when that is done, whatever came of it. */
  flush(): Promise<void>
  /** Writes what is held, and ends. */
  close(): Promise<void>
}

export interface KeyUsesOptions {
  readonly lookups: Pick<Lookups, 'keyUseNote'>
  readonly clock: Pick<Clock, 'monotonic'>
  readonly logger: Logger
  /** Between two writes; 60,000 when absent. */
  readonly everyMs?: number
  /** Keys held at most; 20,000 when absent, about 3 MB. */
  readonly maxKeys?: number
}

/** Keys in one statement. */
const BATCH = 1_000

export function createKeyUses(options: KeyUsesOptions): KeyUses {
  return new CoalescingKeyUses(options)
}

class CoalescingKeyUses implements KeyUses {
  readonly #lookups: Pick<Lookups, 'keyUseNote'>
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #logger: Logger
  readonly #maxKeys: number
  readonly #timer: NodeJS.Timeout
  /** When each key was last used, oldest entry first. */
  readonly #marks = new Map<KeyId, number>()
  #writing: Promise<void> = Promise.resolve()
  #away = false

  constructor({ lookups, clock, logger, everyMs = 60_000, maxKeys = 20_000 }: KeyUsesOptions) {
    this.#lookups = lookups
    this.#clock = clock
    this.#logger = logger
    this.#maxKeys = maxKeys
    this.#timer = setInterval(() => void this.flush(), everyMs)
    this.#timer.unref()
  }

  note(key: KeyId): void {
    this.#marks.set(key, this.#clock.monotonic())
    if (this.#marks.size > this.#maxKeys) this.#marks.delete(this.#marks.keys().next().value!)
  }

  flush(): Promise<void> {
    return (this.#writing = this.#writing.then(() => this.#write()))
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.flush()
  }

  async #write(): Promise<void> {
    const marks = [...this.#marks]
    try {
      for (let at = 0; at < marks.length; at += BATCH) await this.#writeBatch(marks.slice(at, at + BATCH))
      this.#away = false
    } catch (error) {
      // Said once, and tried again with the next: nobody waits for it.
      if (!this.#away) this.#logger.warn('When keys were last used could not be written', { error })
      this.#away = true
    }
  }

  async #writeBatch(marks: readonly (readonly [KeyId, number])[]): Promise<void> {
    const now = this.#clock.monotonic()
    await this.#lookups.keyUseNote(marks.map(([key, at]) => ({ key, ageS: Math.floor((now - at) / 1000) })))
    // One that was used again meanwhile stays.
    for (const [key, at] of marks) if (this.#marks.get(key) === at) this.#marks.delete(key)
  }
}
