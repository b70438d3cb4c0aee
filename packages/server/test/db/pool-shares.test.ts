/** The pool's connections beside a flood: what one organization takes of them, and what is left for the others and for lookups. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { newId } from '@sallyport/core'
import { organizationFind } from '../../src/db/index.ts'
import type { Database } from '../../src/db/index.ts'
import { freshDatabase, makeTenant } from './fresh-database.ts'
import type { FreshDatabase } from './fresh-database.ts'

let fresh: FreshDatabase
let database: Database
beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  database = await fresh.open({ poolSize: 5 })
})
afterAll(() => fresh?.drop())

describe('connections of the database', () => {
  it('S96 are not all of one organization, whose transactions come by the hundred and hang', async () => {
    const [loud, steady] = [await makeTenant(database), await makeTenant(database)]
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>()
    let inside = 0
    let most = 0
    const flood = Array.from({ length: 100 }, () =>
      database.withTenant(loud.org, async (tx) => {
        most = Math.max(most, (inside += 1))
        await organizationFind(tx)
        await held
        inside -= 1
      }),
    )
    const floods = Promise.allSettled(flood)
    await expect.poll(() => inside, { timeout: 30_000 }).toBe(3)
    let served = 0
    for (let i = 0; i < 25; i++) {
      await database.withTenant(steady.org, (tx) => organizationFind(tx))
      await database.lookups.keyLookup(newId('key'))
      await database.ping()
      served += 1
    }
    expect([served, inside, most]).toEqual([25, 3, 3])
    letGo()
    const outcomes = await floods
    // Those that waited for longer than is waited are told to come again; the others went through, three at a time.
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => (reason as { code: string }).code)
    expect(new Set([...refused, 'database_unavailable'])).toEqual(new Set(['database_unavailable']))
    expect(outcomes.length - refused.length).toBeGreaterThanOrEqual(3)
    expect(most).toBe(3)
  })

  it('are given at once to what a transaction asks beside itself', async () => {
    const { org } = await makeTenant(database)
    const { promise: all, resolve: there } = Promise.withResolvers<void>()
    let waiting = 0
    // Each has a place, all places of its organization are taken, and each wants one more.
    const nested = Array.from({ length: 3 }, () =>
      database.withTenant(org, async () => {
        waiting += 1
        if (waiting === 3) there()
        await all
        return database.withTenant(org, (tx) => organizationFind(tx))
      }),
    )
    expect(await Promise.all(nested)).toHaveLength(3)
  })
})
