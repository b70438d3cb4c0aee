/** One organization's requests that hang in the database, beside another's that come one by one: counted, not timed. */
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { parseId } from '@sallyport/core'
import { asAdmin, asKey, asPerson, createWorld, send } from './world.ts'
import type { World } from './world.ts'

let world: World
let admin: Client
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
  admin = new Client({ connectionString: world.adminUrl })
  await admin.connect()
})
afterAll(async () => {
  await admin?.end()
  await world?.close()
})

const CROWD = 60
const STEADY = 10

const projectOf = ({ params }: World['a']): string => `/api/v1/orgs/${params.org}/projects/${params.project}`

/** Statements that wait for a lock. Asked on another connection: a transaction sees activity once. */
const hanging = async (): Promise<unknown> => {
  const statement = "select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
  return (await asAdmin(world.adminUrl, statement))[0]!['n']
}

describe('an organization whose requests hang by the dozen', () => {
  it('S96 D-14 leaves another its answers, every one, and lookups of keys that nobody knew', async () => {
    await admin.query('begin')
    await admin.query('select 1 from sallyport.project where id = $1 for update', [parseId('proj', world.a.params.project)])
    const crowd = Array.from({ length: CROWD }, async (_, n) => {
      const answer = await send(world, projectOf(world.a), {
        method: 'PATCH',
        headers: asPerson(world.a.people.OWNER),
        body: { name: `Another name ${n}` },
      })
      return answer.status
    })
    // They hang at the lock, each with a connection: as many as one organization gets.
    await expect.poll(hanging, { timeout: 30_000 }).toBe(5)
    const steady: number[] = []
    for (let n = 0; n < STEADY; n++) {
      const read = await send(world, projectOf(world.b), { headers: asPerson(world.b.people.OWNER) })
      const change = { method: 'PATCH', headers: asPerson(world.b.people.OWNER), body: { name: `Steady ${n}` } }
      const write = await send(world, projectOf(world.b), change)
      const key = await world.makeKey(world.b, {})
      steady.push(read.status, write.status, (await send(world, '/api/v1/whoami', { headers: asKey(key) })).status)
    }
    expect(steady).toEqual(Array.from({ length: 3 * STEADY }, () => 200))
    await admin.query('rollback')
    const outcomes = await Promise.all(crowd)
    // Some may have waited for longer than is waited: they are told to come again.
    expect([200, 503]).toEqual(expect.arrayContaining([...new Set(outcomes)]))
  })
})

describe('an organization whose audit log can not be written', () => {
  it('D-18 changes nothing meanwhile, reads on, and goes on where it stopped', async () => {
    await admin.query('begin')
    await admin.query('select 1 from sallyport.audit_head where org_id = $1 for update', [world.a.org])
    const owner = asPerson(world.a.people.OWNER)
    const before = (await send(world, projectOf(world.a), { headers: owner })).json.name
    const renamed = () =>
      send(world, projectOf(world.a), { method: 'PATCH', headers: owner, body: { name: 'Named while the log was held' } })
    const change = renamed()
    await expect.poll(hanging, { timeout: 30_000 }).toBe(1)
    for (let n = 0; n < 3; n++) {
      const read = await send(world, projectOf(world.a), { headers: owner })
      expect([read.status, read.json.name]).toEqual([200, before])
      expect((await send(world, '/api/v1/whoami', { headers: asKey(world.a.key) })).status).toBe(200)
    }
    await admin.query('rollback')
    // A lock is waited for so long and no longer: where that was over before the lock was free, it is refused, and can be asked for again.
    const { status } = await change
    expect([200, 503]).toContain(status)
    if (status === 503) expect((await renamed()).status).toBe(200)
    expect((await send(world, projectOf(world.a), { headers: owner })).json.name).toBe('Named while the log was held')
  })
})
