import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { generateKeyBytes, RootKeyring, Secret } from '@sallyport/core'
import { INSTALLATION } from '../../src/audit/index.ts'
import { auditEventList, rootKeyAdd } from '../../src/db/index.ts'
import { asPerson, createWorld, send } from './world.ts'
import type { World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
})
afterAll(() => world?.close())

interface ShownKey {
  readonly id: string
  readonly status: string
  readonly records: number
}

it('S37 lets an owner turn the data key and watch the records move, each step in the audit log and nothing of the keys in any answer', async () => {
  const owner = asPerson(world.a.people.OWNER)
  const path = `/api/v1/orgs/${world.a.params.org}/data-keys`
  const list = async (): Promise<ShownKey[]> => (await send(world, path, { headers: owner })).json.data
  const [before] = await list()
  const { records } = before!
  expect(records).toBeGreaterThan(0)
  expect(before).toMatchObject({ status: 'current', retired_at: null })
  const answer = await send(world, `${path}/rotate`, { method: 'POST', headers: owner })
  expect(answer).toMatchObject({ status: 200, json: { started: true } })
  await expect
    .poll(async () => (await list()).map(({ status, records }) => [status, records]), { timeout: 20_000 })
    .toEqual([
      ['previous', 0],
      ['current', records],
    ])
  const keys = await list()
  expect(Object.keys(keys[0]!)).toEqual(['id', 'status', 'records', 'created_at', 'retired_at'])
  const events = async () =>
    (await send(world, `/api/v1/orgs/${world.a.params.org}/audit-events`, { headers: owner })).json.data as {
      action: string
      actor: string
      detail: object
    }[]
  await expect
    .poll(async () => (await events()).filter(({ action }) => action === 'data_key.resealed'), { timeout: 20_000 })
    .toHaveLength(1)
  const rotated = (await events()).find(({ action }) => action === 'data_key.rotated')
  expect(rotated).toMatchObject({ actor: expect.stringMatching(/^user_/u) as string, detail: { from: before!.id, to: keys[1]!.id } })
})

/** What an owner may do with the keys of the own organization, by the operations' paths. */
const ask = (path: string, options: Parameters<typeof send>[2] = {}) =>
  send(world, `/api/v1/orgs/${world.a.params.org}${path}`, { headers: asPerson(world.a.people.OWNER), ...options })
/** How many sealed records the organization has, over all its keys. */
const sealed = async (): Promise<number> =>
  ((await ask('/data-keys')).json.data as ShownKey[]).reduce((total, { records }) => total + records, 0)
const eventsOf = async (action: string) =>
  ((await ask('/audit-events?limit=200')).json.data as { action: string; actor: string; target: string; detail: object }[]).filter(
    (event) => event.action === action,
  )

