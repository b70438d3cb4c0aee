import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { formatId, hmacSha256, newId, Secret } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { verifyOrganization } from '../../src/audit/index.ts'
import { auditEventList, credentialHead, dataKeyList, organizationCreate } from '../../src/db/index.ts'
import type { Database } from '../../src/db/index.ts'
import { credentialPlace } from '../../src/vault/index.ts'
import { freshDatabase } from '../db/fresh-database.ts'
import type { FreshDatabase, Tenant } from '../db/fresh-database.ts'
import { fillTenant, keyText, openNode } from './rotation-world.ts'
import type { Node } from './rotation-world.ts'

const ROTATING = fileURLToPath(new URL('root-rotating-process.ts', import.meta.url))

let fresh: FreshDatabase
let database: Database
let nodes: Node[] = []
const r1 = keyText('r1')
const r2 = keyText('r2')
/** The new key first, as an operator puts it. */
const both = `${r2},${r1}`

beforeEach(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  database = await fresh.open()
})
afterEach(async () => {
  await Promise.all(nodes.map((node) => node.close()))
  nodes = []
  await fresh.drop()
})

async function nodeWith(rootKeys: string): Promise<Node> {
  const node = await openNode(database, rootKeys)
  nodes.push(node)
  return node
}

const keysOf = (org: OrgId) => database.withTenant(org, dataKeyList)
const rootsOf = async (tenants: readonly Tenant[]) =>
  (await Promise.all(tenants.map(({ org }) => keysOf(org)))).flat().map(({ rootKeyId }) => rootKeyId)
const eventsOf = async (org: OrgId) =>
  (await database.withTenant(org, (tx) => auditEventList(tx, { limit: 200 })))
    .map(({ action, detail, target }): Record<string, unknown> => ({ action, target, ...(JSON.parse(detail) as object) }))
    .toReversed()

async function readHead({ vault }: Node, { org, connection }: Tenant): Promise<string> {
  const head = await database.withTenant(org, (tx) => credentialHead(tx, connection))
  return (await vault.open(org, credentialPlace(connection, head!.seq), head!.sealed)).reveal()
}

async function tenantsUnder(rootKeys: string, count: number): Promise<Tenant[]> {
  const { vault } = await nodeWith(rootKeys)
  await vault.systemSecret('key_pepper')
  return Promise.all(Array.from({ length: count }, () => fillTenant(database, vault, 3)))
}

/** Organizations with a data key and nothing under it. */
async function organizationsUnder(rootKeys: string, count: number): Promise<OrgId[]> {
  const { vault } = await nodeWith(rootKeys)
  await vault.systemSecret('key_pepper')
  const place = { purpose: 'p', table: 't', column: 'c', record: 'r', seq: 0n }
  return Promise.all(
    Array.from({ length: count }, async () => {
      const org = newId('org')
      await database.withTenant(org, async (tx) => {
        await organizationCreate(tx, { name: 'An organization' })
        await vault.seal(tx, place, new Secret('not a secret'))
      })
      return org
    }),
  )
}

