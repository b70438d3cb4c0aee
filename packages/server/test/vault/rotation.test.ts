import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, vi } from 'vitest'
import {
  createLogger,
  envelopeKeyId,
  formatId,
  joinRootKeys,
  KeySourceError,
  ManualClock,
  MetricsRegistry,
  newId,
  randomToken,
  RootKeyring,
  rootKeysOf,
  Secret,
  sha256,
  systemClock,
} from '@sallyport/core'
import type { DataKeyId, OrgId, RootKeys } from '@sallyport/core'
import { INSTALLATION, verifyOrganization } from '../../src/audit/index.ts'
import { auditEventList, connectSessionInsert, credentialHead, dataKeyList, integrationFind, oauthStateInsert } from '../../src/db/index.ts'
import type { Database } from '../../src/db/index.ts'
import { METRICS } from '../../src/metrics/index.ts'
import { clientSecretPlace, createKeeper, createVault, credentialPlace, verifierPlace } from '../../src/vault/index.ts'
import { freshDatabase, silent } from '../db/fresh-database.ts'
import type { FreshDatabase, Tenant } from '../db/fresh-database.ts'
import { fillTenant, keyText, openNode } from './rotation-world.ts'
import type { Node, NodeOptions } from './rotation-world.ts'
import { credentialAdvance } from './rotation-writes.ts'

const DAY_MS = 86_400_000
/** However busy the machine is. */
const PATIENTLY = { timeout: 20_000 }

let fresh: FreshDatabase
let database: Database
let node: Node
let nodes: Node[] = []
const r1 = keyText('r1')

beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  database = await fresh.open()
  node = await openNode(database, r1)
})
afterEach(async () => {
  await Promise.all(nodes.map((other) => other.close()))
  nodes = []
})
afterAll(async () => {
  await node.close()
  await fresh.drop()
})

async function anotherNode(rootKeys = r1, options: NodeOptions & { database?: Database } = {}): Promise<Node> {
  const made = await openNode(options.database ?? database, rootKeys, options)
  nodes.push(made)
  return made
}

const keysOf = (org: OrgId) => database.withTenant(org, dataKeyList)
const actionsOf = async (org: OrgId) =>
  (await database.withTenant(org, (tx) => auditEventList(tx, { limit: 200 })))
    .map(({ action, detail, target }): Record<string, unknown> => ({ action, target, ...(JSON.parse(detail) as object) }))
    .toReversed()

/** Every version's text, read with a node that has nothing in memory. */
async function readAll({ org, connection }: Tenant, rootKeys = r1): Promise<string[]> {
  const cold = await anotherNode(rootKeys)
  const rows = await fresh.asSuperuser<{ seq: string; sealed: Buffer }>(
    'select seq::text as seq, sealed from sallyport.credential_version v where org_id = $1 and seq > 1 order by v.seq',
    [org],
  )
  const texts: string[] = []
  for (const { seq, sealed } of rows) texts.push((await cold.vault.open(org, credentialPlace(connection, BigInt(seq)), sealed)).reveal())
  return texts
}
const versions = (count: number): string[] => Array.from({ length: count }, (_, n) => `not a token, version ${n + 2}`)

async function underKeys(org: OrgId): Promise<Record<string, number>> {
  const rows = await fresh.asSuperuser<{ sealed: Buffer }>(
    'select sealed from sallyport.credential_version where org_id = $1 and seq > 1',
    [org],
  )
  const counts: Record<string, number> = {}
  for (const { sealed } of rows) counts[envelopeKeyId(sealed)] = (counts[envelopeKeyId(sealed)] ?? 0) + 1
  return counts
}

/** A client secret and a PKCE verifier beside the credentials: one row of each sealed column. */
async function sealEverywhere({
  org,
  place,
  integration,
  connection,
}: Tenant): Promise<{ state: Buffer; session: ReturnType<typeof newId<'cs'>> }> {
  const [session, state] = [newId('cs'), sha256(randomToken(16))]
  await database.withTenant(org, async (tx) => {
    const secret = await node.vault.seal(tx, clientSecretPlace(integration), new Secret('not a client secret'))
    await tx.updateTable('sallyport.integration').set({ client_secret: secret }).where('id', '=', integration).execute()
    await connectSessionInsert(tx, {
      ...place,
      id: session,
      integration,
      connection,
      reconnect: false,
      endUserId: 'user-1',
      linkHash: sha256(randomToken(16)),
      returnTo: null,
      startedBy: 'system',
      consoleSessionHash: null,
      ttlSeconds: 600,
    })
    const verifier = await node.vault.seal(tx, verifierPlace(session), new Secret('not a verifier'))
    await oauthStateInsert(tx, {
      stateHash: state,
      connectSession: session,
      context: 'c',
      browserHash: sha256(randomToken(16)),
      verifier,
      ttlSeconds: 600,
    })
  })
  return { state, session }
}

