/**
 * Owns what Redis does for refreshing: a hint at who is at it already, and one more place for answers that can't be saved. Refuses to be
 * needed: it decides nothing, it is never waited for long, and without it everything works as before.
 */
import { createRedisLeases, RedisSpill } from '@sallyport/core'
import type { LeaseKeeper, Logger, RedisAddress, Spill } from '@sallyport/core'

export interface Accelerator {
  readonly hint: LeaseKeeper
  readonly spill: Spill
  /** False from the first question that was not answered until the first that is. */
  readonly ok: boolean
  close(): Promise<void>
}

const PROBE_EVERY_MS = 1_000

/** Asks once, for a command that starts nothing. @throws TokenError `store_misconfigured` */
export async function redisAnswers(at: RedisAddress): Promise<boolean> {
  const leases = createRedisLeases(at)
  try {
    return await isAnswered(leases, `doctor:${process.pid}`)
  } finally {
    await leases.close()
  }
}

function isAnswered(leases: LeaseKeeper, name: string): Promise<boolean> {
  return leases.take(`sallyport:probe:${name}`).then(
    async (lease) => {
      await lease?.release()
      return true
    },
    () => false,
  )
}

/** @param options.node names the key that is asked for to see whether Redis answers. @throws TokenError `store_misconfigured` */
export function createAccelerator({
  at,
  node,
  logger,
}: {
  readonly at: RedisAddress
  readonly node: string
  readonly logger: Logger
}): Accelerator {
  const hint = createRedisLeases(at)
  const spill = new RedisSpill(at, { onUnreadable: (name) => logger.error('An answer in Redis can not be read', { name }) })
  let ok = true
  let closed = false
  let timer: NodeJS.Timeout | undefined

  const probe = async (): Promise<void> => {
    const answered = await isAnswered(hint, node)
    if (closed) return
    if (answered !== ok) {
      if (answered) logger.info('Redis answers again')
      else logger.warn('Redis does not answer; everything goes on without it')
    }
    ok = answered
    timer = setTimeout(() => void probe(), PROBE_EVERY_MS).unref()
  }
  void probe()

  return {
    hint,
    spill,
    get ok() {
      return ok
    },
    async close() {
      closed = true
      clearTimeout(timer)
      await Promise.all([hint.close(), spill.close()])
    },
  }
}
