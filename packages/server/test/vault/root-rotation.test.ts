import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { formatId, hmacSha256 } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { auditEventList, credentialHead, dataKeyList } from '../../src/db/index.ts'
import type { Database } from '../../src/db/index.ts'
import { credentialPlace } from '../../src/vault/index.ts'
import { freshDatabase } from '../db/fresh-database.ts'
import type { FreshDatabase, Tenant } from '../db/fresh-database.ts'
import { fillTenant, keyText, openNode } from './rotation-world.ts'
import type { Node } from './rotation-world.ts'

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
