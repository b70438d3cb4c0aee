/** Connect sessions begun by the hundred thousand: how many are kept, what others notice, and how they go. Sizes are settings; full size is in docs/benchmarks.md. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { hasCode, newId } from '@sallyport/core'
import type { ConnectPlace } from '../../src/connect/index.ts'
import { integrationInsert, organizationCreate, projectCreate } from '../../src/db/index.ts'
import { createGateway } from './harness.ts'
import type { Gateway } from './harness.ts'

/** Full size: 100,000. */
const STARTS = Number(process.env['SALLYPORT_TEST_CONNECT_STARTS'] ?? 300)
/** Full size: 1,000,000. */
const EXPIRED = Number(process.env['SALLYPORT_TEST_EXPIRED_SESSIONS'] ?? 5_000)
const QUOTA = 50
const AT_ONCE = 8

let gateway: Gateway
beforeAll(async () => {
  gateway = await createGateway(inject('postgresUrl'), {
    overlays: {},
    insecureAllowOrigins: [],
    limits: { unfinishedPerEnvironment: QUOTA },
  })
  await addIntegration(gateway.place)
})
afterAll(() => gateway?.close())

async function addIntegration(at: ConnectPlace): Promise<void> {
  await gateway.database.withTenant(at.org, async (tx) => {
    const record = { provider: 'github', clientId: 'a-client', clientSecret: Buffer.alloc(1), scopes: ['repo'] }
    await integrationInsert(tx, { id: newId('int'), ...at, slug: 'github', context: `context-of-${at.org}`, ...record })
  })
}

const begin = (at: ConnectPlace) =>
  gateway.connect.createSession({ ...gateway.key, ...at }, at, { integration: 'github', endUserId: 'user-1' })
const count = async (table: string): Promise<number> =>
  (await gateway.rows<{ n: number }>(`select count(*)::int as n from sallyport.${table}`))[0]!.n

/** Begins as many, some at once. */
async function beginMany(at: ConnectPlace, times: number): Promise<{ readonly begun: number; readonly refused: number }> {
  let [begun, refused, left] = [0, 0, times]
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      try {
        await begin(at)
        begun += 1
      } catch (error) {
        if (!hasCode(error, 'overloaded')) throw error
        refused += 1
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, one))
  return { begun, refused }
}

describe('connect sessions by the thousand', { timeout: 60_000 + 20 * STARTS + EXPIRED }, () => {
  it('D-14 are kept up to the quota of their environment and the few that race for it; the rest leave nothing behind', async () => {
    const other: ConnectPlace = { org: newId('org'), project: newId('proj'), environment: 'test' }
    await gateway.database.withTenant(other.org, async (tx) => {
      await organizationCreate(tx, { name: 'Another' })
      await projectCreate(tx, { id: other.project, name: 'Another', returnOrigins: [] })
    })
    await addIntegration(other)
    const { begun, refused } = await beginMany(gateway.place, STARTS)
    expect(begun + refused).toBe(STARTS)
    expect(begun).toBeGreaterThanOrEqual(QUOTA)
    expect(begun).toBeLessThan(QUOTA + AT_ONCE)
    // A row and an event for each that was begun, and for none that was refused.
    const events = (await gateway.actions()).filter((action) => action === 'connect_session.created')
    expect([await count('connect_session'), events.length, await count('oauth_state')]).toEqual([begun, begun, 0])
    await expect(begin(other)).resolves.toBeDefined()
  })

  it('D-14 give their places back when they end, and their rows a day later, however many there are, while others begin', async () => {
    await gateway.rows('delete from sallyport.connect_session')
    const columns = 'org_id, id, project_id, environment, integration_id, end_user_id, link_hash, started_by, expires_at'
    await gateway.rows(
      `insert into sallyport.connect_session (${columns})
       select i.org_id, gen_random_uuid(), i.project_id, i.environment, i.id, 'user-1', sha256(n::text::bytea), 'key_x', now() - interval '2 days'
       from sallyport.integration i, generate_series(1, $1) n where i.context = $2`,
      [EXPIRED, `context-of-${gateway.place.org}`],
    )
    expect(await count('connect_session')).toBe(EXPIRED)
    const [, begun] = await Promise.all([gateway.connect.sweepExpired(), beginMany(gateway.place, 20)])
    expect(begun).toEqual({ begun: 20, refused: 0 })
    expect(await count('connect_session')).toBe(20)
  })
})
