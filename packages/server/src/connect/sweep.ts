/** Owns the clearing of what expired: states, links, sessions, connections nobody confirmed. Refuses two sweeps at a time on one node. */
import type { ConnectContext } from './options.ts'

const BATCH = 1000

/**
 * Sweeps batch after batch until nothing is left. One that is under way is joined. Safe on any number of nodes.
 * @throws DatabaseError
 */
export function createSweep(context: ConnectContext): () => Promise<void> {
  let underWay: Promise<void> | undefined
  return () => {
    underWay ??= sweep(context).finally(() => (underWay = undefined))
    return underWay
  }
}

async function sweep({ database, logger }: ConnectContext): Promise<void> {
  for (;;) {
    const counts = await database.lookups.sweepExpired(BATCH)
    const each = Object.values(counts)
    if (each.some((count) => count > 0)) logger.debug('expired rows were cleared', { ...counts })
    if (each.every((count) => count < BATCH)) return
  }
}
