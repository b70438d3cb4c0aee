import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { formatId, generateKeyBytes, newId, RootKeyring, Secret, systemClock } from '@sallyport/core'
import type { ConnectionId, CredentialRef, CredentialStore, OrgId } from '@sallyport/core'
import { credentialStoreSuite, someTokens } from '../../../testkit/src/suites/index.ts'
import { createUseLog } from '../../src/audit/index.ts'
import { createLineage, createTenantStore, createTransitions } from '../../src/credentials/index.ts'
import { auditEventList, connectionFindAnywhere, connectionInsert, DatabaseError } from '../../src/db/index.ts'
import type { Database } from '../../src/db/index.ts'
import { createPersonal, createVault } from '../../src/vault/index.ts'
import { freshDatabase, lineTo, makeTenant, silent } from '../db/fresh-database.ts'
import type { FreshDatabase, Tenant } from '../db/fresh-database.ts'

/** A store as a node has one: with a pool, a vault and a log of its own. */
async function openNode(database: Database, rootKey: Secret): Promise<CredentialStore & { flush(): Promise<void> }> {
  const vault = createVault({ database, keyring: RootKeyring.parse(rootKey), clock: systemClock, logger: silent })
  await vault.checkRootKeys()
  const useLog = createUseLog({ database, personal: createPersonal({ vault, logger: silent }), logger: silent })
  const lineage = createLineage({ vault, fingerprintKey: await vault.systemSecret('refresh_fingerprint') })
  const store = createTenantStore({ database, vault, lineage, transitions: createTransitions({ useLog, logger: silent }), logger: silent })
  return Object.assign(store, {
    flush: () => useLog.flush(),
    close: async () => {
      await useLog.close(1_000)
      vault.close()
    },
  })
}

const rootKeyText = (): Secret => new Secret(`r1:${generateKeyBytes().toString('hex')}`)

async function newConnection(database: Database, { org, place, integration }: Tenant): Promise<CredentialRef> {
  const id = newId('conn')
  await database.withTenant(org, (tx) => connectionInsert(tx, { ...place, id, integration, endUserId: 'user-1' }))
  return { scope: org, id }
}

credentialStoreSuite(
  "the gateway's, on the tenants' tables",
  async () => {
    const fresh = await freshDatabase(inject('postgresUrl'))
    const line = await lineTo(fresh.url)
    const rootKey = rootKeyText()
    const direct = await fresh.open()
    const tenants = [await makeTenant(direct), await makeTenant(direct)]
    let turn = 0
    return {
      open: async () => openNode(await fresh.open({ url: line.url }), rootKey),
      // Of one organization and of another in turn: what is listed across tenants is tried on both.
      ref: () => newConnection(direct, tenants[turn++ % 2]!),
      async dump() {
        const tables = await fresh.asSuperuser<{ name: string }>(
          "select relname as name from pg_class where relnamespace = 'sallyport'::regnamespace and relkind = 'r'",
        )
        const rows = await Promise.all(tables.map(({ name }) => fresh.asSuperuser(`select t::text as line from sallyport.${name} t`)))
        const lines = rows.flat().map((row) => String(row['line']))
        // Bytes are printed in hexadecimal: both what stands there and what it says.
        const hex = lines.flatMap((line) =>
          [...line.matchAll(/\\x(?<bytes>[0-9a-f]+)/gu)].map(({ groups }) => Buffer.from(groups!['bytes']!, 'hex')),
        )
        return Buffer.concat([Buffer.from(lines.join('\n')), ...hex])
      },
      failures: { 'a server that is gone': { fail: () => line.cut(), heal: () => line.restore(), withinMs: 10_000 } },
      async close() {
        await fresh.drop()
        await line.cut()
      },
    }
  },
  { failures: ['a server that is gone'], survives: true, ownClock: true, namesReturn: true },
)

