/** Limits over several nodes: what all of them together let through, with Redis, without it, and when it goes. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { systemClock } from '@sallyport/core'
import type { OrgId, ProjectId } from '@sallyport/core'
import { startTestRedis } from '../../../testkit/src/servers/index.ts'
import type { Database } from '../../src/db/index.ts'
import { createNodeCount } from '../../src/limits/index.ts'
import { freshDatabase, silent as logger } from '../db/fresh-database.ts'
import type { FreshDatabase } from '../db/fresh-database.ts'
import { fleet, flood, newKey, passes } from './fleet.ts'

const STANDARD = { perSecond: 200, burst: 40 }
const NODES = 3

let redis: Awaited<ReturnType<typeof startTestRedis>>
beforeAll(async () => {
  redis = await startTestRedis()
})
afterAll(() => redis?.stop())

const three = () => fleet(redis.url, { nodes: NODES, standard: STANDARD })
/** The burst and what time brought, and 5% over it. */
const most = (seconds: number) => (STANDARD.burst + STANDARD.perSecond * seconds) * 1.05
const until = (count: number) => (passed: number) => passed < count

describe('a limit over three nodes', () => {
  it('D-10 holds for all of them together, and Redis is not asked for each request', async () => {
    const nodes = three()
    const { passed, tries, seconds } = await flood(nodes.limiters, newKey(), until(240))
    // However long the machine took: never more than the burst and what time brought, and one for each that was asked at the very end.
    expect(passed).toBeLessThanOrEqual(most(seconds))
    expect(nodes.asked()).toBeLessThan(tries * 3)
    await nodes.close()
  })

  it('D-10 is nobody’s to use up for another key, project or organization', async () => {
    const nodes = three()
    const [busy, quiet] = [newKey(), newKey()]
    await flood(nodes.limiters, busy, until(60))
    expect(await passes(nodes.limiters[0]!, quiet)).toBe(true)
    await nodes.close()
  })

  it.each(['org', 'project', 'keyId'] as const)('D-10 that is set for %s alone holds at all of them', async (of) => {
    const key = newKey()
    const set = new Map([[key[of], STANDARD]])
    const nodes = fleet(redis.url, { nodes: NODES, standard: { perSecond: 100_000, burst: 100_000 }, set })
    const { passed, seconds } = await flood(nodes.limiters, key, until(120))
    expect(passed).toBeLessThanOrEqual(most(seconds))
    await nodes.close()
  })

  it.each([
    ['keys of one project', (org: OrgId, project: ProjectId) => ({ ...newKey(), org, project })],
    ['projects of one organization', (org: OrgId) => ({ ...newKey(), org })],
  ])('D-10 is not widened by ever fresh %s, whichever node they come to', async (_what, fresh) => {
    const nodes = three()
    const { org, project } = newKey()
    const { passed, seconds } = await flood(nodes.limiters, () => fresh(org, project), until(120))
    expect(passed).toBeLessThanOrEqual(most(seconds))
    await nodes.close()
  })

  it.each([
    ['with Redis', () => redis.url],
    ['without', () => undefined],
  ])('D-10 is the same to nodes whose wall clocks step by days with each look, %s', async (_what, url) => {
    let days = 0
    const clock = { now: () => Date.now() + (days = -days + (days > 0 ? -1 : 1)) * 86_400_000, monotonic: () => systemClock.monotonic() }
    const nodes = fleet(url(), { nodes: NODES, standard: STANDARD, clock })
    const { passed, seconds } = await flood(nodes.limiters, newKey(), until(120))
    // Parts are whole numbers: without Redis each node's is rounded.
    expect(passed).toBeLessThanOrEqual(most(seconds) + (url() === undefined ? NODES : 0))
    await nodes.close()
  })

  it('is shared by parts when Redis goes, with what was left and no second burst, and never off', async () => {
    const server = await startTestRedis()
    const nodes = fleet(server.url, { nodes: NODES, standard: STANDARD })
    const key = newKey()
    await flood(nodes.limiters, key, until(60))
    await server.stop()
    const { passed, seconds } = await flood(nodes.limiters, key, until(60))
    expect(passed).toBeGreaterThanOrEqual(60)
    expect(passed).toBeLessThanOrEqual(most(seconds) + NODES)
    await nodes.close()
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
