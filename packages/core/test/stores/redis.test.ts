/** The store on Redis and its leases: with a password, by cluster rules for keys, over TLS, and through a wire that can be cut. */
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { createRedisLeases, createRedisStates, createRedisStore, leaseKey, RedisSpill, rewrap, Secret } from '../../src/index.ts'
import type { LeaseKeeper } from '../../src/index.ts'
import { startWire } from '../../../testkit/src/refresh-proof/wire.ts'
import type { Wire } from '../../../testkit/src/refresh-proof/wire.ts'
import { startTestRedis } from '../../../testkit/src/servers/index.ts'
import {
  connectStatesSuite,
  credentialStoreSuite,
  endedGrantsSuite,
  leaseKeeperSuite,
  sealedStoreSuite,
  someTokens,
} from '../../../testkit/src/suites/index.ts'
import type { SealedStoreUnderTest } from '../../../testkit/src/suites/index.ts'
import { makeCertificate } from '../http/certificates.ts'

const encryption = { key: randomBytes(32).toString('hex') }

interface Place {
  readonly url: string
  readonly direct: string
  readonly wire: Wire
  readonly through: (wire: Wire) => string
  readonly close: () => Promise<void>
}

/** A server with a password behind a wire. `cluster`: one that owns every slot and refuses a step on keys of two. */
async function place(cluster = false): Promise<Place> {
  const password = randomBytes(12).toString('hex')
  const server = await startTestRedis(['--requirepass', password, ...(cluster ? ['--cluster-enabled', 'yes'] : [])])
  const port = Number(new URL(server.url).port)
  const direct = `redis://:${password}@127.0.0.1:${port}`
  if (cluster) await asked(direct, ownEverySlot)
  const wire = await startWire({ host: '127.0.0.1', port })
  const through = (wire: Wire): string => `redis://:${password}@127.0.0.1:${wire.port}`
  const close = async (): Promise<void> => {
    await wire.close()
    await server.stop()
  }
  return { url: through(wire), direct, wire, through, close }
}

async function ownEverySlot(client: Redis): Promise<void> {
  await client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  while (!String(await client.call('CLUSTER', 'INFO')).includes('cluster_state:ok'));
}

async function asked<T>(url: string, ask: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url)
  try {
    return await ask(client)
  } finally {
    client.disconnect()
  }
}

const failing = (wire: Wire) => ({
  'refused connections': { fail: async () => wire.cut(), heal: async () => wire.mend(), withinMs: 1_000 },
  'black hole': { fail: async () => wire.hold(), heal: async () => wire.mend(), withinMs: 1_000 },
})

async function dumpOf(url: string): Promise<Buffer> {
  return asked(url, async (client) => {
    const parts: Buffer[] = []
    for (const key of await client.keys('*')) {
      parts.push(Buffer.from(key))
      const kind = await client.type(key)
      const read = { hash: ['HGETALL'], zset: ['ZRANGE', '0', '-1'], string: ['GET'] }[kind] ?? ['DUMP']
      const found = await client.callBuffer(read[0]!, key, ...read.slice(1))
      parts.push(...[found].flat().filter((one) => Buffer.isBuffer(one)))
    }
    return Buffer.concat(parts)
  })
}

for (const [name, cluster] of [
  ['Redis', false],
  ['Redis, by the rules of a cluster', true],
] as const) {
  credentialStoreSuite(
    name,
    async () => {
      const { url, direct, wire, close } = await place(cluster)
      return {
        open: async () => createRedisStore({ url, encryption }),
        ref: async () => ({ scope: 'a-provider', id: `{${randomUUID()}}:*` }),
        dump: () => dumpOf(direct),
        failures: failing(wire),
        reset: () => wire.reset(),
        close,
      }
    },
    { failures: ['refused connections', 'black hole'], survives: true, ownClock: true, connections: true, namesReturn: true },
  )
}

connectStatesSuite('Redis', async () => {
  const server = await startTestRedis()
  return {
    open: async (encryption) => createRedisStates({ url: server.url, encryption }),
    dump: () => dumpOf(server.url),
    close: () => server.stop(),
  }
})

