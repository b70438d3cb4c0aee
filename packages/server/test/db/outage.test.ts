import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { newId } from '@sallyport/core'
import type { KeyId } from '@sallyport/core'
import { apiKeyInsert, apiKeyRevoke, organizationFind } from '../../src/db/index.ts'
import type { Change, Database } from '../../src/db/index.ts'
import { freshDatabase, lineTo, makeTenant } from './fresh-database.ts'
import type { FreshDatabase, Line, Tenant } from './fresh-database.ts'

let fresh: FreshDatabase
let line: Line
let database: Database
let tenant: Tenant
/** Not on the line that is cut. */
let steady: Database

beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  line = await lineTo(fresh.url)
  steady = await fresh.open()
  database = await fresh.open({ url: line.url })
  tenant = await makeTenant(steady)
})
afterAll(async () => {
  await fresh.drop()
  await line.cut()
})

const nextChange = (of: Database, wanted: (change: Change | 'unknown') => boolean): Promise<Change | 'unknown'> =>
  new Promise((resolve) => {
    const stop = of.onChange((change) => {
      if (!wanted(change)) return
      stop()
      resolve(change)
    })
  })

const newKey = ({ place }: Tenant, id: KeyId): Parameters<typeof apiKeyInsert>[1] => ({
  ...place,
  id,
  name: 'A key',
  secretHmac: Buffer.alloc(32),
  secretArgon2id: '$argon2id$not-a-hash',
  scopes: ['proxy:call'],
  connection: null,
  createdBy: 'system',
  expiresAt: null,
})

describe('a change of this node’s own', () => {
  // The risk: a caller is told that a key is revoked or an account reconnected, and the very next call still meets the old state.
  it('is heard before whoever made it is answered, and not at all when it was rolled back', async () => {
    const key = newId('key')
    await steady.withTenant(tenant.org, (tx) => apiKeyInsert(tx, newKey(tenant, key)))
    const heard: (Change | 'unknown')[] = []
    // Word of how the stage was made may still be on its way.
    const stop = steady.onChange((change) => change !== 'unknown' && change.id === key && heard.push(change))
    const undone = steady.withTenant(tenant.org, async (tx) => {
      await apiKeyRevoke(tx, tenant.place, key)
      throw new Error('undone')
    })
    await expect(undone).rejects.toThrow('undone')
    expect(heard).toEqual([])
    await steady.withTenant(tenant.org, (tx) => apiKeyRevoke(tx, tenant.place, key))
    stop()
    expect(heard[0]).toEqual({ table: 'api_key', org: tenant.org, id: key })
  })
})

describe('a lost database', () => {
  it('is database_unavailable to whoever asks, and no end of the process; afterwards everything works again', async () => {
    const heard = nextChange(database, (change) => change === 'unknown')
    await line.cut()
    await expect.poll(() => database.health.ok).toBe(false)
    for (const ask of [
      () => database.withTenant(tenant.org, organizationFind),
      () => database.ping(),
      () => database.lookups.keyLookup(newId('key')),
      () => database.system.rootKeys(),
      () => database.proxyTarget({ org: tenant.org, ...tenant.place, slug: 'github' }),
    ]) {
      await expect(ask()).rejects.toMatchObject({ code: 'database_unavailable' })
    }
    await line.restore()
    // Whatever was changed in between was not heard of: caches must know.
    expect(await heard).toBe('unknown')
    expect(database.health.ok).toBe(true)
    expect(await database.withTenant(tenant.org, organizationFind)).toBeDefined()
  })

  it('takes a transaction with it whose connection ends halfway, and gives its place in the pool back', async () => {
    const narrow = await fresh.open({ poolSize: 1 })
    for (let round = 0; round < 3; round++) {
      const attempt = narrow.withTenant(tenant.org, async (tx) => {
        const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx)
        await fresh.asSuperuser('select pg_terminate_backend($1)', [rows[0]!.pid])
        await organizationFind(tx)
      })
      await expect(attempt).rejects.toMatchObject({ code: 'database_unavailable' })
    }
    expect(await narrow.withTenant(tenant.org, organizationFind)).toBeDefined()
  })

  it('D-19 gives up on a statement that runs too long', async () => {
    const hasty = await fresh.open({ statementTimeoutMs: 100 })
    await expect(hasty.withTenant(tenant.org, (tx) => sql`select pg_sleep(30)`.execute(tx))).rejects.toMatchObject({
      code: 'database_unavailable',
      sqlState: '57014',
    })
    expect(await hasty.withTenant(tenant.org, organizationFind)).toBeDefined()
  })
})

describe('changes', () => {
  it('tell every node which row changed, once it is committed, and nothing of its content', async () => {
    const key = newId('key')
    await steady.withTenant(tenant.org, (tx) => apiKeyInsert(tx, newKey(tenant, key)))
    const heard = nextChange(database, (change) => change !== 'unknown' && change.id === key)
    await steady.withTenant(tenant.org, (tx) => apiKeyRevoke(tx, tenant.place, key))
    expect(await heard).toEqual({ table: 'api_key', org: tenant.org, id: key })
  })

  it('are taken as unknown when their text is not ours', async () => {
    const heard = nextChange(database, (change) => change === 'unknown')
    await fresh.asGateway((client) => client.query(`notify sallyport_change, 'anything'`))
    expect(await heard).toBe('unknown')
  })
})