describe('rotating a data key', () => {
  it('S34 says how far it is while it lasts, once in five seconds', async () => {
    const { org } = await fillTenant(database, node.vault, 250)
    const resealed = async (stepMs: number): Promise<unknown[]> => {
      const lines: string[] = []
      let at = 0
      const clock = { now: () => systemClock.now(), monotonic: () => (at += stepMs) }
      const logger = createLogger({ level: 'info', format: 'json', write: (line) => void lines.push(line) })
      const { keeper } = await anotherNode(r1, { clock, logger })
      await keeper.renew(org, 'system')
      await keeper.sweep(org, 'system')
      const said = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
      return said.filter(({ message }) => message === 'Resealing records under the current data key').map((line) => line['resealed'])
    }
    expect(await resealed(0)).toEqual([])
    expect(await resealed(5_000)).toEqual(expect.arrayContaining([100, 200]))
  })

  it('N10 moves every sealed column to the new key, proves it by counts, and everything opens at its own place', async () => {
    const tenant = await fillTenant(database, node.vault, 230)
    const { org, connection, integration, place } = tenant
    const { session } = await sealEverywhere(tenant)
    const [before] = await keysOf(org)
    const renewed = await node.keeper.renew(org, 'user_x')
    const report = await node.keeper.sweep(org, 'user_x')
    expect(report).toMatchObject({ to: renewed!.to, resealed: 232, unreadable: 0, left: new Map([[before!.id, 0]]) })
    expect(await node.keeper.dataKeys(org)).toMatchObject([
      { id: before!.id, status: 'previous', records: 0 },
      { id: renewed!.to, status: 'current', records: 232 },
    ])
    expect(await underKeys(org)).toEqual({ [renewed!.to]: 230 })
    expect(await readAll(tenant)).toEqual(versions(230))
    const { client_secret: secret } = await database.withTenant(org, (tx) =>
      tx.selectFrom('sallyport.integration').select('client_secret').where('id', '=', integration).executeTakeFirstOrThrow(),
    )
    expect((await node.vault.open(org, clientSecretPlace(integration), secret)).reveal()).toBe('not a client secret')
    expect((await database.withTenant(org, (tx) => integrationFind(tx, place, integration)))?.clientSecret).toEqual(secret)
    const [state] = await fresh.asSuperuser<{ verifier: Buffer }>('select verifier from sallyport.oauth_state where org_id = $1', [org])
    expect((await node.vault.open(org, verifierPlace(session), state!.verifier)).reveal()).toBe('not a verifier')
    // The risk: a reseal that forgets the place would let rows be moved from then on.
    const head = await database.withTenant(org, (tx) => credentialHead(tx, connection))
    await expect(node.vault.open(org, credentialPlace(connection, head!.seq - 1n), head!.sealed)).rejects.toMatchObject({
      code: 'decrypt_failed',
    })
  })

  it('S37 writes down both ids and no secret, in a chain that stays whole', async () => {
    const { org } = await fillTenant(database, node.vault, 3)
    const renewed = await node.keeper.renew(org, 'user_x')
    await node.keeper.sweep(org, 'user_x')
    await retiredLongAgo(org)
    await node.keeper.removeDataKey(org, renewed!.from, 'user_x')
    const [from, to] = [formatId('dk', renewed!.from), formatId('dk', renewed!.to)]
    expect(await actionsOf(org)).toEqual([
      { action: 'data_key.rotated', target: to, from, to },
      { action: 'data_key.resealed', target: to, from: [from], to, records: 3, unreadable: 0, left: { [from]: 0 } },
      { action: 'data_key.removed', target: from, id: from, records: 0 },
    ])
    expect(await verifyOrganization(database, org)).toMatchObject({ intact: true })
  })

  it('C-07 fails no read and loses no write while keys turn under load', async () => {
    const tenant = await fillTenant(database, node.vault, 300)
    const { org, connection } = tenant
    // As gateways are: a pool and a memory of their own each, hearing of changes when they hear of them.
    const readers = await Promise.all([1, 2].map(async () => ({ on: await fresh.open({ poolSize: 3 }) })))
    const others = await Promise.all(readers.map(async ({ on }) => ({ on, ...(await anotherNode(r1, { database: on })) })))
    const rotation = { underWay: true }
    let [reads, head] = [0, 301n]
    const read = async ({ on, vault }: (typeof others)[number]): Promise<void> => {
      while (rotation.underWay) {
        const found = await on.withTenant(org, (tx) => credentialHead(tx, connection))
        const place = credentialPlace(connection, found!.seq)
        const text = vault.openCached(org, place, found!.sealed) ?? (await vault.open(org, place, found!.sealed))
        expect(text.reveal()).toBe(`not a token, version ${found!.seq}`)
        reads += 1
      }
    }
    const write = async ({ on, vault }: (typeof others)[number]): Promise<void> => {
      while (rotation.underWay) await on.withTenant(org, (tx) => credentialAdvance(tx, vault, connection, ++head))
    }
    const load = Promise.all([...others.flatMap((other) => [read(other), read(other)]), write(others[0]!)])
    const rotate = async (): Promise<void> => {
      for (let round = 0; round < 4; round++) {
        expect(await node.keeper.renew(org, 'system')).toBeDefined()
        // What a node sealed under the key it still took for current is swept by a later look.
        await expect
          .poll(async () => [...(await node.keeper.sweep(org, 'system')).left.values()].every((left) => left === 0), PATIENTLY)
          .toBe(true)
      }
    }
    await rotate().finally(() => (rotation.underWay = false))
    await load
    expect(reads).toBeGreaterThan(100)
    await node.keeper.sweep(org, 'system')
    const current = (await keysOf(org)).find(({ status }) => status === 'current')!
    expect(await underKeys(org)).toEqual({ [current.id]: Number(head) - 1 })
    expect(await readAll(tenant)).toEqual(versions(Number(head) - 1))
  })

  it('C-08 goes on after kill -9 at any moment, ten times over: no record twice sealed, none lost', { timeout: 240_000 }, async () => {
    const tenant = await fillTenant(database, node.vault, 1_500)
    const { org } = tenant
    const script = fileURLToPath(new URL('rotating-process.ts', import.meta.url))
    const env = { TEST_DATABASE_URL: fresh.url.reveal(), TEST_ROOT_KEYS: r1, PATH: process.env['PATH'] }
    const start = () => fork(script, [org], { env })
    // How long one takes, from its beginning to its end, says where in it the others can be killed.
    const first = start()
    await once(first, 'message')
    const began = performance.now()
    const done = once(first, 'message')
    expect(await done).toEqual([{ left: [0] }, undefined])
    const took = performance.now() - began
    await once(first, 'exit')
    for (let round = 0; round < 10; round++) {
      const child = start()
      const gone = once(child, 'exit')
      await once(child, 'message')
      setTimeout(() => child.kill('SIGKILL'), Math.random() * took)
      await gone
      expect((await keysOf(org)).filter(({ status }) => status === 'current')).toHaveLength(1)
    }
    const last = start()
    const [, [answer]] = [await once(last, 'message'), await once(last, 'message')]
    expect((answer as { left: number[] }).left.every((left) => left === 0)).toBe(true)
    const current = (await keysOf(org)).find(({ status }) => status === 'current')!
    expect(await underKeys(org)).toEqual({ [current.id]: 1_500 })
    expect(await readAll(tenant)).toEqual(versions(1_500))
    expect(await verifyOrganization(database, org)).toMatchObject({ intact: true })
  })

  it('is done once by two at once: one new key, each record resealed once', async () => {
    const { org } = await fillTenant(database, node.vault, 600)
    const two = [await anotherNode(), await anotherNode()]
    const renewed = await Promise.all(two.map(({ keeper }) => keeper.renew(org, 'system')))
    expect(renewed.filter((made) => made !== undefined)).toHaveLength(1)
    const reports = await Promise.all(two.map(({ keeper }) => keeper.sweep(org, 'system')))
    expect(reports.reduce((sum, { resealed }) => sum + resealed, 0)).toBe(600)
    for (const { left } of reports) expect([...left.values()]).toEqual([0])
    expect(await keysOf(org)).toHaveLength(2)
  })

  it('finishes what was begun before it makes another key', async () => {
    const { org } = await fillTenant(database, node.vault, 5)
    expect(await node.keeper.renew(org, 'system')).toBeDefined()
    expect(await node.keeper.renew(org, 'system')).toBeUndefined()
    await node.keeper.sweep(org, 'system')
    expect(await node.keeper.renew(org, 'system')).toBeDefined()
  })

  it('leaves a record that does not open as it is, tells of it, and moves all the others', async () => {
    const { org, connection } = await fillTenant(database, node.vault, 4)
    // A version's envelope under another version's number: moved by somebody who can write to the table.
    await fresh.asSuperuser('alter table sallyport.credential_version disable trigger insert_only')
    await fresh.asSuperuser(
      `update sallyport.credential_version v set sealed = (select sealed from sallyport.credential_version w where w.org_id = v.org_id and w.seq = 3)
       where org_id = $1 and seq = 4`,
      [org],
    )
    await fresh.asSuperuser('alter table sallyport.credential_version enable trigger insert_only')
    const renewed = await node.keeper.renew(org, 'system')
    const report = await node.keeper.sweep(org, 'system')
    expect(report).toMatchObject({ resealed: 3, unreadable: 1, left: new Map([[renewed!.from, 1]]) })
    expect(await node.keeper.verify('system', org)).toMatchObject({
      records: 3,
      faults: [{ table: 'credential_version', record: connection, code: 'decrypt_failed' }],
    })
    await expect(node.keeper.removeDataKey(org, renewed!.from, 'system')).rejects.toMatchObject({ code: 'key_in_use' })
  })
})