const sealed = async (): Promise<SealedStoreUnderTest> => {
  const server = await startTestRedis()
  return {
    open: async (name, encryption) => createRedisStore({ url: `${server.url}/${name.replace('store-', '')}`, encryption }),
    close: () => server.stop(),
  }
}
sealedStoreSuite('Redis', sealed)
endedGrantsSuite('Redis', sealed)

leaseKeeperSuite(
  'Redis',
  async () => {
    const { direct, wire, through, close } = await place()
    const own = new Map<LeaseKeeper, Wire>()
    const wireOf = (keeper: LeaseKeeper): Wire => own.get(keeper)!
    return {
      open: async () => {
        const single = await startWire({ host: '127.0.0.1', port: wire.port })
        const keeper = createRedisLeases({ url: through(single) })
        own.set(keeper, single)
        return keeper
      },
      kill: async (keeper: LeaseKeeper) => wireOf(keeper).cut(),
      stall: { stop: async (keeper: LeaseKeeper) => wireOf(keeper).hold(), go: async (keeper: LeaseKeeper) => wireOf(keeper).mend() },
      failures: failing(wire),
      direct,
      close: async () => {
        for (const single of own.values()) await single.close()
        await close()
      },
    }
  },
  { failures: ['refused connections', 'black hole'], dies: true, stalls: true },
)

describe('a lease in Redis', () => {
  it('is a key of the published name with an end, and nobody deletes that of another', async () => {
    const { direct, close } = await place()
    const leases = createRedisLeases({ url: direct })
    const key = leaseKey({ scope: 'github', id: 'user 1' })
    expect(key).toBe('refresh_lock:github:user%201')
    const lease = await leases.take(key)
    await asked(direct, async (client) => {
      expect(await client.pttl(key)).toBeGreaterThan(0)
      await client.set(key, 'another')
      await lease!.release()
      expect(await client.get(key)).toBe('another')
    })
    await leases.close()
    await close()
  })
})

