/** Owns the limits with what they are drawn from: Redis where there is one, the count of nodes, and word of changes. */
import { RedisAllowances } from '@sallyport/core'
import { redisAddress } from '../config.ts'
import type { Config } from '../config.ts'
import { rateLimitFind } from '../db/index.ts'
import { createLeaseSource, createLimiter, createNodeCount } from '../limits/index.ts'
import type { Limiter, RateBounds } from '../limits/index.ts'
import type { Ground } from './parts.ts'

/** Longer than Redis on the same network ever takes, and no longer than a caller should wait for it. */
const REDIS_ANSWER_MS = 150

export interface OpenLimits {
  readonly limiter: Limiter
  close(): Promise<void>
}

export function rateBounds({ rate }: Config): RateBounds {
  return {
    standard: { perSecond: rate.perSecond, burst: rate.burst },
    most: { perSecond: rate.maxPerSecond, burst: rate.maxBurst },
  }
}

export async function openLimits({ config, database, clock, logger, metrics, node }: Ground): Promise<OpenLimits> {
  const redis = redisAddress(config)
  const source = redis === undefined ? undefined : createLeaseSource(new RedisAllowances({ ...redis, answerMs: REDIS_ANSWER_MS }), logger)
  const limiter = createLimiter({
    bounds: rateBounds(config),
    read: (org, ids) => database.withTenant(org, (tx) => rateLimitFind(tx, ids)),
    source,
    clock,
    onRefusal: (holder) => metrics.count('sallyport_rate_limited_total', { holder }),
  })
  const nodes = createNodeCount({
    node,
    lookups: database.lookups,
    logger,
    onChange: (count) => {
      metrics.gauge('sallyport_nodes', {}, count)
      limiter.useNodes(count)
    },
  })
  metrics.gauge('sallyport_nodes', {}, nodes.count)
  const stopListening = database.onChange((change) => limiter.heard(change))
  await nodes.start()
  return {
    limiter,
    async close() {
      stopListening()
      limiter.close()
      await nodes.close()
      await source?.close()
    },
  }
}
