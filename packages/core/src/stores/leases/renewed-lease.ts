/**
 * Owns a lease that lives by being renewed: it ends `ttlMs` after the last renewal, whatever became of its holder. Refuses to call it held
 * on its own word: a proof is at most a moment old, and counts from when it was asked for.
 */
import type { Clock } from '../../kernel/index.ts'
import type { Lease } from '../../tokens/index.ts'
import { Proof, PROOF_LIFE_MS } from './proof.ts'

export interface RenewableHold {
  /** Sets the end anew if it is still ours; false when it is not. Rejects when nobody can be asked. */
  renew(): Promise<boolean>
  /** Removes it if it is still ours. */
  drop(): Promise<void>
}

/** `taken` was made before it was taken: the first proof. */
export function renewedLease(hold: RenewableHold, { ttlMs, proof }: { readonly ttlMs: number; readonly proof: Proof }): Lease {
  let held = true
  let released: Promise<void> | undefined

  async function renew(): Promise<boolean> {
    if (!held) return false
    const proven = proof.asking()
    try {
      held = (await hold.renew()) && held
    } catch {
      // Not lost, but not proven either. It is over when its time has passed unrenewed: by then another may hold it.
      held = held && proof.isYoungerThan(ttlMs)
      return false
    }
    if (held) proven()
    return held
  }

  let timer: NodeJS.Timeout | undefined
  function schedule(): void {
    timer = setTimeout(() => void renew().then(() => held && schedule()), ttlMs / 3).unref()
  }
  schedule()

  return {
    prove: async () => (held && proof.isYoungerThan(Math.min(PROOF_LIFE_MS, ttlMs / 2))) || renew(),
    release: () => {
      held = false
      clearTimeout(timer)
      // One that can't be dropped ends by itself.
      released ??= hold.drop().catch(() => undefined)
      return released
    },
  }
}

export function proofFrom(clock: Clock): { readonly proof: Proof; readonly taken: () => void } {
  const proof = new Proof(clock)
  return { proof, taken: proof.asking() }
}