describe("the gateway's credential store", () => {
  let fresh: FreshDatabase
  let database: Database
  let store: Awaited<ReturnType<typeof openNode>>
  let tenant: Tenant
  const rootKey = rootKeyText()
  beforeAll(async () => {
    fresh = await freshDatabase(inject('postgresUrl'))
    database = await fresh.open()
    store = await openNode(database, rootKey)
    tenant = await makeTenant(database)
  })
  afterAll(async () => {
    await store.close()
    await fresh.drop()
  })

  async function connected(): Promise<{ ref: CredentialRef; begin: () => Promise<string> }> {
    const ref = await newConnection(database, tenant)
    await store.connect(ref, someTokens('first'))
    const begin = async (): Promise<string> => {
      const { generation, head } = (await store.read(ref))!
      const from = { generation, headSeq: head.seq, parentSeq: head.seq, replaces: null }
      return (await store.begin(ref, from, { node: 'n', attempt: 1 }))!.intent.id
    }
    return { ref, begin }
  }

  const failure = { trouble: 'provider_down', retryInMs: 0 } as const

  async function eventsOf({ scope, id }: CredentialRef): Promise<string[]> {
    await store.flush()
    const events = await database.withTenant(scope as OrgId, (tx) => auditEventList(tx, { limit: 200 }))
    const target = formatId('conn', id as ConnectionId)
    return events
      .filter((event) => event.target === target)
      .map(({ action }) => action)
      .toReversed()
  }

  it('F-15 writes one event for each change of health, however often it is noted', async () => {
    const { ref, begin } = await connected()
    for (let i = 0; i < 3; i++) await store.withdraw(ref, await begin(), failure)
    const intent = await begin()
    await store.doubt(ref, intent, { trouble: 'outcome_unknown', retryInMs: 0 })
    const { generation, head } = (await store.read(ref))!
    const answer = { intent, generation, parentSeq: head.seq, tokens: someTokens('second', { scopes: [] }) }
    await Promise.all([store.save(ref, answer), store.save(ref, answer)])
    // Events of saves are written in groups, after them.
    await store.flush()
    const end = () => store.end(ref, { generation }, 'reconnect_required', 'grant_expired')
    expect(await Promise.all([end(), end(), end()])).toEqual([true, true, true])
    expect(await eventsOf(ref)).toEqual([
      'connection.refresh_failed',
      'connection.refreshed',
      'connection.recovered',
      'connection.reconnect_required',
    ])
  })

  it('shows a connection since when its refreshes fail, how often, and when they are tried again', async () => {
    const { ref, begin } = await connected()
    await store.withdraw(ref, await begin(), failure)
    const read = () => database.withTenant(tenant.org, (tx) => connectionFindAnywhere(tx, ref.id as ConnectionId))
    const first = (await read())!
    await store.doubt(ref, await begin(), { trouble: 'malformed', retryInMs: 60_000 })
    const second = (await read())!
    expect(first).toMatchObject({ refreshing: null, failure: { trouble: 'provider_down', failures: 1 } })
    expect(second).toMatchObject({ refreshing: 'unknown', failure: { trouble: 'malformed', failures: 2, since: first.failure!.since } })
    expect(second.failure!.retryAt.getTime() - second.failure!.at.getTime()).toBe(60_000)
  })

  it('O-21 notices a grant that has shrunk: what is missing shows, and the change is on record', async () => {
    const { ref, begin } = await connected()
    const read = async () => (await database.withTenant(tenant.org, (tx) => connectionFindAnywhere(tx, ref.id as ConnectionId)))!
    for (const scopes of [['write', 'read'], ['read'], ['read']]) {
      const { generation, head } = (await store.read(ref))!
      const answer = { intent: await begin(), generation, parentSeq: head.seq, tokens: someTokens('next', { scopes }) }
      expect(await store.save(ref, answer)).toBe('head')
      expect((await read()).grantedScopes.toSorted()).toEqual(scopes.toSorted())
    }
    // The first refresh says for the first time what the connection holds; the last one says nothing new.
    expect((await eventsOf(ref)).filter((action) => action === 'connection.scopes_changed')).toHaveLength(2)
  })

  it('D-14 forgets old versions of every other organization while one is busy, and none of any while the database is away', async () => {
    await makeTenant(database)
    const failing = async (error: DatabaseError, of: (org: OrgId) => boolean): Promise<{ asked: Set<OrgId>; node: CredentialStore }> => {
      const asked = new Set<OrgId>()
      const withTenant: Database['withTenant'] = (org, fn) => {
        asked.add(org)
        return of(org) ? Promise.reject(error) : database.withTenant(org, fn)
      }
      return { asked, node: await openNode({ ...database, withTenant }, rootKey) }
    }
    const all = await database.lookups.organizationPage({ limit: 100 })
    expect(all.length).toBeGreaterThan(1)
    const busy = new DatabaseError('database_unavailable', 'busy', { turn: true })
    for (const bad of all) {
      const { asked, node } = await failing(busy, (org) => org === bad)
      await node.prune(0)
      expect(asked).toEqual(new Set(all))
      await node.close()
    }
    const { asked, node } = await failing(new DatabaseError('database_unavailable', 'away'), () => true)
    await expect(node.prune(0)).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(asked.size).toBe(1)
    await node.close()
  })

  it("T-20 knows nothing of a connection under another organization's name", async () => {
    const { ref } = await connected()
    const { org } = await makeTenant(database)
    const foreign = { scope: org, id: ref.id }
    expect(await store.read(foreign)).toBeUndefined()
    await expect(store.connect(foreign, someTokens('stolen'))).rejects.toThrow(TypeError)
    const { generation, head } = (await store.read(ref))!
    const from = { generation, headSeq: head.seq, parentSeq: head.seq, replaces: null }
    expect(await store.begin(foreign, from, { node: 'n', attempt: 1 })).toBeUndefined()
    expect(await store.end(foreign, { generation }, 'revoked', 'revoked')).toBe(false)
    expect(await store.siblings(foreign)).toEqual([])
  })

  it('gives equal fingerprints to equal refresh tokens of one connection, and to no others', async () => {
    const [one, other] = [await connected(), await connected()]
    await store.connect(one.ref, someTokens('first'))
    const rows = await fresh.asSuperuser<{ connection_id: string; print: string }>(
      `select connection_id, encode(rt_fingerprint, 'hex') as print from sallyport.credential_version where connection_id in ('${one.ref.id}', '${other.ref.id}')`,
    )
    expect(rows).toHaveLength(3)
    expect(new Set(rows.map(({ connection_id, print }) => `${connection_id} ${print}`)).size).toBe(2)
    expect(new Set(rows.map(({ print }) => print)).size).toBe(2)
  })
})
