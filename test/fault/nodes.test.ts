/** Three nodes on one database: what one changes all know, and any of them may go at any time. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { configFor, createKey, setStage, startGatewayProcess, startPgBouncer } from '@sallyport/testkit'
import type { GatewayProcess, Stage } from '@sallyport/testkit'

const cleanups: (() => Promise<unknown>)[] = []
const cleanUp = async (): Promise<void> => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
}

interface Nodes {
  readonly stage: Stage
  /** The first is the stage's own. */
  readonly gateways: GatewayProcess[]
  readonly start: () => Promise<GatewayProcess>
  readonly call: (gateway: GatewayProcess, key?: string) => Promise<number>
}

/** @param variables of every node, given those that name the database */
async function threeNodes(variables: (database: Readonly<Record<string, string>>) => Promise<Record<string, string>>): Promise<Nodes> {
  const rootKeys = { SALLYPORT_ENCRYPTION_KEYS: `test:${randomBytes(32).toString('hex')}` }
  const stage = await setStage({ postgresUrl: inject('postgresUrl'), variables: rootKeys })
  cleanups.push(() => stage.close())
  stage.upstream.answer((_request, response) => void response.end('from the provider'))
  const { database } = stage.gateway
  const more = await variables(database)
  const start = async (): Promise<GatewayProcess> => {
    const gateway = await startGatewayProcess({
      variables: { ...database, ...rootKeys, ...more },
      file: configFor(stage.issuer, stage.upstream),
    })
    cleanups.push(() => gateway.kill())
    return gateway
  }
  return {
    stage,
    gateways: [stage.gateway, await start(), await start()],
    start,
    call: async (gateway, key = stage.key) => {
      const headers = { authorization: `Bearer ${key}`, 'sallyport-connection': stage.connection }
      const response = await fetch(`${gateway.url}/proxy/api/x`, { headers })
      await response.arrayBuffer()
      return response.status
    },
  }
}

describe.each([
  ['Postgres and Redis', async () => ({ SALLYPORT_REDIS_URL: inject('redisUrl') })],
  ['Postgres alone', async () => ({})],
  [
    'a pooler that hands out sessions by the transaction',
    async (database: Readonly<Record<string, string>>) => {
      const pooler = await startPgBouncer(database['SALLYPORT_DATABASE_URL']!)
      cleanups.push(() => pooler.stop())
      return {
        SALLYPORT_DATABASE_URL: pooler.url,
        SALLYPORT_DATABASE_SESSION_URL: database['SALLYPORT_DATABASE_URL']!,
        SALLYPORT_DATABASE_LEASES: 'row',
      }
    },
  ],
])('three nodes on %s', (_name, variables) => {
  let nodes: Nodes
  beforeAll(async () => {
    nodes = await threeNodes(variables)
  })
  afterAll(cleanUp)

  it('K-04 refuse a key everywhere once one of them revoked it', async () => {
    const { stage, gateways, call } = nodes
    const key = await createKey(stage.owner, ['proxy:call', 'keys:write', 'keys:read'])
    expect(await Promise.all(gateways.map((gateway) => call(gateway, key)))).toEqual([200, 200, 200])
    const revoked = await fetch(`${gateways[1]!.url}${keysPath(stage)}/${await idOf(gateways[2]!, key)}/revoke`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
    })
    expect(revoked.status).toBe(200)
    expect(await call(gateways[1]!, key)).toBe(401)
    // Their memory of it is 10 s old at most when no word comes; word comes within this.
    await expect.poll(() => Promise.all(gateways.map((gateway) => call(gateway, key))), { timeout: 8_000 }).toEqual([401, 401, 401])
  })

  it('lose one to kill -9 without a failed call through the others, and take one in again', { timeout: 180_000 }, async () => {
    const { stage, gateways, start, call } = nodes
    const statuses = new Map<number | string, number>()
    const load = { running: true }
    // The stage's own node stays: its end is the stage's.
    const loads = [gateways[0]!, gateways[2]!].map(async (gateway) => {
      while (load.running) {
        const outcome = await call(gateway).catch(String)
        statuses.set(outcome, (statuses.get(outcome) ?? 0) + 1)
      }
    })
    const tenMore = async (): Promise<void> => {
      const before = statuses.get(200) ?? 0
      await expect.poll(() => statuses.get(200) ?? 0, { timeout: 60_000 }).toBeGreaterThan(before + 10)
    }
    try {
      await tenMore()
      await gateways[1]!.kill()
      await tenMore()
      gateways[1] = await start()
      expect(await call(gateways[1])).toBe(200)
      await tenMore()
    } finally {
      load.running = false
      await Promise.all(loads)
    }
    expect([...statuses.keys()]).toEqual([200])
    const { intact } = await stage.owner.client.call('auditVerify', { params: { org: stage.owner.place.org } })
    expect(intact).toBe(true)
  })
})

const keysPath = ({ owner: { place } }: Stage): string => `/api/v1/orgs/${place.org}/projects/${place.project}/${place.environment}/keys`

/** The id of a key, as a node tells its holder. */
async function idOf(gateway: GatewayProcess, key: string): Promise<string> {
  const response = await fetch(`${gateway.url}/api/v1/whoami`, { headers: { authorization: `Bearer ${key}` } })
  return ((await response.json()) as { id: string }).id
}