describe('rotating the root key', () => {
  it('S35 rewraps every data key and every secret of the installation, and the old key is then needed for nothing', async () => {
    const tenants = await tenantsUnder(r1, 5)
    const pepper = hmacSha256(await nodes[0]!.vault.systemSecret('key_pepper'), 'x')
    const node = await nodeWith(both)
    const report = await node.keeper.rotateRoot('system')
    expect(report).toMatchObject({ to: 'r2', dataKeys: 5, systemSecrets: 1 })
    expect(report.use.map(({ id, dataKeys, systemSecrets }) => [id, dataKeys, systemSecrets])).toEqual([
      ['r1', 0, 0],
      ['r2', 5, 1],
    ])
    expect(new Set(await rootsOf(tenants))).toEqual(new Set(['r2']))
    await node.keeper.removeRootKey('r1', 'system')
    const alone = await nodeWith(r2)
    for (const tenant of tenants) expect(await readHead(alone, tenant)).toBe('not a token, version 4')
    expect(hmacSha256(await alone.vault.systemSecret('key_pepper'), 'x')).toEqual(pepper)
    const [{ org }] = tenants as [Tenant]
    const [key] = await keysOf(org)
    expect(await eventsOf(org)).toEqual([{ action: 'root_key.rotated', target: formatId('dk', key!.id), from: 'r1', to: 'r2' }])
  })

  it('is done once by two at once, and changes nothing when repeated', async () => {
    const tenants = await tenantsUnder(r1, 20)
    const [one, two] = [await nodeWith(both), await nodeWith(both)]
    const reports = await Promise.all([one.keeper.rotateRoot('system'), two.keeper.rotateRoot('system')])
    expect(reports.reduce((sum, { dataKeys }) => sum + dataKeys, 0)).toBe(20)
    expect(reports.reduce((sum, { systemSecrets }) => sum + systemSecrets, 0)).toBe(1)
    expect(await one.keeper.rotateRoot('system')).toMatchObject({ dataKeys: 0, systemSecrets: 0 })
    for (const { org } of tenants) expect(await eventsOf(org)).toHaveLength(1)
  })

  it(
    'C-08 goes on after kill -9 at any moment, ten times over: each key under the one or the other, none lost, each step in the log',
    { timeout: 240_000 },
    async () => {
      const orgs = await organizationsUnder(r1, 150)
      const rotating = (rootKeys: string): ChildProcess => {
        const env = { TEST_DATABASE_URL: fresh.url.reveal(), TEST_ROOT_KEYS: rootKeys, PATH: process.env['PATH'] }
        return fork(ROTATING, { env })
      }
      /** To one key, then back to the other: there is always something to do. */
      const order = (round: number): string => (round % 2 === 0 ? both : `${r1},${r2}`)
      const first = rotating(order(0))
      await once(first, 'message')
      const began = performance.now()
      expect((await once(first, 'message'))[0]).toEqual({ dataKeys: 150, systemSecrets: 1, unreadable: 0 })
      const took = performance.now() - began
      await once(first, 'exit')
      for (let round = 1; round <= 10; round++) {
        const child = rotating(order(round))
        const gone = once(child, 'exit')
        await once(child, 'message')
        setTimeout(() => child.kill('SIGKILL'), Math.random() * took)
        await gone
        const rows = await fresh.asSuperuser<{ fits: boolean }>(
          `select root_key_id = sallyport.envelope_key_name(wrapped) and root_key_id in ('r1', 'r2') as fits from sallyport.data_key`,
        )
        expect(rows.map(({ fits }) => fits)).toEqual(Array.from({ length: 150 }, () => true))
      }
      const last = rotating(order(0))
      await once(last, 'message')
      const [{ unreadable }] = (await once(last, 'message')) as [{ unreadable: number }]
      expect(unreadable).toBe(0)
      const alone = await nodeWith(both)
      expect((await alone.keeper.rootKeys()).map(({ id, dataKeys, systemSecrets }) => [id, dataKeys, systemSecrets])).toEqual([
        ['r1', 0, 0],
        ['r2', 150, 1],
      ])
      expect(await alone.keeper.verify('system')).toMatchObject({ organizations: 150, dataKeys: 150, records: 0, faults: [] })
      for (const org of orgs) {
        const steps = (await eventsOf(org))
          .filter(({ action }) => action === 'root_key.rotated')
          .map(({ from, to }) => [from, to].join(' '))
        expect(steps).toEqual(steps.map((_, n) => (n % 2 === 0 ? 'r1 r2' : 'r2 r1')))
        expect(steps.at(-1)).toBe('r1 r2')
      }
      expect(await verifyOrganization(database, orgs[0]!)).toMatchObject({ intact: true })
    },
  )

  it('C-08 is done once by two processes at once', async () => {
    await organizationsUnder(r1, 150)
    const env = { TEST_DATABASE_URL: fresh.url.reveal(), TEST_ROOT_KEYS: both, PATH: process.env['PATH'] }
    const children = [1, 2].map(() => fork(ROTATING, ['wait'], { env }))
    await Promise.all(children.map((child) => once(child, 'message')))
    const reports = children.map((child) => once(child, 'message') as Promise<[{ dataKeys: number; systemSecrets: number }]>)
    for (const child of children) child.send('go')
    const done = (await Promise.all(reports)).map(([report]) => report)
    expect(done.reduce((sum, { dataKeys }) => sum + dataKeys, 0)).toBe(150)
    expect(done.reduce((sum, { systemSecrets }) => sum + systemSecrets, 0)).toBe(1)
    expect(Math.min(...done.map(({ dataKeys }) => dataKeys))).toBeGreaterThan(0)
  })

  it('C-07 goes on while a node that has both keys, the old one first, seals and opens', async () => {
    const [tenant] = (await tenantsUnder(r1, 1)) as [Tenant]
    const behind = await nodeWith(`${r1},${r2}`)
    const ahead = await nodeWith(both)
    await ahead.keeper.rotateRoot('system')
    expect(await readHead(behind, tenant)).toBe('not a token, version 4')
    await fillTenant(database, behind.vault, 2)
    // The node behind doesn't undo it, and the one ahead takes along what came since.
    await behind.keeper.tend()
    expect((await ahead.keeper.rootKeys()).map(({ id, dataKeys }) => [id, dataKeys])).toEqual([
      ['r1', 1],
      ['r2', 1],
    ])
    await ahead.keeper.tend()
    expect((await ahead.keeper.rootKeys()).map(({ dataKeys }) => dataKeys)).toEqual([0, 2])
  })

  it('C-09 refuses to start without a key that something needs, and to remove it; rows of it are never taken for damage', async () => {
    const [tenant] = (await tenantsUnder(r1, 1)) as [Tenant]
    const node = await nodeWith(both)
    await expect(node.keeper.removeRootKey('r1', 'system')).rejects.toMatchObject({ code: 'key_in_use' })
    await expect(node.keeper.removeRootKey('r1', 'system')).rejects.toThrow('1 data keys and 1 secrets')
    await expect(node.keeper.removeRootKey('r2', 'system')).rejects.toMatchObject({ code: 'key_in_use' })
    await expect(node.keeper.removeRootKey('r9', 'system')).rejects.toMatchObject({ code: 'root_key_missing' })
    await expect(fresh.asSuperuser(`delete from sallyport.root_key where id = 'r1'`)).rejects.toMatchObject({ code: '23503' })
    await expect(openNode(database, r2)).rejects.toMatchObject({ code: 'root_key_missing' })
    expect(await readHead(node, tenant)).toBe('not a token, version 4')
  })

  it('C-11 does not rewrap a data key that stands in another organization, tells of it, and rewraps all others', async () => {
    const [a, b] = (await tenantsUnder(r1, 2)) as [Tenant, Tenant]
    await fresh.asSuperuser(
      `update sallyport.data_key set wrapped = (select wrapped from sallyport.data_key where org_id = $1) where org_id = $2`,
      [a.org, b.org],
    )
    const node = await nodeWith(both)
    expect(await node.keeper.rotateRoot('system')).toMatchObject({ dataKeys: 1, unreadable: 1 })
    expect(await node.keeper.verify('system')).toMatchObject({ organizations: 2, dataKeys: 2 })
    expect((await node.keeper.verify('system')).faults.filter(({ table }) => table === 'data_key')).toMatchObject([
      { org: b.org, code: 'decrypt_failed' },
    ])
  })
})

