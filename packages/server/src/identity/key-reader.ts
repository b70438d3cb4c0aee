/**
 * Owns reading keys by id. Refuses to ask the database twice for one id within five seconds, twice at once, or more than a bounded number
 * of times at once: what strangers send decides none of the database's load. Judges nothing.
 */
import { hasCode, TransientMap } from '@sallyport/core'
import type { Clock, KeyId } from '@sallyport/core'
import type { KeyRecord, Lookups } from '../db/index.ts'
import { IdentityError } from './identity-error.ts'
import { RecentMap } from './recent-map.ts'

export interface KeyReading {
  /** The key's row, or undefined when there is none with this id. */
  readonly row: KeyRecord | undefined
  /** Monotonic milliseconds when the question was sent: the row is at least that fresh, and the database's `now` at least that late. */
  readonly askedAt: number
}

export interface KeyReaderOptions {
  readonly lookups: Pick<Lookups, 'keyLookup'>
  readonly clock: Clock
  /** How long an answer, also that there is no such key, is taken as still true. */
  readonly rememberMs: number
  readonly maxRemembered: number
  /** Questions under way at once; the next is refused with `overloaded`. */
  readonly maxInFlight: number
}

/** Made once: there are as many as a flood has requests. */
const TOO_MANY = Object.freeze(new IdentityError('overloaded', 'too many key lookups under way', { retryAfterS: 1 }))

export class KeyReader {
  readonly #options: KeyReaderOptions
  readonly #remembered: RecentMap<KeyId, KeyReading>
  readonly #inFlight = new TransientMap<KeyId, Promise<KeyReading>>()

  constructor(options: KeyReaderOptions) {
    this.#options = options
    this.#remembered = new RecentMap(options.maxRemembered)
  }

  /** What is in memory and young enough, without asking anyone. */
  remembered(id: KeyId): KeyReading | undefined {
    const reading = this.#remembered.get(id)
    return reading !== undefined && this.#options.clock.monotonic() - reading.askedAt < this.#options.rememberMs ? reading : undefined
  }

  /**
   * The key as it stands, at most `rememberMs` old. Callers at the same moment share one question.
   * @throws IdentityError `overloaded`, unless `urgent`; `database_unavailable`.
   */
  read(id: KeyId, urgent: boolean): Promise<KeyReading> {
    const known = this.remembered(id)
    if (known !== undefined) return Promise.resolve(known)
    const underWay = this.#inFlight.get(id)
    if (underWay !== undefined) return underWay
    if (!urgent && this.#inFlight.size >= this.#options.maxInFlight) {
      return Promise.reject(TOO_MANY)
    }
    const reading = this.#ask(id)
    this.#inFlight.set(id, reading)
    const settle = (result: KeyReading | undefined) => this.#settle(id, reading, result)
    reading.then(settle, () => settle(undefined))
    return reading
  }

  /** Drops what is known of a key; an answer still under way is given to those who wait, and not remembered. */
  forget(id: KeyId): void {
    this.#remembered.delete(id)
    this.#inFlight.delete(id)
  }

  forgetAll(): void {
    this.#remembered.clear()
    this.#inFlight.clear()
  }

  /** Ids remembered now. */
  get size(): number {
    return this.#remembered.size
  }

  async #ask(id: KeyId): Promise<KeyReading> {
    const askedAt = this.#options.clock.monotonic()
    try {
      return { row: await this.#options.lookups.keyLookup(id), askedAt }
    } catch (error) {
      if (!hasCode(error, 'database_unavailable')) throw error
      throw new IdentityError('database_unavailable', 'the key could not be looked up', { cause: error, retryAfterS: 1 })
    }
  }

  #settle(id: KeyId, question: Promise<KeyReading>, result: KeyReading | undefined): void {
    if (this.#inFlight.get(id) !== question) return
    this.#inFlight.delete(id)
    if (result !== undefined) this.#remembered.put(id, result)
  }
}
