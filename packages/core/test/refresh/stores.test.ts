/** The refresher over real stores, leases and hints: several in this process stand for as many processes, each with connections of its own. */
import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import { afterAll, afterEach, describe, expect, inject, it } from 'vitest'
import {
  AdvisoryLeases,
  createLogger,
  createPostgresLeases,
  createPostgresStore,
  createRedisLeases,
  createRedisStore,
  createRefresher,
  MetricsRegistry,
  REFRESH_METRICS,
  Secret,
  systemClock,
} from '../../src/index.ts'
import type { CredentialStore, LeaseKeeper, RefresherOptions } from '../../src/index.ts'
import { startWire } from '../../../testkit/src/refresh-proof/wire.ts'
import { createDatabase, dropDatabase, startTestRedis } from '../../../testkit/src/servers/index.ts'
import { ANSWERS, BookkeepingIssuer, gate, numbersOf } from './fleet.ts'

const encryption = { key: randomBytes(32).toString('hex') }
const admin = inject('postgresUrl')

const databases = new Map<string, Promise<{ readonly name: string; readonly url: string }>>()
const servers = new Map<string, ReturnType<typeof startTestRedis>>()

const database = () => databases.get('one') ?? databases.set('one', createDatabase(admin)).get('one')!
const redis = () => servers.get('one') ?? servers.set('one', startTestRedis()).get('one')!

interface Place {
  readonly store: () => CredentialStore
  readonly leases: () => LeaseKeeper
}

const PLACES: Readonly<Record<string, () => Promise<Place>>> = {
  'Postgres, advisory locks': async () => {
    const { url } = await database()
    return { store: () => createPostgresStore({ url, encryption }), leases: () => new AdvisoryLeases({ connectionString: url }) }
  },
  'Postgres, rows': async () => {
    const { url } = await database()
    return { store: () => createPostgresStore({ url, encryption }), leases: () => createPostgresLeases({ url }) }
  },
  Redis: async () => {
    const { url } = await redis()
    return { store: () => createRedisStore({ url, encryption }), leases: () => createRedisLeases({ url }) }
  },
}

const opened: { close(): unknown }[] = []
afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one.close()
})
afterAll(async () => {
  for (const made of databases.values()) await dropDatabase(admin, (await made).name)
  for (const made of servers.values()) await (await made).stop()
})

function opening<T extends { close(): unknown }>(one: T): T {
  opened.push(one)
  return one
}

/** A credential whose access token has died, at an issuer that rotates strictly. */
async function dying(place: Place) {
  const issuer = new BookkeepingIssuer({ clock: systemClock, pause }, { kind: 'strict' })
  const ref = { scope: 'a-provider', id: randomUUID() }
  const store = opening(place.store())
  const [accessToken, refreshToken] = [new Secret('access-0'), new Secret('refresh-0')]
  await store.connect(ref, {
    accessToken,
    refreshToken,
    tokenType: 'bearer',
    expiresAt: Date.now() - 1,
    scopes: [],
    extra: new Secret('{}'),
  })
  let started = 0
  const node = (more: Partial<RefresherOptions> = {}) => {
    const name = `node-${++started}`
    const metrics = new MetricsRegistry(REFRESH_METRICS)
    const leases = more.leases ?? opening(place.leases())
    const refresher = opening(
      createRefresher({
        store: opening(place.store()),
        leases,
        endpoint: async () => ({
          provider: 'fake',
          rotation: issuer.rotation,
          requestLifetimeMs: 5_000,
          refresh: (parent, { now }) => issuer.refresh(name, parent, now),
        }),
        logger: createLogger({ level: 'silent', format: 'json' }),
        node: name,
        metrics,
        ...more,
      }),
    )
    return { refresher, leases, counted: (metric: string) => numbersOf(metrics.render(), metric) }
  }
  return { issuer, ref, store, node }
}

