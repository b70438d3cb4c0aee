/** Owns leases that live in rows with an end, on whatever keeps the rows and the time. Refuses one clock's word for another's: ends are set by the keeper's. */
import { randomToken } from '../../crypto/index.ts'
import { systemClock } from '../../kernel/index.ts'
import type { Clock } from '../../kernel/index.ts'
import type { LeaseKeeper } from '../../tokens/index.ts'
import { proofFrom, renewedLease } from './renewed-lease.ts'
import type { RenewableHold } from './renewed-lease.ts'

/** Each step is atomic. All of it rejects with TokenError `store_unavailable`. */
export interface LeaseRows {
  /** Puts `holder` there until `ttlMs` from now if nobody is, or nobody any more. */
  take(key: string, holder: string, ttlMs: number): Promise<boolean>
  /** Sets the end anew if `holder` is there, and nobody else was since. */
  renew(key: string, holder: string, ttlMs: number): Promise<boolean>
  drop(key: string, holder: string): Promise<void>
  close(): Promise<void>
}

/** How long a lease outlives its holder. Milliseconds. */
export interface RenewedLeaseOptions {
  /** How long a killed holder keeps others out. Renewed each third of it; 1,200 when absent, so that a takeover takes less than two seconds. */
  readonly ttlMs?: number
  readonly clock?: Clock
}

const HOLDER_BYTES = 16

/** Leases of rows or keys that run out unless their holder renews them: also behind a pooler. */
export class RenewedLeases implements LeaseKeeper {
  readonly #rows: LeaseRows
  readonly #ttlMs: number
  readonly #clock: Clock
  readonly #drops = new Set<() => Promise<void>>()

  constructor(rows: LeaseRows, { ttlMs = 1_200, clock = systemClock }: RenewedLeaseOptions = {}) {
    this.#rows = rows
    this.#ttlMs = ttlMs
    this.#clock = clock
  }

  async take(key: string) {
    const holder = randomToken(HOLDER_BYTES)
    const { proof, taken } = proofFrom(this.#clock)
    if (!(await this.#taken(key, holder))) return undefined
    taken()
    const hold: RenewableHold = {
      renew: () => this.#rows.renew(key, holder, this.#ttlMs),
      drop: () => this.#rows.drop(key, holder),
    }
    const lease = renewedLease(hold, { ttlMs: this.#ttlMs, proof })
    const release = (): Promise<void> => {
      this.#drops.delete(release)
      return lease.release()
    }
    this.#drops.add(release)
    return { prove: () => lease.prove(), release }
  }

  /** Gives every lease back. */
  async close(): Promise<void> {
    await Promise.all([...this.#drops].map((drop) => drop()))
    await this.#rows.close()
  }

  /** One whose answer was lost may be held by nobody's name: it is dropped if it can be, and ends by itself if not. */
  async #taken(key: string, holder: string): Promise<boolean> {
    try {
      return await this.#rows.take(key, holder, this.#ttlMs)
    } catch (error) {
      void this.#rows.drop(key, holder).catch(() => undefined)
      throw error
    }
  }
}