describe('the database', () => {
  it('C-11 lets a version be resealed and nothing else of it be changed', async () => {
    const { org } = await fillTenant(database, node.vault, 1)
    const renewed = await node.keeper.renew(org, 'system')
    const attempt = (set: string) =>
      database.withTenant(org, async (tx) => {
        const place = credentialPlace((await tx.selectFrom('sallyport.connection').select('id').executeTakeFirstOrThrow()).id, 2n)
        const sealed = await node.vault.seal(tx, place, new Secret('other'))
        const column = set === '' ? sql`` : sql`, obtained_at = now()`
        return sql`update sallyport.credential_version set sealed = ${sealed} ${column} where org_id = ${org} and seq = 2`.execute(tx)
      })
    await expect(attempt('obtained_at')).rejects.toMatchObject({ sqlState: '42501' })
    await attempt('')
    // Under the same key it would be another secret in the place of this one, not a reseal.
    await expect(attempt('')).rejects.toMatchObject({ sqlState: '23000' })
    expect(renewed).toBeDefined()
  })
})

/** As if its previous keys had been replaced two days ago. */
async function retiredLongAgo(org: OrgId): Promise<void> {
  await fresh.asSuperuser(
    `update sallyport.data_key set retired_at = now() - interval '2 days' where org_id = $1 and status = 'previous'`,
    [org],
  )
}

