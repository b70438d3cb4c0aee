/** Owns leases among the users of one process's memory. Refuses other processes: they don't see it. */
import type { Lease, LeaseKeeper } from '../../tokens/index.ts'

/** Who holds what, for keepers that stand for several processes in one. */
export type HeldLeases = Map<string, object>

/** `held` is shared by keepers that exclude each other. Closing a keeper ends its own leases. */
export function createMemoryLeases(held: HeldLeases = new Map()): LeaseKeeper {
  const own = new Map<object, string>()

  function release(lease: object): void {
    const key = own.get(lease)
    own.delete(lease)
    if (key !== undefined && held.get(key) === lease) held.delete(key)
  }

  return {
    async take(key) {
      if (held.has(key)) return undefined
      const lease: Lease = { prove: async () => held.get(key) === lease, release: async () => release(lease) }
      held.set(key, lease)
      own.set(lease, key)
      return lease
    },
    async close() {
      for (const lease of own.keys()) release(lease)
    },
  }
}
