/**
 * Owns whose turn it is: the hint, the lease, and the wait while another process has it. Refuses to begin without the lease, and to let the
 * hint decide anything.
 */
import type { Lease, LeaseKeeper } from '../tokens/index.ts'
import type { Pause, RefreshLimits } from './options.ts'

/** The right to begin. */
export interface Turn {
  readonly lease: Lease
  release(): Promise<void>
}

export class Turns {
  readonly #leases: LeaseKeeper
  readonly #hint: LeaseKeeper | undefined
  readonly #limits: RefreshLimits
  readonly #pause: Pause

  constructor(leases: LeaseKeeper, hint: LeaseKeeper | undefined, limits: RefreshLimits, pause: Pause) {
    this.#leases = leases
    this.#hint = hint
    this.#limits = limits
    this.#pause = pause
  }

  /** Undefined when another process has it. `waitedMs` is how long was waited already. @throws TokenError `store_unavailable`. */
  async take(key: string, waitedMs: number): Promise<Turn | undefined> {
    const hint = waitedMs > this.#limits.hintTurnMs ? 'silent' : await this.#askHint(key)
    if (hint === 'elsewhere') return undefined
    const held = hint === 'silent' ? undefined : hint
    let lease: Lease | undefined
    try {
      lease = await this.#leases.take(key)
      if (lease === undefined) return undefined
    } finally {
      if (lease === undefined) void held?.release()
    }
    const got = lease
    return {
      lease: got,
      release: async () => {
        // Not waited for: whoever keeps the hint may be away.
        void held?.release()
        await got.release()
      },
    }
  }

  /** `silent`: there is none, or it failed, or it took too long; what it gives later is given back. */
  async #askHint(key: string): Promise<Lease | 'elsewhere' | 'silent'> {
    if (this.#hint === undefined) return 'silent'
    let late = false
    const asked = this.#hint.take(key).then(
      (lease) => {
        if (late) void lease?.release()
        return lease ?? 'elsewhere'
      },
      () => 'silent' as const,
    )
    const over = new AbortController()
    const answer = await Promise.race([asked, this.#pause(this.#limits.hintAnswerMs, over.signal).then(() => 'late' as const)])
    over.abort()
    if (answer !== 'late') return answer
    late = true
    return 'silent'
  }
}