describe('removing a key', () => {
  it('C-09 is refused with the count while anything is under it, by the gateway and by the database itself', async () => {
    const { org } = await fillTenant(database, node.vault, 7)
    const renewed = await node.keeper.renew(org, 'system')
    await expect(node.keeper.removeDataKey(org, renewed!.to, 'system')).rejects.toMatchObject({ code: 'key_in_use' })
    await expect(node.keeper.removeDataKey(org, renewed!.from, 'system')).rejects.toThrow('7 records')
    await expect(
      fresh.asSuperuser('delete from sallyport.data_key where org_id = $1 and id = $2', [org, renewed!.from]),
    ).rejects.toMatchObject({
      code: '23503',
    })
    await node.keeper.sweep(org, 'system')
    await retiredLongAgo(org)
    await node.keeper.removeDataKey(org, renewed!.from, 'system')
    expect((await keysOf(org)).map(({ id }) => id)).toEqual([renewed!.to])
    await expect(node.keeper.removeDataKey(org, newId('dk'), 'system')).rejects.toMatchObject({ code: 'data_key_missing' })
  })

  it('F-12 is refused while an answer outside the database may be under it: for a day, and until the refreshes of its time are over', async () => {
    const { org, connection } = await fillTenant(database, node.vault, 1)
    const renewed = await node.keeper.renew(org, 'system')
    await node.keeper.sweep(org, 'system')
    const remove = () => node.keeper.removeDataKey(org, renewed!.from, 'system')
    await expect(remove()).rejects.toMatchObject({ code: 'key_in_use', message: expect.stringContaining('less than a day ago') as string })
    await retiredLongAgo(org)
    // Begun under it, and its process has not come back since.
    await fresh.asSuperuser(
      `insert into sallyport.refresh_intent (org_id, connection_id, id, generation, parent_seq, head_seq, attempt, node, started_at)
       values ($1, $2, 'of-then', 1, 2, 2, 1, 'n', now() - interval '49 hours')`,
      [org, connection],
    )
    await expect(remove()).rejects.toMatchObject({ code: 'key_in_use', message: expect.stringContaining('1 refreshes') as string })
    await node.keeper.tend()
    expect(await keysOf(org)).toHaveLength(2)
    await fresh.asSuperuser(`update sallyport.refresh_intent set id = 'of-now', started_at = now() where org_id = $1`, [org])
    await remove()
    expect((await keysOf(org)).map(({ id }) => id)).toEqual([renewed!.to])
  })

  it('S35 takes an organization away whole, keys and records', async () => {
    const { org } = await fillTenant(database, node.vault, 2)
    await fresh.asSuperuser('delete from sallyport.organization where id = $1', [org])
    expect(await keysOf(org)).toEqual([])
  })

  it('N10 shreds: what would be lost is said first, and afterwards nothing opens, nor can the key come back', async () => {
    const tenant = await fillTenant(database, node.vault, 6)
    const { org, connection } = tenant
    const head = await database.withTenant(org, (tx) => credentialHead(tx, connection))
    const [key] = await keysOf(org)
    expect(await node.keeper.losses(org)).toEqual({ keys: [key!.id], records: 6 })
    expect(await node.keeper.shred(org, 'user_x')).toEqual({ keys: [key!.id], records: 6 })
    const [row] = await fresh.asSuperuser<{ wrapped: Buffer | null }>('select wrapped from sallyport.data_key where org_id = $1', [org])
    expect(row).toEqual({ wrapped: null })
    for (const each of [node, await anotherNode()]) {
      await expect(each.vault.open(org, credentialPlace(connection, head!.seq), head!.sealed)).rejects.toMatchObject({
        code: 'data_key_missing',
      })
    }
    await expect(fresh.asSuperuser(`update sallyport.data_key set status = 'previous' where org_id = $1`, [org])).rejects.toMatchObject({
      code: '23000',
    })
    expect(await actionsOf(org)).toMatchObject([{ action: 'data_key.destroyed', records: 6 }])
    expect(await node.keeper.verify('system', org)).toMatchObject({ records: 0, destroyed: 6, faults: [] })
  })
})

