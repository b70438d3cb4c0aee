/** Advisory leases under many at once. */
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { AdvisoryLeases } from '../../src/index.ts'
import { createDatabase, dropDatabase } from '../../../testkit/src/servers/index.ts'

const NAME = 'sallyport leases'

describe('advisory leases', () => {
  const admin = inject('postgresUrl')
  let database: { name: string; url: string }
  let observer: Client
  beforeAll(async () => {
    database = await createDatabase(admin)
    observer = new Client({ connectionString: database.url })
    await observer.connect()
  })
  afterAll(async () => {
    await observer.end()
    await dropDatabase(admin, database.name)
  })
  const held = async (): Promise<number> => {
    const { rows } = await observer.query<{ n: string }>(
      "select count(*) as n from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())",
    )
    return Number(rows[0]!.n)
  }

  const connections = async (): Promise<number[]> => {
    const { rows } = await observer.query<{ pid: number }>(
      'select pid from pg_stat_activity where application_name = $1 and datname = current_database() order by pid',
      [NAME],
    )
    return rows.map(({ pid }) => pid)
  }

  it('are taken by the thousand at once, on one connection of each process, each by one', async () => {
    const [one, other] = [new AdvisoryLeases({ connectionString: database.url }), new AdvisoryLeases({ connectionString: database.url })]
    const keys = Array.from({ length: 3_000 }, (_, i) => `key-${i}`)
    const taken = await Promise.all(keys.flatMap((key) => [one.take(key), other.take(key)]))
    const leases = taken.filter((lease) => lease !== undefined)
    expect(leases).toHaveLength(keys.length)
    expect(await held()).toBe(keys.length)
    const before = await connections()
    expect(before).toHaveLength(2)
    expect(new Set(await Promise.all(leases.map((lease) => lease.prove())))).toEqual(new Set([true]))
    await Promise.all(leases.map((lease) => lease.release()))
    expect(await held()).toBe(0)
    expect(await connections()).toEqual(before)
    await one.close()
    await other.close()
  })

  it('are all lost with their connection, which nobody is told otherwise, and taken again on another', async () => {
    const leases = new AdvisoryLeases({ connectionString: database.url })
    const all = await Promise.all([leases.take('a'), leases.take('b')])
    await observer.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sallyport leases' and datname = current_database()",
    )
    for (const lease of all) await expect.poll(() => lease!.prove()).toBe(false)
    expect(await leases.take('a')).toBeUndefined()
    await all[0]!.release()
    const again = await leases.take('a')
    expect(await again!.prove()).toBe(true)
    expect(await all[0]!.prove()).toBe(false)
    await leases.close()
  })

  it('of live connections are never ended by those who wait for them', async () => {
    const [one, other] = [
      new AdvisoryLeases({ connectionString: database.url }, { stalledAfterMs: 2_500 }),
      new AdvisoryLeases({ connectionString: database.url }, { stalledAfterMs: 2_500 }),
    ]
    const lease = await one.take('held')
    const until = performance.now() + 4_000
    while (performance.now() < until) expect(await other.take('held')).toBeUndefined()
    expect(await lease!.prove()).toBe(true)
    await one.close()
    await other.close()
  })
})
