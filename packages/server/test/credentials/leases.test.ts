import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { leaseKey, newId } from '@sallyport/core'
import type { LeaseKeeper } from '@sallyport/core'
import { createRowLeases } from '../../src/credentials/index.ts'
import type { Database } from '../../src/db/index.ts'
import { freshDatabase, lineTo, makeTenant } from '../db/fresh-database.ts'
import type { FreshDatabase, Line } from '../db/fresh-database.ts'

let fresh: FreshDatabase
let line: Line
let databases: [Database, Database]
beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  line = await lineTo(fresh.url)
  databases = [await fresh.open(), await fresh.open({ url: line.url })]
})
afterAll(async () => {
  await fresh.drop()
  await line.cut()
})

async function someKey(): Promise<string> {
  const { org, connection } = await makeTenant(databases[0])
  return leaseKey({ scope: org, id: connection })
}

describe.each<[string, (database: Database) => LeaseKeeper]>([
  ['rows', createRowLeases],
  ['sessions', (database) => database.sessionLeases()],
])('leases of the gateway as %s', (_kind, keeperOf) => {
  it('are of one node at a time, and go to the next when they are given back', async () => {
    const [one, other] = databases.map(keeperOf) as [LeaseKeeper, LeaseKeeper]
    const key = await someKey()
    const lease = await one.take(key)
    expect([await lease!.prove(), await other.take(key), await one.take(key)]).toEqual([true, undefined, undefined])
    const elsewhere = await other.take(await someKey())
    expect(await elsewhere!.prove()).toBe(true)
    await lease!.release()
    expect(await lease!.prove()).toBe(false)
    const next = await other.take(key)
    expect(await next!.prove()).toBe(true)
    await Promise.all([one.close(), other.close()])
  })

  it('of a node that can not reach the database are not proven, and go to another', async () => {
    const [one, other] = databases.map(keeperOf) as [LeaseKeeper, LeaseKeeper]
    const key = await someKey()
    const lost = await other.take(key)
    await line.cut()
    try {
      await expect.poll(() => lost!.prove(), { timeout: 20_000 }).toBe(false)
      await expect.poll(async () => (await one.take(key)) !== undefined, { timeout: 20_000 }).toBe(true)
      await expect(other.take(await someKey())).rejects.toMatchObject({ code: 'store_unavailable' })
    } finally {
      await line.restore()
    }
    await expect.poll(() => lost!.prove(), { timeout: 20_000 }).toBe(false)
    await Promise.all([one.close(), other.close()])
  })
})

describe('leases as rows', () => {
  it('are of connections, and of nothing else', async () => {
    const rows = createRowLeases(databases[0])
    for (const key of ['refresh_lock:a:b', `refresh_lock:${newId('org')}`, `other:${newId('org')}:${newId('conn')}`, '']) {
      await expect(rows.take(key)).rejects.toThrow(TypeError)
    }
    expect(await rows.take(leaseKey({ scope: newId('org'), id: newId('conn') }))).toBeUndefined()
    const { org } = await makeTenant(databases[0])
    const { connection } = await makeTenant(databases[0])
    expect(await rows.take(leaseKey({ scope: org, id: connection }))).toBeUndefined()
  })
})
