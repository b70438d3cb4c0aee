/** Limits over several nodes: what all of them together let through, with Redis, without it, and when it goes. */
import { setImmediate as turn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { newId, RedisAllowances, systemClock } from '@sallyport/core'
import { startTestRedis } from '../../../testkit/src/servers/index.ts'
import type { Database } from '../../src/db/index.ts'
import { createLeaseSource, createLimiter, createNodeCount, RateLimitError } from '../../src/limits/index.ts'
import type { Counted, LeaseSource, Limiter } from '../../src/limits/index.ts'
import { freshDatabase, silent as logger } from '../db/fresh-database.ts'
import type { FreshDatabase } from '../db/fresh-database.ts'

const STANDARD = { perSecond: 200, burst: 40 }
const BOUNDS = { standard: STANDARD, most: { perSecond: 1_000_000, burst: 1_000_000 } }
const NODES = 3

let redis: Awaited<ReturnType<typeof startTestRedis>>
beforeAll(async () => {
  redis = await startTestRedis()
})
afterAll(() => redis?.stop())

const newKey = () => ({ kind: 'key', keyId: newId('key'), org: newId('org'), project: newId('proj') }) as const

interface Fleet {
  readonly limiters: readonly Limiter[]
  readonly asked: () => number
  close(): Promise<void>
}

function fleet(url: string): Fleet {
  let asked = 0
  const sources: LeaseSource[] = []
  const limiters = Array.from({ length: NODES }, () => {
    const allowances = new RedisAllowances({ url, answerMs: 5_000 })
    const source = createLeaseSource(
      {
        draw: (name, shape, want) => {
          asked += 1
          return allowances.draw(name, shape, want)
        },
        giveBack: (name, shape, count) => allowances.giveBack(name, shape, count),
        close: () => allowances.close(),
      },
      logger,
    )
    sources.push(source)
    const limiter = createLimiter({ bounds: BOUNDS, read: async () => [], source, clock: systemClock })
    limiter.useNodes(NODES)
    return limiter
  })
  return {
    limiters,
    asked: () => asked,
    async close() {
      for (const limiter of limiters) limiter.close()
      await Promise.all(sources.map((source) => source.close()))
    },
  }
}

/** True when it was let through. */
async function passes(limiter: Limiter, key: Counted): Promise<boolean> {
  try {
    await limiter.admit(key)
    return true
  } catch (error) {
    if (error instanceof RateLimitError) return false
    throw error
  }
}

/** Asks all nodes as fast as they answer, until `passed` requests went through; gives the tries and the seconds that it took. */
async function flood(limiters: readonly Limiter[], key: Counted, until: number) {
  const startedAt = systemClock.monotonic()
  let passed = 0
  let tries = 0
  const one = async (limiter: Limiter): Promise<void> => {
    while (passed < until) {
      tries += 1
      if (await passes(limiter, key)) passed += 1
      // Others have a turn: a refusal is decided without waiting.
      await turn()
    }
  }
  await Promise.all(limiters.flatMap((limiter) => [one(limiter), one(limiter)]))
  return { passed, tries, seconds: (systemClock.monotonic() - startedAt) / 1_000 }
}

describe('a limit over three nodes', () => {
  it('D-10 holds for all of them together, and Redis is not asked for each request', async () => {
    const three = fleet(redis.url)
    const { passed, tries, seconds } = await flood(three.limiters, newKey(), 240)
    // However long the machine took: never more than the burst and what time brought, and one for each that was asked at the very end.
    expect(passed).toBeLessThanOrEqual((STANDARD.burst + STANDARD.perSecond * seconds) * 1.05)
    expect(three.asked()).toBeLessThan(tries * 3)
    await three.close()
  })

  it('D-10 is nobody’s to use up for another key, project or organization', async () => {
    const three = fleet(redis.url)
    const [busy, quiet] = [newKey(), newKey()]
    await flood(three.limiters, busy, 60)
    expect(await passes(three.limiters[0]!, quiet)).toBe(true)
    await three.close()
  })

  it('is shared by parts when Redis goes, with what was left and no second burst, and never off', async () => {
    const server = await startTestRedis()
    const three = fleet(server.url)
    const key = newKey()
    await flood(three.limiters, key, 60)
    await server.stop()
    const { passed, seconds } = await flood(three.limiters, key, 60)
    expect(passed).toBeGreaterThanOrEqual(60)
    expect(passed).toBeLessThanOrEqual((STANDARD.burst + STANDARD.perSecond * seconds) * 1.05 + NODES)
    await three.close()
  })
})

describe('the count of nodes', () => {
  let database: Database
  let fresh: FreshDatabase
  beforeAll(async () => {
    fresh = await freshDatabase(inject('postgresUrl'))
    database = await fresh.open({ poolSize: 4 })
  })
  afterAll(() => fresh?.drop())

  it('knows who is there, and who has left', async () => {
    const seen: number[][] = [[], [], []]
    const counts = seen.map((list, i) =>
      createNodeCount({ node: `node-${i}`, lookups: database.lookups, logger, onChange: (count) => list.push(count) }),
    )
    for (const count of counts) await count.start()
    expect(counts[2]!.count).toBe(3)
    await expect.poll(() => counts.map(({ count }) => count), { timeout: 30_000 }).toEqual([3, 3, 3])
    await counts[2]!.close()
    await expect.poll(() => counts.slice(0, 2).map(({ count }) => count), { timeout: 30_000 }).toEqual([2, 2])
    await Promise.all(counts.slice(0, 2).map((count) => count.close()))
  })

  it('stays as it was while the database is away, and is never less than this node', async () => {
    let beats = 0
    const count = createNodeCount({
      node: 'alone',
      lookups: { nodeBeat: async () => ((beats += 1) > 1 ? Promise.reject(new Error('away')) : 5), nodeLeave: async () => undefined },
      logger,
      onChange: () => undefined,
    })
    expect(count.count).toBe(1)
    await count.start()
    await expect.poll(() => beats, { timeout: 30_000 }).toBeGreaterThan(1)
    expect(count.count).toBe(5)
    await count.close()
  })
})
