import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { newId } from '@sallyport/core'
import type { BulkRevocationId, ConnectionId } from '@sallyport/core'
import { verifyOrganization } from '../../src/audit/index.ts'
import { bulkRevocationInsert } from '../../src/db/index.ts'
import {
  connect,
  createRevocationWorld,
  fillConnections,
  makeRevocableTenant,
  openRevokingNode,
  spawnBulkWorker,
  tokenSet,
} from './world.ts'
import type { RevocableTenant, RevocationWorld, RevokingNode } from './world.ts'

let world: RevocationWorld
let one: RevokingNode
let two: RevokingNode

beforeAll(async () => {
  world = await createRevocationWorld(inject('postgresUrl'))
  ;[one, two] = world.nodes
})
afterAll(() => world?.close())

async function finish(node: RevokingNode, tenant: RevocableTenant, id: BulkRevocationId) {
  await world.rows('update sallyport.bulk_revocation set next_at = clock_timestamp()')
  while (await node.service.bulk.work());
  return node.service.bulk.find(tenant.org, id)
}

const count = async (sql: string, values: unknown[]): Promise<number> =>
  Number((await world.rows<{ n: string }>(`select count(*) as n from ${sql}`, values))[0]!.n)

/** Resolves when the bulk revocation has ended at least `least` connections. */
async function passed(id: BulkRevocationId, least: number): Promise<void> {
  for (;;) {
    const [row] = await world.rows<{ ended: string }>('select ended from sallyport.bulk_revocation where id = $1', [id])
    if (Number(row!.ended) >= least) return
  }
}

