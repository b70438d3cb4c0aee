/**
 * Owns what this node knows of which organizations keep prompts or answers, so that a call of those that don't asks nobody. Refuses to be the last word: whoever
 * writes asks again, in the transaction.
 */
import type { Clock, Logger, OrgId } from '@sallyport/core'
import { readSettings } from '../organizations/index.ts'
import type { Change, Database } from '../db/index.ts'

export interface Wish {
  readonly prompts: boolean
  readonly responses: boolean
}

export interface Wishes {
  /** At once where it is known. One that can't be asked keeps what it kept, or nothing; the promise never fails. */
  of(org: OrgId): Wish | Promise<Wish>
  /** Forgets what a change touches; `unknown` forgets everything. */
  heard(change: Change | 'unknown'): void
}

export interface WishesOptions {
  readonly database: Pick<Database, 'withTenant'>
  readonly clock: Pick<Clock, 'monotonic'>
  readonly logger: Logger
}

/** Worst age when no word of a change arrives: after it an organization is asked again, beside the call. */
const MAX_AGE_MS = 10_000
const MAX_KNOWN = 20_000
export const NOTHING: Wish = { prompts: false, responses: false }

export function createWishes(options: WishesOptions): Wishes {
  return new Memory(options)
}

class Memory implements Wishes {
  readonly #o: WishesOptions
  readonly #known = new Map<OrgId, { readonly wish: Wish; readonly readAt: number }>()
  readonly #reading = new Map<OrgId, Promise<Wish>>()
  /** Counts what was heard: what was read before may be what was wished before. */
  #epoch = 0

  constructor(options: WishesOptions) {
    this.#o = options
  }

  of(org: OrgId): Wish | Promise<Wish> {
    const entry = this.#known.get(org)
    if (entry === undefined) return this.#read(org)
    if (this.#o.clock.monotonic() - entry.readAt >= MAX_AGE_MS) void this.#read(org)
    return entry.wish
  }

  heard(change: Change | 'unknown'): void {
    if (change !== 'unknown' && change.table !== 'organization') return
    this.#epoch += 1
    this.#reading.clear()
    if (change === 'unknown') this.#known.clear()
    else this.#known.delete(change.org)
  }

  #read(org: OrgId): Promise<Wish> {
    const underWay = this.#reading.get(org)
    if (underWay !== undefined) return underWay
    const [epoch, readAt] = [this.#epoch, this.#o.clock.monotonic()]
    const reading = this.#asked(org).then((wish) => {
      if (epoch === this.#epoch) this.#remember(org, wish, readAt)
      if (this.#reading.get(org) === reading) this.#reading.delete(org)
      return wish
    })
    this.#reading.set(org, reading)
    return reading
  }

  async #asked(org: OrgId): Promise<Wish> {
    try {
      const { settings } = await this.#o.database.withTenant(org, readSettings)
      return { prompts: settings.store_prompts, responses: settings.store_responses }
    } catch (error) {
      this.#o.logger.warn('What an organization keeps of model calls could not be asked', { org, error })
      return this.#known.get(org)?.wish ?? NOTHING
    }
  }

  #remember(org: OrgId, wish: Wish, readAt: number): void {
    this.#known.delete(org)
    this.#known.set(org, { wish, readAt })
    const oldest = this.#known.size > MAX_KNOWN ? this.#known.keys().next() : undefined
    if (oldest?.done === false) this.#known.delete(oldest.value)
  }
}
