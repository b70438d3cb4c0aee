/**
 * Owns who may have how many of the pool's connections at once. Refuses one organization all of them, however many of its requests come or hang:
 * some are left for the others, and a few for what is asked before it is known whose it is.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { FairTurns } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { DatabaseError } from './errors.ts'

/** Of the pool: for lookups before authentication, for health, and for what a transaction asks beside itself. */
const KEPT_FREE = 1 / 5
/** Of what is left: the most that one organization has. */
const OF_ONE = 3 / 4
/** Transactions that wait for their turn, of all organizations. */
const MAX_WAITING = 1_000
/** As long as a free connection is waited for. */
const PATIENCE_MS = 5_000

export class PoolShares {
  readonly #turns: FairTurns
  readonly #inside = new AsyncLocalStorage<{ open: boolean }>()

  constructor(poolSize: number) {
    const width = Math.max(1, poolSize - Math.max(1, Math.floor(poolSize * KEPT_FREE)))
    const perLane = Math.max(1, Math.floor(width * OF_ONE))
    this.#turns = new FairTurns({ width, perLane, queue: MAX_WAITING, patienceMs: PATIENCE_MS })
  }

  /**
   * `work` in the organization's turn. What is asked from within another's turn goes at once: who waited for itself would wait for ever.
   * @throws DatabaseError `database_unavailable` when there is no turn in time (`isBusy`).
   */
  async run<T>(org: OrgId, work: () => Promise<T>): Promise<T> {
    if (this.#inside.getStore()?.open === true) return work()
    const entered = this.#turns.enter(org)
    const leave = entered instanceof Promise ? await entered : entered
    if (leave === undefined)
      throw new DatabaseError('database_unavailable', 'too much waits for the database, of this organization or of all', { turn: true })
    const turn = { open: true }
    try {
      return await this.#inside.run(turn, work)
    } finally {
      turn.open = false
      leave()
    }
  }
}