describe.each(Object.keys(PLACES))('refreshing on %s', (kind) => {
  it('F-06 S29 S31 makes one call for a thousand callers over four processes, and gives all the same token', async () => {
    const { issuer, ref, node } = await dying(await PLACES[kind]!())
    issuer.next.push({ ...ANSWERS, latencyMs: 200 })
    // The one whose turn it is calls when all have come: a process that came later would find nothing to wait for.
    const here = gate()
    let asking = 0
    const checkpoint = async (point: string): Promise<void> => {
      if (point === 'lease_asked' && ++asking === 4) here.open()
      if (point === 'lease_held') await here.opened
    }
    const nodes = Array.from({ length: 4 }, () => node({ checkpoint }))
    const given = await Promise.all(nodes.flatMap(({ refresher }) => Array.from({ length: 250 }, () => refresher.fresh(ref))))
    expect(issuer.calls.map(({ token }) => token)).toEqual(['refresh-0'])
    expect(new Set(given.map(({ tokens }) => tokens.accessToken.reveal()))).toEqual(new Set(['access-1']))
    const sum = (metric: string): number => nodes.reduce((total, { counted }) => total + counted(metric), 0)
    expect([sum('token_refresh_dedup_local_total'), sum('token_refresh_dedup_distributed_total')]).toEqual([996, 3])
  })

  it('F-05 goes on when the process that held the lease ends', async () => {
    const { issuer, ref, node } = await dying(await PLACES[kind]!())
    const stopped = gate()
    const doomed = node({ checkpoint: async (point) => void (point === 'lease_held' && (stopped.reach(), await stopped.opened)) })
    const lost = doomed.refresher.fresh(ref).catch(() => undefined)
    await stopped.reached
    const given = node().refresher.fresh(ref)
    await doomed.leases.close()
    expect((await given).tokens.accessToken.reveal()).toBe('access-1')
    stopped.open()
    await lost
    expect(issuer.calls.map(({ token }) => token)).toEqual(['refresh-0'])
  })
})

describe('refreshing with a hint in Redis', () => {
  async function hinted() {
    const { url } = await redis()
    const wire = opening(await startWire({ host: '127.0.0.1', port: Number(new URL(url).port) }))
    const hint = () => opening(createRedisLeases({ url: `redis://127.0.0.1:${wire.port}` }))
    return { wire, hint, world: await dying(await PLACES['Postgres, advisory locks']!()) }
  }

  it('F-06 S31 makes one call', async () => {
    const { hint, world } = await hinted()
    world.issuer.next.push({ ...ANSWERS, latencyMs: 300 })
    const nodes = Array.from({ length: 3 }, () => world.node({ hint: hint() }))
    await Promise.all(nodes.flatMap(({ refresher }) => Array.from({ length: 100 }, () => refresher.fresh(world.ref))))
    expect(world.issuer.calls).toHaveLength(1)
  })

  it.each(['cut', 'hold'] as const)('F-08 F-10 S31 makes one call while Redis is away (%s)', async (how) => {
    const { wire, hint, world } = await hinted()
    const nodes = Array.from({ length: 3 }, () => world.node({ hint: hint() }))
    wire[how]()
    const given = await Promise.all(nodes.map(({ refresher }) => refresher.fresh(world.ref)))
    expect(given.map(({ tokens }) => tokens.accessToken.reveal())).toEqual(['access-1', 'access-1', 'access-1'])
    expect(world.issuer.calls).toHaveLength(1)
    wire.mend()
  })

  it('F-08 makes one call when Redis goes away during it', async () => {
    const { wire, hint, world } = await hinted()
    world.issuer.next.push({ ...ANSWERS, latencyMs: 300 })
    const cut = async (point: string): Promise<void> => void (point === 'call_cleared' && wire.cut())
    const nodes = [world.node({ hint: hint(), checkpoint: cut }), world.node({ hint: hint(), checkpoint: cut })]
    await Promise.all(nodes.map(({ refresher }) => refresher.fresh(world.ref)))
    expect(world.issuer.calls).toHaveLength(1)
    wire.mend()
  })
})

describe('a process whose connection to the lease is ended', () => {
  it('F-25 S31 starts no call, takes its intent back and gets what the other one had', async () => {
    const { url } = await database()
    const { issuer, ref, store, node } = await dying(await PLACES['Postgres, advisory locks']!())
    const stopped = gate()
    let times = 0
    const slow = node({
      leases: opening(new AdvisoryLeases({ connectionString: url })),
      checkpoint: async (point) => void (point === 'intent_written' && times++ === 0 && (stopped.reach(), await stopped.opened)),
    })
    const late = slow.refresher.fresh(ref)
    await stopped.reached
    const client = new Client({ connectionString: url })
    await client.connect()
    await client.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sallyport leases' and datname = current_database()",
    )
    await client.end()
    const other = node()
      .refresher.fresh(ref)
      .catch((error: unknown) => error)
    await other
    stopped.open()
    expect((await late).tokens.accessToken.reveal()).toBe('access-1')
    expect(issuer.calls.map(({ token }) => token)).toEqual(['refresh-0'])
    expect((await store.read(ref))!.intent).toBeNull()
  })
})
