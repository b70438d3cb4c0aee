/** Owns how many nodes there are. Refuses to count fewer than this one, and to forget the others because the database is away. */
import type { Logger } from '@sallyport/core'
import type { Lookups } from '../db/index.ts'

export interface NodeCount {
  /** This one included; what was known last while the database is away. */
  readonly count: number
  /** Says that it is there, from now on. Resolves when it was counted once, or could not be. */
  start(): Promise<void>
  /** Says that it is gone. */
  close(): Promise<void>
}

const BEAT_EVERY_MS = 2_000
/** Three beats: one that is late makes nobody disappear. */
const LIFE_S = 6

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
  let beating: Promise<void> = Promise.resolve()

  const beat = async (): Promise<void> => {
    try {
      const counted = Math.max(1, await lookups.nodeBeat(node, LIFE_S))
      if (counted !== count) onChange((count = counted))
    } catch (error) {
      logger.debug('The nodes could not be counted', { error })
    }
    if (!closed) timer = setTimeout(() => void (beating = beat()), BEAT_EVERY_MS).unref()
  }

  return {
    get count() {
      return count
    },
    start: () => (beating = beat()),
    async close() {
      closed = true
      clearTimeout(timer)
      await beating
      await lookups.nodeLeave(node).catch((error: unknown) => logger.debug('The others count this node for a while yet', { error }))
    },
  }
}