describe('a token store in Redis', () => {
  it('sends its steps whole when the server has forgotten them', async () => {
    const { direct, close } = await place()
    const store = createRedisStore({ url: direct, encryption })
    const ref = { scope: 's', id: 'i' }
    await store.connect(ref, someTokens('first'))
    await asked(direct, (client) => client.script('FLUSH'))
    expect((await store.read(ref))?.status).toBe('active')
    await store.close()
    await close()
  })

  it('lets nothing in it end by itself', async () => {
    const { direct, close } = await place()
    const store = createRedisStore({ url: direct, encryption })
    const { generation, seq } = await store.connect({ scope: 's', id: 'i' }, someTokens('first', { expiresAt: 1 }))
    await store.begin({ scope: 's', id: 'i' }, { generation, headSeq: seq, parentSeq: seq, replaces: null }, { node: 'n', attempt: 1 })
    await asked(direct, async (client) => {
      const keys = await client.keys('*')
      expect(keys).not.toHaveLength(0)
      for (const key of keys) expect([key, await client.pttl(key)]).toEqual([key, -1])
    })
    await store.close()
    await close()
  })

  it.each([
    [[], 'none', /Nothing is written to disk/],
    [['--save', '3600 1'], 'none', /Only snapshots/],
    [['--appendonly', 'yes', '--appendfsync', 'everysec'], 'configured', /everysec/],
    [['--appendonly', 'yes', '--appendfsync', 'always'], 'durable', /Replication is asynchronous/],
    [
      ['--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'],
      'none',
      /evicts any key/,
    ],
    [
      ['--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory', '100mb', '--maxmemory-policy', 'volatile-ttl'],
      'durable',
      /leases may end early/,
    ],
    [['--rename-command', 'CONFIG', ''], 'none', /does not tell/],
  ])('says what a server with %j promises: %s', async (settings, kind, limit) => {
    const server = await startTestRedis(settings)
    const store = createRedisStore({ url: server.url, encryption })
    expect(store.durability.limits.join()).toMatch(/not reached/)
    await store.read({ scope: 's', id: 'i' })
    expect(store.durability.kind).toBe(kind)
    expect(store.durability.limits.join('\n')).toMatch(limit)
    await store.close()
    await server.stop()
  })

  it('needs no more rights than docs/stores.md says', async () => {
    const { direct, close } = await place()
    const rights = '+@hash +@sortedset +@scripting +@connection +set +get +del +pexpire +scan +time +info +publish +subscribe'
    const places = '~sallyport:* ~refresh_lock:* &sallyport:credential'
    await asked(direct, (client) => client.call('ACL', 'SETUSER', 'store', 'on', '>fake-password', ...`${rights} ${places}`.split(' ')))
    const url = new URL(direct)
    url.username = 'store'
    url.password = 'fake-password'
    const [store, leases, spill] = [
      createRedisStore({ url: url.href, encryption }),
      createRedisLeases({ url: url.href }),
      new RedisSpill({ url: url.href }),
    ]
    const heard = Promise.withResolvers<unknown>()
    store.onChange((ref) => ref !== 'unknown' && heard.resolve(ref))
    const ref = { scope: 's', id: 'i' }
    const { generation, seq } = await store.connect(ref, someTokens('first'))
    const lease = await leases.take(leaseKey(ref))
    const begun = (await store.begin(ref, { generation, headSeq: seq, parentSeq: seq, replaces: null }, { node: 'n', attempt: 1 }))!
    expect(await store.interrupted(10)).toEqual([ref])
    const answer = { ref, intent: begun.intent.id, generation, parentSeq: seq }
    await spill.put({ ...answer, sealed: begun.seal(new Secret('fake')) })
    expect(await spill.list()).toHaveLength(1)
    expect(await lease!.prove()).toBe(true)
    expect(await store.save(ref, { ...answer, tokens: someTokens('second') })).toBe('head')
    expect(await store.idle(Number.MAX_SAFE_INTEGER, 10)).toEqual([ref])
    expect(await store.prune(Number.MAX_SAFE_INTEGER)).toBe(1)
    expect((await rewrap(store)).remaining).toBe(0)
    expect(await heard.promise).toEqual(ref)
    await lease!.release()
    expect(await store.remove(ref)).toBe(true)
    const states = createRedisStates({ url: url.href, encryption })
    await states.put(new Secret('a state'), new Secret('fake'), 60_000)
    expect((await states.take(new Secret('a state'))).kind).toBe('taken')
    for (const one of [store, leases, spill, states]) await one.close()
    await close()
  })

  it('speaks TLS to a server whose certificate it can verify, and to no other', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-redis-'))
    const authority = makeCertificate({ subject: 'an authority', authority: true })
    const own = makeCertificate({ subject: 'localhost', names: ['localhost'], issuer: authority })
    await writeFile(join(folder, 'cert.pem'), own.cert)
    await writeFile(join(folder, 'key.pem'), own.key)
    const tls = [
      '--port',
      '0',
      '--tls-port',
      '{port}',
      '--tls-cert-file',
      join(folder, 'cert.pem'),
      '--tls-key-file',
      join(folder, 'key.pem'),
    ]
    const server = await startTestRedis([...tls, '--tls-auth-clients', 'no'])
    const url = `rediss://localhost:${new URL(server.url).port}`
    const trusting = createRedisStore({ url, encryption, ca: authority.cert, answerMs: 2_000 })
    await trusting.connect({ scope: 's', id: 'i' }, someTokens('first'))
    expect((await trusting.read({ scope: 's', id: 'i' }))?.status).toBe('active')
    const strict = createRedisStore({ url, encryption })
    await expect(strict.read({ scope: 's', id: 'i' })).rejects.toMatchObject({ code: 'store_unavailable' })
    await trusting.close()
    await strict.close()
    await server.stop()
    await rm(folder, { recursive: true, maxRetries: 10 })
  })
})
