/** Owns how many nodes there are. Refuses to count fewer than this one, and to forget the others because the database is away. */
import type { Logger } from '@sallyport/core'
import type { Lookups } from '../db/index.ts'

export interface NodeCount {
  /** This one included; what was known last while the database is away. */
  readonly count: number
  /** Says that it is there, from now on. Resolves when it was counted once, or could not be. */
  start(): Promise<void>
  /** Says that it is gone, and waits for no database that does not hear it. */
  close(): Promise<void>
}

const BEAT_EVERY_MS = 2_000
/** Three beats: one that is late makes nobody disappear. */
const LIFE_S = 6
/** How long a database that no longer hears is told. */
const FAREWELL_MS = 500

/** @param onChange is told each new count. */
export function createNodeCount({
  node,
  lookups,
  logger,
  onChange,
}: {
  readonly node: string
  readonly lookups: Pick<Lookups, 'nodeBeat' | 'nodeLeave'>
  readonly logger: Logger
  readonly onChange: (count: number) => void
}): NodeCount {
  let count = 1
  let closed = false
  let timer: NodeJS.Timeout | undefined

  const beat = async (): Promise<void> => {
    try {
      const counted = Math.max(1, await lookups.nodeBeat(node, LIFE_S))
      if (counted !== count) onChange((count = counted))
    } catch (error) {
      logger.debug('The nodes could not be counted', { error })
    }
    if (!closed) timer = setTimeout(() => void beat(), BEAT_EVERY_MS).unref()
  }

  return {
    get count() {
      return count
    },
    start: beat,
    async close() {
      closed = true
      clearTimeout(timer)
      const left = lookups.nodeLeave(node).catch((error: unknown) => logger.debug('The others count this node for a while yet', { error }))
      const { promise: late, resolve } = Promise.withResolvers<void>()
      const farewell = setTimeout(resolve, FAREWELL_MS)
      await Promise.race([left, late]).finally(() => clearTimeout(farewell))
    },
  }
}
