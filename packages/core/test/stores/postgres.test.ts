/** The store on PostgreSQL, and both kinds of leases on it, through a wire that can be cut. */
import { randomBytes, randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { describe, expect, inject, it } from 'vitest'
import { AdvisoryLeases, createPostgresLeases, createPostgresStates, createPostgresStore, Secret } from '../../src/index.ts'
import type { LeaseKeeper } from '../../src/index.ts'
import { startWire } from '../../../testkit/src/refresh-proof/wire.ts'
import type { Wire } from '../../../testkit/src/refresh-proof/wire.ts'
import { createDatabase, dropDatabase } from '../../../testkit/src/servers/index.ts'
import {
  connectStatesSuite,
  credentialStoreSuite,
  leaseKeeperSuite,
  endedGrantsSuite,
  sealedStoreSuite,
  someTokens,
} from '../../../testkit/src/suites/index.ts'
import type { SealedStoreUnderTest } from '../../../testkit/src/suites/index.ts'

const admin = inject('postgresUrl')

interface Place {
  readonly url: string
  readonly direct: string
  readonly wire: Wire
  readonly through: (wire: Wire) => string
  readonly close: () => Promise<void>
}

/** A database of its own behind a wire. */
async function place(): Promise<Place> {
  const { name, url: direct } = await createDatabase(admin)
  const { hostname, port } = new URL(direct)
  const wire = await startWire({ host: hostname, port: Number(port) })
  const through = ({ port }: Wire): string => {
    const url = new URL(direct)
    url.port = String(port)
    return url.href
  }
  const close = async (): Promise<void> => {
    await wire.close()
    await dropDatabase(admin, name)
  }
  return { url: through(wire), direct, wire, through, close }
}

const failing = (wire: Wire, withinMs: number) => ({
  'refused connections': { fail: async () => wire.cut(), heal: async () => wire.mend(), withinMs },
  'black hole': { fail: async () => wire.hold(), heal: async () => wire.mend(), withinMs },
})

async function dumpOf(url: string): Promise<Buffer> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const texts: string[] = []
    for (const table of ['credential', 'credential_version', 'unread_answer', 'key_check']) {
      const { rows } = await client.query<{ line: string }>(`select t::text as line from sallyport_tokens.${table} t`)
      texts.push(
        ...rows.map(({ line }) => line),
        ...rows.map(({ line }) => Buffer.from(/\\x([0-9a-f]+)/u.exec(line)?.[1] ?? '', 'hex').toString('latin1')),
      )
    }
    return Buffer.from(texts.join('\n'), 'latin1')
  } finally {
    await client.end()
  }
}

credentialStoreSuite(
  'Postgres',
  async () => {
    const { url, direct, wire, close } = await place()
    const encryption = { key: randomBytes(32).toString('hex') }
    return {
      open: async () => createPostgresStore({ url, encryption, answerMs: 1_500 }),
      ref: async () => ({ scope: 'a-provider', id: randomUUID() }),
      dump: () => dumpOf(direct),
      failures: failing(wire, 4_000),
      reset: () => wire.reset(),
      close,
    }
  },
  { failures: ['refused connections', 'black hole'], survives: true, ownClock: true, connections: true, namesReturn: true },
)

connectStatesSuite('Postgres', async () => {
  const { name, url } = await createDatabase(admin)
  return {
    open: async (encryption) => createPostgresStates({ url, encryption }),
    async dump() {
      const client = new Client({ connectionString: url })
      await client.connect()
      const { rows } = await client.query<{ name: string; sealed: Buffer }>('select * from sallyport_tokens.connect_state')
      await client.end()
      return Buffer.concat(rows.flatMap(({ name, sealed }) => [Buffer.from(name), sealed ?? Buffer.of()]))
    },
    close: () => dropDatabase(admin, name),
  }
})

const sealed = async (): Promise<SealedStoreUnderTest> => {
  const databases = new Map<string, Promise<{ name: string; url: string }>>()
  return {
    async open(name, encryption) {
      const database = databases.get(name) ?? createDatabase(admin)
      databases.set(name, database)
      return createPostgresStore({ url: (await database).url, encryption })
    },
    async close() {
      for (const database of databases.values()) await dropDatabase(admin, (await database).name)
    },
  }
}
sealedStoreSuite('Postgres', sealed)
endedGrantsSuite('Postgres', sealed)

