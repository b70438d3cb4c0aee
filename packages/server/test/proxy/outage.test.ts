import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { ManualClock } from '@sallyport/core'
import type { Database } from '../../src/db/index.ts'
import { connectionActivate } from '../../src/db/index.ts'
import { createTargetCache } from '../../src/proxy/index.ts'
import { freshDatabase, lineTo, makeTenant } from '../db/fresh-database.ts'
import type { FreshDatabase, Line } from '../db/fresh-database.ts'

let fresh: FreshDatabase
let line: Line
let database: Database
/** Not on the line that is cut. */
let steady: Database

beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  line = await lineTo(fresh.url)
  steady = await fresh.open()
  database = await fresh.open({ url: line.url })
})
afterAll(async () => {
  await fresh.drop()
  await line.cut()
})

describe('connections on a real database', () => {
  it('F-11 go on for 30 s without it, then are unavailable, and are as they stand now once it is back', async () => {
    const heard = Promise.withResolvers<void>()
    const deafen = database.onChange((change) => void (change !== 'unknown' && change.table === 'connection' && heard.resolve()))
    const { org, project, environment, place, connection } = await makeTenant(steady)
    // Else word of the making itself would come later and drop what is read now.
    await heard.promise
    deafen()
    const clock = new ManualClock()
    const cache = createTargetCache({
      read: ({ selector }) => database.proxyTarget({ org, ...place, slug: 'github', connection: selector.connection }),
      clock,
      maxAgeMs: 10_000,
      maxAgeAwayMs: 30_000,
      patienceMs: 60_000,
      maxEntries: 10,
    })
    const stop = database.onChange((change) => cache.drop(change))
    const wanted = { org, project, environment, integration: 'github', selector: { connection, endUser: undefined } }
    const target = await cache.load(wanted)
    expect(target.connections[0]).toMatchObject({ id: connection, status: 'active' })
    await line.cut()
    await expect.poll(() => database.health.ok).toBe(false)
    // Nobody on the other side of the line hears of this.
    await steady.withTenant(org, (tx) =>
      connectionActivate(tx, connection, { generation: 1, status: 'insufficient_scope', grantedScopes: [], account: null }),
    )
    clock.advance(29_999)
    expect(cache.peek(wanted)).toBeUndefined()
    expect(await cache.load(wanted)).toBe(target)
    clock.advance(1)
    await expect(cache.load(wanted)).rejects.toMatchObject({ code: 'database_unavailable' })
    await line.restore()
    await expect.poll(() => database.health.ok, { timeout: 20_000 }).toBe(true)
    expect((await cache.load(wanted)).connections[0]).toMatchObject({ id: connection, status: 'insufficient_scope' })
    stop()
  })
})