describe('a backup from before', () => {
  it('N10 of rows alone does not open what was shredded; one of rows and wrapped keys does, with a root key of its time', async () => {
    const { org, connection } = await fillTenant(database, node.vault, 4)
    const tables = ['root_key', 'organization', 'project', 'data_key', 'integration', 'connection', 'credential_version'] as const
    const backup = new Map<string, string>()
    for (const table of tables) {
      const own = table === 'root_key' ? '' : `where ${table === 'organization' ? 'id' : 'org_id'} = $1`
      const [row] = await fresh.asSuperuser<{ rows: string }>(
        `select coalesce(json_agg(t), '[]')::text as rows from sallyport.${table} t ${own}`,
        own === '' ? [] : [org],
      )
      backup.set(table, row!.rows)
    }
    await node.keeper.shred(org, 'user_x')
    const restored = await freshDatabase(inject('postgresUrl'))
    try {
      for (const table of tables) {
        // Generated columns are not restored but made.
        const [row] = await restored.asSuperuser<{ columns: string }>(
          `select string_agg(quote_ident(column_name), ', ') as columns from information_schema.columns
           where table_schema = 'sallyport' and table_name = $1 and is_generated = 'NEVER'`,
          [table],
        )
        await restored.asSuperuser(
          `insert into sallyport.${table} (${row!.columns})
           select ${row!.columns} from json_populate_recordset(null::sallyport.${table}, $1::json)`,
          [backup.get(table)],
        )
      }
      const on = await restored.open()
      const place = credentialPlace(connection, 5n)
      const read = async (keys: string): Promise<string> => {
        const cold = await anotherNode(keys, { database: on })
        const head = await on.withTenant(org, (tx) => credentialHead(tx, connection))
        return (await cold.vault.open(org, place, head!.sealed)).reveal()
      }
      expect(await read(r1)).toBe('not a token, version 5')
      await expect(read(keyText('r2'))).rejects.toMatchObject({ code: 'root_key_missing' })
      // The same backup, whose wrapped keys were not kept.
      await restored.asSuperuser(`update sallyport.data_key set status = 'destroyed', wrapped = null, root_key_id = null`)
      await expect(read(r1)).rejects.toMatchObject({ code: 'data_key_missing' })
    } finally {
      await restored.drop()
    }
  })
})