describe('a bulk revocation', () => {
  it('N14 shows first what it would end, and changes nothing by that', async () => {
    const tenant = await makeRevocableTenant(one)
    await connect(one, tenant, tokenSet('a'), { endUser: 'u1', account: 'a1' })
    await connect(one, tenant, tokenSet('b'), { endUser: 'u1', account: 'a2' })
    expect(await one.service.bulk.preview(tenant.org, { provider: 'github' })).toEqual({
      connections: 2,
      endUsers: 1,
      boundKeys: 0,
      byIntegration: [{ integration: tenant.integration, slug: 'api', provider: 'github', connections: 2 }],
    })
    for (const filter of [{ provider: 'google' }, { integration: newId('int') }, { place: { environment: 'live' as const } }]) {
      expect(await one.service.bulk.preview(tenant.org, filter)).toMatchObject({ connections: 0, endUsers: 0, byIntegration: [] })
    }
    expect(await count("sallyport.connection where org_id = $1 and status = 'active'", [tenant.org])).toBe(2)
    expect(await world.events(tenant.org)).toEqual([])
  })

  it('ends what its filter names and no more, and neither what another organization has nor what is connected afterwards', async () => {
    const [tenant, other] = [await makeRevocableTenant(one), await makeRevocableTenant(one)]
    const id = await connect(one, tenant, tokenSet('mine'))
    await connect(one, other, tokenSet('theirs'))
    const { bulk } = await one.service.bulk.begin(tenant.org, { integration: tenant.integration }, 'user_of_a_test')
    const later = await connect(one, tenant, tokenSet('later'))
    expect(await finish(two, tenant, bulk.id)).toMatchObject({ state: 'done', found: 1, ended: 1 })
    const status = await world.rows<{ id: ConnectionId; status: string }>(
      'select id, status from sallyport.connection where org_id = any ($1) order by id',
      [[tenant.org, other.org]],
    )
    expect(status.filter((row) => row.status === 'revoked').map((row) => row.id)).toEqual([id])
    expect(status.find((row) => row.id === later)!.status).toBe('active')
    const byPeople = (await world.events(tenant.org)).filter(({ actor }) => actor !== 'system')
    expect(byPeople.map(({ action, actor }) => `${action} ${actor}`)).toEqual([
      'bulk_revocation.started user_of_a_test',
      'connection.revoked user_of_a_test',
      'bulk_revocation.finished user_of_a_test',
    ])
  })

  it('leaves what was reconnected after it began, though the connection is older', async () => {
    const tenant = await makeRevocableTenant(one)
    const [again, old] = [
      await connect(one, tenant, tokenSet('again'), { endUser: 'u1', account: 'a1' }),
      await connect(one, tenant, tokenSet('old'), { endUser: 'u2', account: 'a2' }),
    ]
    const id = newId('bulk')
    await one.database.withTenant(tenant.org, (tx) => bulkRevocationInsert(tx, { id, filter: {}, requestedBy: 'a test', found: 2 }))
    await one.database.withTenant(tenant.org, (tx) => one.lineage.consent(tx, again, tokenSet('again-2'), { onHeld: () => undefined }))
    expect(await finish(one, tenant, id)).toMatchObject({ state: 'done', ended: 1 })
    expect(await count("sallyport.connection where id = $1 and status = 'active'", [again])).toBe(1)
    expect(await count("sallyport.connection where id = $1 and status = 'revoked'", [old])).toBe(1)
  })

  it('V-07 goes on where it was after kill -9, and ends each connection once, on record', async () => {
    const tenant = await makeRevocableTenant(one)
    const size = 5_000
    await fillConnections(world, one, tenant, size)
    const first = await openRevokingNode(await world.db.open({ poolSize: 2 }), {
      rootKeys: world.rootKeys,
      providerOrigin: world.provider.origin,
    })
    const { bulk, radius } = await first.service.bulk.begin(tenant.org, { provider: 'github' }, 'user_of_a_test')
    expect(radius.connections).toBe(size)
    await first.close()
    await world.rows('update sallyport.bulk_revocation set next_at = clock_timestamp() where id = $1', [bulk.id])
    const child = spawnBulkWorker(world)
    const gone = once(child, 'exit')
    await passed(bulk.id, 500)
    child.kill('SIGKILL')
    await gone
    const [killed] = await world.rows<{ ended: string; state: string }>(
      'select ended, state from sallyport.bulk_revocation where id = $1',
      [bulk.id],
    )
    expect(killed!.state).toBe('running')
    expect(Number(killed!.ended)).toBeLessThan(size)
    const finished = await finish(two, tenant, bulk.id)
    expect(finished).toMatchObject({ state: 'done', found: size, ended: size })
    expect(await count("sallyport.connection where org_id = $1 and status = 'revoked'", [tenant.org])).toBe(size)
    expect(await count('sallyport.credential_version where org_id = $1', [tenant.org])).toBe(0)
    expect(await count('sallyport.revocation where org_id = $1', [tenant.org])).toBe(size)
    const events = await world.events(tenant.org)
    const actions = events.filter(({ actor }) => actor !== 'system').map(({ action }) => action)
    expect(actions.filter((action) => action === 'connection.revoked')).toHaveLength(size)
    expect([actions.at(0), actions.at(-1)]).toEqual(['bulk_revocation.started', 'bulk_revocation.finished'])
    expect(await verifyOrganization(two.database, tenant.org)).toMatchObject({ intact: true })
    expect(events.find(({ action }) => action === 'bulk_revocation.finished')!.detail).toEqual({ found: size, ended: size })
  })

  it('V-07 is shared by two nodes at work on it at once', async () => {
    const tenant = await makeRevocableTenant(two)
    await fillConnections(world, two, tenant, 1_000)
    const { bulk } = await two.service.bulk.begin(tenant.org, {}, 'user_of_a_test')
    const child = spawnBulkWorker(world)
    const gone = once(child, 'exit')
    await finish(two, tenant, bulk.id)
    await gone
    expect(await finish(two, tenant, bulk.id)).toMatchObject({ state: 'done', ended: 1_000 })
    const actions = (await world.events(tenant.org)).map(({ action }) => action)
    expect(actions.filter((action) => action === 'connection.revoked')).toHaveLength(1_000)
    expect(actions.filter((action) => action === 'bulk_revocation.finished')).toHaveLength(1)
  })
})
