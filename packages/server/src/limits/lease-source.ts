/**
 * Owns knowing whether Redis gives anything out. Refuses to be waited for: from the first question that it does not answer in time it counts as
 * away, for every limit at once, until it answers again.
 */
import type { Allowance, BucketShape, Logger, RedisAllowances } from '@sallyport/core'

export interface LeaseSource {
  readonly away: boolean
  /** Undefined when Redis did not answer. Never rejects. */
  draw(name: string, shape: BucketShape, want: number): Promise<Allowance | undefined>
  /** Not waited for: what is lost on the way comes back with time. */
  giveBack(name: string, shape: BucketShape, count: number): void
  close(): Promise<void>
}

const PROBE_EVERY_MS = 500
const PROBE: BucketShape = { perSecond: 1_000, burst: 1 }

export function createLeaseSource(allowances: Pick<RedisAllowances, 'draw' | 'giveBack' | 'close'>, logger: Logger): LeaseSource {
  let away = false
  let closed = false
  let timer: NodeJS.Timeout | undefined

  const probe = (): void => {
    timer = setTimeout(() => {
      allowances.draw('probe', PROBE, 0).then(back, probe)
    }, PROBE_EVERY_MS).unref()
  }
  const back = (): void => {
    if (closed) return
    away = false
    logger.info('Limits are drawn from Redis again')
  }
  const lost = (error: unknown): void => {
    if (away || closed) return
    away = true
    logger.warn('Redis gives out no limits; each node goes on with its part of them', { error })
    probe()
  }

  return {
    get away() {
      return away
    },
    async draw(name, shape, want) {
      try {
        return await allowances.draw(name, shape, want)
      } catch (error) {
        lost(error)
        return undefined
      }
    },
    giveBack(name, shape, count) {
      if (!away) void allowances.giveBack(name, shape, count).catch(lost)
    },
    async close() {
      closed = true
      clearTimeout(timer)
      await allowances.close()
    },
  }
}