describe('age', () => {
  it('C-17 tells of a data key of 91 days once a day, and writes it down', async () => {
    const { org } = await fillTenant(database, node.vault, 1)
    await fresh.asSuperuser(`update sallyport.data_key set created_at = now() - interval '91 days' where org_id = $1`, [org])
    const lines: string[] = []
    const logger = createLogger({ level: 'warn', format: 'json', write: (line) => void lines.push(line) })
    const [one, two] = [await anotherNode(r1, { rotateAfterDays: 0, logger }), await anotherNode(r1, { rotateAfterDays: 0, logger })]
    await Promise.all([one.keeper.tend(), two.keeper.tend()])
    await one.keeper.tend()
    const [key] = await keysOf(org)
    const warned = lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter((line) => line['org'] === org)
    expect(warned).toMatchObject([{ level: 'warn', message: 'A data key is overdue for rotation', dataKey: key!.id, days: 91 }])
    expect((await actionsOf(org)).map(({ action, days, id }) => [action, days, id])).toEqual([
      ['data_key.overdue', 91, formatId('dk', key!.id)],
    ])
  })

  it('C-17 shows ages and counts of all keys as metrics, and tells of a root key of 91 days once a day', async () => {
    const old = await freshDatabase(inject('postgresUrl'))
    const on = await old.open()
    const registry = new MetricsRegistry(METRICS)
    const one = await openNode(on, r1, { rotateAfterDays: 0, metrics: registry })
    const [first] = [await fillTenant(on, one.vault, 1), await fillTenant(on, one.vault, 1)]
    await one.keeper.renew(first.org, 'system')
    await old.asSuperuser(`update sallyport.data_key set created_at = now() - interval '91 days' where org_id <> $1`, [first.org])
    await old.asSuperuser(`update sallyport.root_key set created_at = now() - interval '91 days'`)
    // An overdue key must show even while whoever holds the root keys is away.
    await old.asSuperuser(`insert into sallyport.root_key (id, check_value) values ('r0', 'unused')`)
    await Promise.all([one.keeper.tend(), one.keeper.tend()])
    await one.keeper.tend()
    const value = (name: string): number =>
      Number(
        registry
          .render()
          .split('\n')
          .find((line) => line.startsWith(`${name} `))
          ?.split(' ')[1],
      )
    expect(value('sallyport_data_keys_overdue')).toBe(1)
    expect(value('sallyport_data_key_oldest_age_seconds') / 86_400).toBeCloseTo(91, 1)
    expect(value('sallyport_root_key_age_seconds') / 86_400).toBeCloseTo(91, 1)
    expect(['current', 'previous', 'behind'].map((state) => value(`sallyport_data_keys{state="${state}"}`))).toEqual([2, 1, 0])
    expect(['primary', 'in_use', 'unused'].map((state) => value(`sallyport_root_keys{state="${state}"}`))).toEqual([1, 0, 1])
    expect(value('sallyport_key_tending_total{outcome="done"}')).toBe(2)
    const events = await on.withTenant(INSTALLATION, (tx) => auditEventList(tx, { limit: 200 }))
    const overdue = events.filter(({ action }) => action === 'root_key.overdue').map(({ target, detail }) => [target, JSON.parse(detail)])
    expect(overdue).toEqual([['r1', { id: 'r1', days: 91 }]])
    await one.close()
    await old.drop()
  })

  it('C-17 tells of overdue data keys while whoever holds the root keys is away, and says that the look failed', async () => {
    const { org } = await fillTenant(database, node.vault, 1)
    await fresh.asSuperuser(`update sallyport.data_key set created_at = now() - interval '91 days' where org_id = $1`, [org])
    const registry = new MetricsRegistry(METRICS)
    const away: RootKeys = rootKeysOf({
      id: 'away',
      wrap: () => Promise.reject(new KeySourceError('key_source_unavailable', 'the key service does not answer')),
      unwrap: () => Promise.reject(new KeySourceError('key_source_unavailable', 'the key service does not answer')),
    })
    const vault = createVault({
      database,
      keyring: joinRootKeys(away, RootKeyring.parse(new Secret(r1))),
      clock: systemClock,
      logger: silent,
    })
    await fresh.asSuperuser(`insert into sallyport.root_key (id, check_value) values ('away', 'x')`)
    const keeper = createKeeper({ database, vault, clock: systemClock, logger: silent, metrics: registry, rotateAfterDays: 0 })
    await expect(keeper.tend()).rejects.toMatchObject({ code: 'key_source_unavailable' })
    expect((await actionsOf(org)).map(({ action }) => action)).toEqual(['data_key.overdue'])
    expect(registry.render()).toContain('sallyport_key_tending_total{outcome="failed"} 1')
    expect(Number(/^sallyport_data_keys_overdue (\d+)$/mu.exec(registry.render())?.[1])).toBeGreaterThanOrEqual(1)
    await keeper.close()
    vault.close()
    await fresh.asSuperuser(`delete from sallyport.root_key where id = 'away'`)
  })

  it('S65 looks after the keys at the start and every hour, and not after its end', async () => {
    const ticks: (() => void)[] = []
    const looks: string[] = []
    const every = vi.spyOn(globalThis, 'setInterval').mockImplementation(((run: () => void, ms: number) => {
      ticks.push(run)
      looks.push(`every ${ms}`)
      return { unref: () => undefined }
    }) as unknown as typeof setInterval)
    const hourly = await anotherNode(r1, { rotateAfterDays: 30 })
    const due = async (): Promise<OrgId> => {
      const { org } = await fillTenant(database, node.vault, 2)
      await fresh.asSuperuser(`update sallyport.data_key set created_at = now() - interval '31 days' where org_id = $1`, [org])
      return org
    }
    const currentOf = async (org: OrgId) => (await node.keeper.dataKeys(org)).find(({ status }) => status === 'current')!
    const atStart = await due()
    hourly.keeper.start()
    every.mockRestore()
    await expect.poll(async () => (await currentOf(atStart)).records, PATIENTLY).toBe(2)
    expect(looks).toEqual(['every 3600000'])
    // The one under way ends first: whoever comes while it looks is not looked at twice.
    await hourly.keeper.tend()
    const later = await due()
    ticks[0]!()
    await expect.poll(async () => (await node.keeper.dataKeys(later)).map(({ records }) => records), PATIENTLY).toEqual([0, 2])
    await hourly.keeper.close()
    const afterwards = await due()
    ticks[0]!()
    expect(await node.keeper.dataKeys(afterwards)).toHaveLength(1)
  })

  it('S36 renews a data key by itself when it is due, and forgets the emptied one a day later', async () => {
    const tenant = await fillTenant(database, node.vault, 5)
    const { org } = tenant
    const [old] = await keysOf(org)
    await fresh.asSuperuser(`update sallyport.data_key set created_at = now() - interval '31 days' where org_id = $1`, [org])
    const keepers = await anotherNode(r1, { rotateAfterDays: 30 })
    await keepers.keeper.tend()
    const keys = await node.keeper.dataKeys(org)
    expect(Object.fromEntries(keys.map(({ status, records }) => [status, records]))).toEqual({ current: 5, previous: 0 })
    expect(await readAll(tenant)).toEqual(versions(5))
    const clock = new ManualClock(Date.now() + DAY_MS + 60_000)
    await (await anotherNode(r1, { rotateAfterDays: 30, clock })).keeper.tend()
    expect((await keysOf(org)).map(({ id }) => id)).not.toContain(old!.id satisfies DataKeyId)
    expect((await actionsOf(org)).map(({ action }) => action)).toEqual(['data_key.rotated', 'data_key.resealed', 'data_key.removed'])
  })
})
