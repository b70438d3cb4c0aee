/**
 * One worker of a fleet: takes users from a list in Redis and writes down how many posts each has at X. Start as many as there is work for: they
 * share the tokens, and of all of them one renews a token that has died, though each refresh token of X is good once.
 */
import { Redis } from 'ioredis'
import { Sallyport } from '@sallyport/core'
import type { SallyportConfig } from '@sallyport/core'

export const JOBS = 'jobs'
export const RESULTS = 'results'

/** Works until a job is empty. `redisUrl` is that of the jobs; the tokens' is in `config`. */
export async function work(config: SallyportConfig, redisUrl: string): Promise<void> {
  const sallyport = await Sallyport.init(config)
  const redis = new Redis(redisUrl)
  try {
    for (;;) {
      const [, userId] = (await redis.blpop(JOBS, 0))!
      if (userId === '') return
      let posts = 0
      for await (const _post of sallyport.fetch({ provider: 'x', userId, collection: 'posts' })) posts += 1
      await redis.rpush(RESULTS, JSON.stringify({ userId, posts, worker: process.pid }))
    }
  } finally {
    redis.disconnect()
    await sallyport.close()
  }
}

if (import.meta.main) await work(JSON.parse(process.env.WORKER_CONFIG!) as SallyportConfig, process.env.REDIS_URL!)
