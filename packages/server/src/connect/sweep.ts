/** Owns the periodic clearing of what expired: states, links, sessions, connections nobody confirmed. Refuses two sweeps at a time. */
import type { Logger } from '@sallyport/core'
import type { Lookups, SweepCounts } from '../db/index.ts'

const EVERY_MS = 60_000
const BATCH = 1000

export interface Sweeper {
  /** Sweeps now, batch after batch until nothing is left. One that is under way is joined. @throws DatabaseError */
  run(): Promise<void>
  /** Ends the schedule, and resolves when a sweep under way has ended. */
  stop(): Promise<void>
}

/** Starts at once, then every minute; a failed sweep is logged and the next one tries again. Safe on any number of nodes. */
export function startSweeper(options: {
  readonly lookups: Pick<Lookups, 'sweepExpired'>
  readonly logger: Logger
  readonly everyMs?: number
}): Sweeper {
  const { lookups, logger, everyMs = EVERY_MS } = options
  let underWay: Promise<void> | undefined
  let stopped = false

  const run = (): Promise<void> => {
    underWay ??= sweep(lookups, logger, () => stopped).finally(() => (underWay = undefined))
    return underWay
  }
  const tick = (): void => {
    run().catch((error: unknown) => logger.warn('a sweep of expired rows failed', { error }))
  }
  const timer = setInterval(tick, everyMs).unref()
  tick()

  return {
    run,
    stop: async () => {
      stopped = true
      clearInterval(timer)
      // Its failure was logged where it was started.
      await underWay?.catch(() => undefined)
    },
  }
}

async function sweep(lookups: Pick<Lookups, 'sweepExpired'>, logger: Logger, stopped: () => boolean): Promise<void> {
  for (;;) {
    const counts: SweepCounts = await lookups.sweepExpired(BATCH)
    const each = Object.values(counts)
    if (each.some((count) => count > 0)) logger.debug('expired rows were cleared', { ...counts })
    if (stopped() || each.every((count) => count < BATCH)) return
  }
}
