import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { newId, Secret } from '@sallyport/core'
import { startPgBouncer } from '../../../testkit/src/servers/pgbouncer.ts'
import type { TestPgBouncer } from '../../../testkit/src/servers/pgbouncer.ts'
import { openDatabase } from '../../src/db/index.ts'
import { freshDatabase, silent } from './fresh-database.ts'
import type { FreshDatabase } from './fresh-database.ts'

let fresh: FreshDatabase
let other: FreshDatabase
let pooler: TestPgBouncer
beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  other = await freshDatabase(inject('postgresUrl'))
  pooler = await startPgBouncer(fresh.url.reveal())
})
afterAll(async () => {
  await pooler.stop()
  await Promise.all([fresh.drop(), other.drop()])
})

describe('a database behind a pooler that hands out sessions by the transaction', () => {
  it('is refused while nothing else is named, because no word of a change would ever arrive', async () => {
    await expect(openDatabase({ url: new Secret(pooler.url), logger: silent })).rejects.toMatchObject({
      code: 'database_not_heard',
      message: expect.stringContaining('SALLYPORT_DATABASE_SESSION_URL') as string,
    })
  })

  it('is refused with sessions of another database', async () => {
    await expect(openDatabase({ url: new Secret(pooler.url), sessionUrl: other.url, logger: silent })).rejects.toMatchObject({
      code: 'database_not_heard',
    })
  })

  it('X-05 is refused where its sessions look names up elsewhere', async () => {
    const role = fresh.login.name
    const bare = await startPgBouncer(fresh.url.reveal())
    await fresh.asSuperuser(`alter role ${role} reset search_path`)
    const opening = openDatabase({ url: new Secret(bare.url), sessionUrl: fresh.url, logger: silent })
    await expect(opening).rejects.toMatchObject({
      code: 'database_role_unsafe',
      message: expect.stringContaining('set search_path') as string,
    })
    await fresh.asSuperuser(`alter role ${role} set search_path = pg_catalog`)
    await bare.stop()
  })

  it('keeps tenants apart and opens with a session address beside it', async () => {
    const database = await openDatabase({ url: new Secret(pooler.url), sessionUrl: fresh.url, logger: silent })
    const ids = Array.from({ length: 40 }, () => newId('org'))
    const seen = await Promise.all(
      ids.map((org) =>
        database.withTenant(org, async (tx) => {
          await sql`select pg_sleep(0.001)`.execute(tx)
          const { rows } = await sql<{ org: string }>`select current_setting('sallyport.org') as org`.execute(tx)
          return rows[0]!.org
        }),
      ),
    )
    expect(seen).toEqual(ids)
    await database.ping()
    await database.close()
  })
})