async function leasePlace(make: (url: string) => LeaseKeeper) {
  const { url, wire, through, direct, close } = await place()
  const target = new URL(direct)
  const own = new Map<LeaseKeeper, Wire>()
  const wireOf = (keeper: LeaseKeeper): Wire => own.get(keeper)!
  return {
    /** Each on a wire of its own behind the common one, so that one of them can die alone. */
    open: async () => {
      const single = await startWire({ host: target.hostname, port: wire.port })
      const keeper = make(through(single))
      own.set(keeper, single)
      return keeper
    },
    kill: async (keeper: LeaseKeeper) => wireOf(keeper).cut(),
    stall: { stop: async (keeper: LeaseKeeper) => wireOf(keeper).hold(), go: async (keeper: LeaseKeeper) => wireOf(keeper).mend() },
    failures: failing(wire, 3_000),
    url,
    close: async () => {
      for (const single of own.values()) await single.close()
      await close()
    },
  }
}

leaseKeeperSuite(
  'advisory locks of Postgres',
  () => leasePlace((url) => new AdvisoryLeases({ connectionString: url }, { answerMs: 1_000, stalledAfterMs: 2_500 })),
  { failures: ['refused connections', 'black hole'], dies: true, stalls: true },
)

leaseKeeperSuite('rows of Postgres', () => leasePlace((url) => createPostgresLeases({ url, sessions: false, answerMs: 1_000 })), {
  failures: ['refused connections', 'black hole'],
  dies: false,
  stalls: true,
})

describe('the tables of the token store', () => {
  it('come about once when many processes start at once', async () => {
    const { url, close } = await place()
    const encryption = { key: randomBytes(32).toString('hex') }
    const stores = Array.from({ length: 6 }, () => createPostgresStore({ url, encryption }))
    const ref = { scope: 's', id: 'i' }
    await Promise.all(stores.map((store) => store.read(ref)))
    await stores[0]!.connect(ref, someTokens('first'))
    expect((await stores[5]!.read(ref))?.status).toBe('active')
    await Promise.all(stores.map((store) => store.close()))
    await close()
  })

  it('get what is new of them where an earlier release made them, with many processes at once', async () => {
    const { url, direct, close } = await place()
    const encryption = { key: randomBytes(32).toString('hex') }
    const before = createPostgresStore({ url, encryption })
    await before.connect({ scope: 's', id: 'i' }, someTokens('first'))
    await before.close()
    const client = new Client({ connectionString: direct })
    await client.connect()
    await client.query('drop table sallyport_tokens.connect_state; drop index sallyport_tokens.credential_ended')
    await client.query('delete from sallyport_tokens.schema_version where version > 1')
    const states = Array.from({ length: 4 }, () => createPostgresStates({ url, encryption }))
    await Promise.all(states.map((one, i) => one.put(new Secret(`state ${i}`), new Secret('fake'), 60_000)))
    expect((await states[0]!.take(new Secret('state 3'))).kind).toBe('taken')
    const after = createPostgresStore({ url, encryption })
    expect((await after.read({ scope: 's', id: 'i' }))?.status).toBe('active')
    await client.query('insert into sallyport_tokens.schema_version (version) values (1000)')
    const late = createPostgresStore({ url, encryption })
    await expect(late.read({ scope: 's', id: 'i' })).rejects.toMatchObject({ code: 'store_misconfigured' })
    for (const one of [...states, after, late]) await one.close()
    await client.end()
    await close()
  })

  it('let no version be changed but by sealing it anew', async () => {
    const { url, direct, close } = await place()
    const store = createPostgresStore({ url, encryption: { key: randomBytes(32).toString('hex') } })
    await store.connect({ scope: 's', id: 'i' }, someTokens('first'))
    const client = new Client({ connectionString: direct })
    await client.connect()
    await expect(client.query('update sallyport_tokens.credential_version set parent_seq = 7')).rejects.toThrow(/never changed/)
    await client.end()
    await store.close()
    await close()
  })
})