describe('the keys of an organization', () => {
  it('S37 S42 are verified, rewrapped and, once empty, removed by its owner: both ids in the log, and no key in any answer', async () => {
    const records = await sealed()
    await ask('/data-keys/rotate', { method: 'POST' })
    await expect
      .poll(async () => (await ask('/data-keys')).json.data.at(-1), { timeout: 20_000 })
      .toMatchObject({ status: 'current', records })
    const verified = await ask('/data-keys/verify', { method: 'POST' })
    expect(verified.json).toMatchObject({ records, destroyed: 0, faults: [], faults_total: 0 })
    expect((await eventsOf('data_key.verified')).at(0)?.detail).toMatchObject({ records, faults: 0 })
    const keys = (await ask('/data-keys')).json.data as ShownKey[]
    const current = keys.find(({ status }) => status === 'current')!
    const inUse = await ask(`/data-keys/${current.id}`, { method: 'DELETE' })
    expect(inUse.json).toMatchObject({ status: 409, code: 'conflict', detail: `${current.id} is the current data key: rotate first.` })
    const previous = keys.filter(({ status }) => status === 'previous')
    const early = await ask(`/data-keys/${previous[0]!.id}`, { method: 'DELETE' })
    expect(early.json).toMatchObject({ status: 409, code: 'conflict', detail: expect.stringContaining('less than a day ago') as string })
    await asSuperuser("update sallyport.data_key set retired_at = now() - interval '2 days' where status = 'previous'")
    for (const { id } of previous) {
      expect((await ask(`/data-keys/${id}`, { method: 'DELETE' })).status).toBe(204)
      expect((await ask(`/data-keys/${id}`, { method: 'DELETE' })).json.code).toBe('not_found')
      expect((await eventsOf('data_key.removed')).map(({ target }) => target)).toContain(id)
    }
    expect((await ask('/root-keys/rotate', { method: 'POST' })).json).toEqual({ to: 'test', rewrapped: 0, unreadable: 0 })
  })

  it('S42 an owner sees which root keys there are and makes the installation forget a rotated one, never one that is needed or on its way', async () => {
    const { database } = world
    const know = async (id: string, when: string): Promise<void> => {
      const key = RootKeyring.parse(new Secret(`${id}:${generateKeyBytes().toString('hex')}`)).primary
      const check = await key.wrap(Buffer.from('x'), { purpose: 'p', org: '', table: 't', column: 'c', record: 'r', seq: 0n })
      await database.withTenant(world.a.org, (tx) => rootKeyAdd(tx, id, check))
      await asSuperuser(`update sallyport.root_key set created_at = now() ${when} where id = '${id}'`)
    }
    await know('retired', "- interval '1 day'")
    await know('coming', "+ interval '1 day'")
    const { data } = (await ask('/root-keys')).json
    const known_since = expect.any(String) as string
    expect(data).toEqual([
      { id: 'retired', status: 'known', data_keys: 0, in_use: false, known_since },
      { id: 'test', status: 'primary', data_keys: expect.any(Number) as number, in_use: true, known_since },
      { id: 'coming', status: 'known', data_keys: 0, in_use: false, known_since },
    ])
    for (const id of ['test', 'coming']) expect((await ask(`/root-keys/${id}`, { method: 'DELETE' })).json.code).toBe('conflict')
    expect((await ask('/root-keys/nobody', { method: 'DELETE' })).json.code).toBe('not_found')
    expect((await ask('/root-keys/not%20a%20key', { method: 'DELETE' })).json.code).toBe('validation_failed')
    expect((await ask('/root-keys/retired', { method: 'DELETE' })).status).toBe(204)
    const [event] = await eventsOf('root_key.removed')
    expect(event).toMatchObject({ target: 'retired', detail: { id: 'retired', primary: 'test' } })
    const installation = await database.withTenant(INSTALLATION, (tx) => auditEventList(tx, { limit: 200 }))
    expect(installation.find(({ action }) => action === 'root_key.removed')).toMatchObject({ target: 'retired', actor: event!.actor })
  })

  it('C-15 are all replaced by one call after they may have been read; repeating it changes nothing, and both stand in the log', async () => {
    const moment = new Date().toISOString()
    const contain = () => ask('/contain', { method: 'POST', body: { exposed_until: moment, connections: 'keep' } })
    const before = (await ask('/data-keys')).json.data as ShownKey[]
    const records = await sealed()
    const first = await contain()
    expect(first.json).toMatchObject({
      data_key: { renewed: true, resealed: records, unreadable: 0, left: 0 },
      root_key: { to: 'test', rewrapped: 0, unreadable: 0 },
      bulk_revocation: null,
    })
    const after = (await ask('/data-keys')).json.data as ShownKey[]
    expect(after.filter(({ records }) => records > 0).map(({ id }) => id)).toEqual([first.json.data_key.to])
    expect(before.map(({ id }) => id)).not.toContain(first.json.data_key.to)
    expect((await contain()).json).toMatchObject({ data_key: { to: first.json.data_key.to, renewed: false, resealed: 0, left: 0 } })
    expect((await eventsOf('organization.contained')).map(({ detail }) => detail)).toMatchObject([
      { exposed_until: moment, data_key: { renewed: false } },
      { exposed_until: moment, data_key: { renewed: true } },
    ])
    const later = await ask('/contain', { method: 'POST', body: { exposed_until: '2999-01-01T00:00:00Z', connections: 'keep' } })
    expect(later.json).toMatchObject({ code: 'validation_failed', errors: [{ pointer: '/body/exposed_until' }] })
  })

  it('C-15 and every connection is ended with them when that is asked for: once for one moment, whoever reconnected since', async () => {
    const moment = new Date()
    const contain = (exposed_until: string) => ask('/contain', { method: 'POST', body: { exposed_until, connections: 'revoke' } })
    const [one, two] = await Promise.all([contain(moment.toISOString()), contain(moment.toISOString())])
    expect([one.status, two.status]).toEqual([200, 200])
    const { id } = one.json.bulk_revocation
    expect(two.json.bulk_revocation.id).toBe(id)
    const bulk = async () => (await ask(`/bulk-revocations/${id}`)).json
    await expect.poll(bulk, { timeout: 20_000 }).toMatchObject({ state: 'done', found: 1, ended: 1 })
    const connectionPath = `/projects/${world.a.params.project}/test/connections/${world.a.params.connection}`
    expect((await ask(connectionPath)).json).toMatchObject({ status: 'revoked' })
    // The same moment in another spelling, later: nothing more is ended.
    const again = await contain(moment.toISOString().replace('Z', '000Z'))
    expect(again.json).toMatchObject({ data_key: { renewed: false }, bulk_revocation: { id, state: 'done', ended: 1 } })
    expect((await eventsOf('bulk_revocation.started')).length).toBe(1)
    expect((await eventsOf('organization.contained')).filter(({ detail }) => JSON.stringify(detail).includes(id))).toHaveLength(3)
  })

  it('N10 are destroyed only when the owner names the organization again, after what would be lost was said', async () => {
    const shred = (body: object) => ask('/data-keys/shred', { method: 'POST', body })
    const records = await sealed()
    const plan = await shred({ dry_run: true })
    expect(plan.json).toMatchObject({ shredded: false, records })
    for (const body of [{ dry_run: false }, { dry_run: false, confirm: world.b.params.org }]) {
      expect((await shred(body)).json).toMatchObject({ code: 'validation_failed', errors: [{ pointer: '/body/confirm' }] })
    }
    expect((await ask('/data-keys/verify', { method: 'POST' })).json).toMatchObject({ records, destroyed: 0 })
    const done = await shred({ dry_run: false, confirm: world.a.params.org })
    expect(done.json).toEqual({ ...plan.json, shredded: true })
    expect((await ask('/data-keys')).json.data).toEqual([])
    expect((await ask('/data-keys/verify', { method: 'POST' })).json).toMatchObject({ records: 0, destroyed: records, faults: [] })
    expect((await eventsOf('data_key.destroyed')).length).toBe(plan.json.data_keys.length)
  })
})

async function asSuperuser(sql: string): Promise<void> {
  const client = new Client({ connectionString: world.adminUrl })
  await client.connect()
  await client.query(sql)
  await client.end()
}