describe('after a root key became known to others', () => {
  it('C-15 one call leaves nothing that the old key, or what it wrapped, can open; it is audited, and repeating it changes nothing', async () => {
    const tenants = await tenantsUnder(r1, 4)
    const stolen = new Set((await Promise.all(tenants.map(({ org }) => keysOf(org)))).flat().map(({ id }) => id))
    const node = await nodeWith(both)
    expect(await node.keeper.rotateEverything('system')).toMatchObject({
      organizations: 4,
      renewed: 4,
      resealed: 12,
      unreadable: 0,
      left: 0,
      root: { to: 'r2' },
    })
    for (const { org } of tenants) {
      const keys = await node.keeper.dataKeys(org)
      expect(keys.filter(({ records }) => records > 0).every(({ id, rootKeyId }) => !stolen.has(id) && rootKeyId === 'r2')).toBe(true)
      expect((await eventsOf(org)).map(({ action }) => action)).toEqual(['data_key.rotated', 'data_key.resealed', 'root_key.rotated'])
    }
    expect(await node.keeper.rotateEverything('system')).toMatchObject({ renewed: 0, resealed: 0, left: 0, root: { dataKeys: 0 } })
    expect(await node.keeper.verify('system')).toMatchObject({ organizations: 4, dataKeys: 8, records: 12, faults: [] })
  })

  it('C-15 goes on after it was interrupted between the root key and the records', async () => {
    const tenants = await tenantsUnder(r1, 3)
    const node = await nodeWith(both)
    await node.keeper.rotateRoot('system')
    expect(await node.keeper.rotateEverything('system')).toMatchObject({ renewed: 3, resealed: 9, left: 0 })
    for (const tenant of tenants) expect(await readHead(node, tenant)).toBe('not a token, version 4')
  })
})
