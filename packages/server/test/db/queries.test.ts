import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest'
import { formatId, newId, sha256 } from '@sallyport/core'
import type { ConnectSessionId, KeyId } from '@sallyport/core'
import {
  apiKeyFind,
  apiKeyHold,
  apiKeyInsert,
  apiKeyList,
  apiKeyListBound,
  apiKeyOutlive,
  apiKeyRevoke,
  apiKeyTakeOver,
  connectionActivate,
  connectionDeleteEnded,
  connectionEndMany,
  connectionFind,
  connectionFindAnywhere,
  connectionHoldLive,
  connectionInsert,
  connectionList,
  connectionSetStatus,
  connectSessionCountAttempt,
  connectSessionFind,
  connectSessionInsert,
  connectSessionUpdate,
  credentialDeleteAll,
  credentialHead,
  credentialInsert,
  credentialNextSeq,
  grantConnect,
  grantRead,
  grantRenew,
  integrationFindByContext,
  integrationFindBySlug,
  integrationInsert,
  membershipPut,
  oauthStateInsert,
  projectFind,
  projectUpdate,
  requestRecordInsertMany,
  requestRecordList,
  revocationInsertMany,
  signInPolicyFind,
  signInPolicyPut,
  signInPolicyRemove,
} from '../../src/db/index.ts'
import type { Database, PersonClaims, RequestRecordRow, SignIn } from '../../src/db/index.ts'
import { freshDatabase, makeTenant } from './fresh-database.ts'
import type { FreshDatabase, Tenant } from './fresh-database.ts'

let fresh: FreshDatabase
let database: Database
let tenant: Tenant

beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  database = await fresh.open()
  tenant = await makeTenant(database, Buffer.from('sealed 1'))
})
afterAll(() => fresh.drop())

const tokenHash = (): Buffer => sha256(crypto.getRandomValues(new Uint8Array(32)))

const keyOf = (id: KeyId): Parameters<typeof apiKeyInsert>[1] => ({
  ...tenant.place,
  id,
  name: 'A key',
  secretHmac: Buffer.alloc(32, 7),
  secretArgon2id: '$argon2id$not-a-hash',
  scopes: ['proxy:call', 'keys:read'],
  connection: null,
  createdBy: 'system',
  expiresAt: null,
})

/** Until one of this database's transactions stands behind a lock. */
const somebodyWaits = (): Promise<void> =>
  vi.waitFor(
    async () => {
      const waiting = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
      expect(await fresh.asSuperuser(waiting)).toHaveLength(1)
    },
    { timeout: 30_000 },
  )

/** What an integration has that nobody gave a policy. */
const UNTRIED = { cache: false, concurrency: null, qps: null, retries: 0 }

describe('proxyTarget', () => {
  const ask = (over: object) => database.proxyTarget({ org: tenant.org, ...tenant.place, slug: 'github', ...over })

  it('gives integration, connection and sealed head by id and by user', async () => {
    for (const over of [
      { connection: tenant.connection },
      { endUserId: 'user-1' },
      { connection: tenant.connection, endUserId: 'user-1' },
    ]) {
      expect(await ask(over)).toEqual({
        now: expect.any(Date),
        integration: { id: tenant.integration, provider: 'github', policy: UNTRIED },
        connections: [
          {
            id: tenant.connection,
            status: 'active',
            trouble: null,
            retryAt: null,
            generation: 1,
            credential: { seq: 1n, sealed: Buffer.from('sealed 1'), obtainedAt: expect.any(Date), expiresAt: null },
          },
        ],
      })
    }
  })

  it('gives the integration alone when no connection fits, or none was named', async () => {
    for (const over of [
      { connection: newId('conn') },
      { endUserId: 'nobody' },
      { connection: tenant.connection, endUserId: 'user-2' },
      {},
    ]) {
      expect(await ask(over)).toEqual({
        now: expect.any(Date),
        integration: { id: tenant.integration, provider: 'github', policy: UNTRIED },
        connections: [],
      })
    }
  })

  it('gives nothing from another place or organization', async () => {
    const stranger = await makeTenant(database)
    for (const over of [
      { environment: 'live', connection: tenant.connection },
      { project: newId('proj'), connection: tenant.connection },
      { slug: 'gitlab', connection: tenant.connection },
      { org: newId('org'), connection: tenant.connection },
      { org: stranger.org, connection: tenant.connection },
    ]) {
      expect(await ask(over)).toEqual({ now: undefined, integration: undefined, connections: [] })
    }
    expect((await ask({ ...stranger.place, org: stranger.org, connection: tenant.connection })).connections).toEqual([])
  })

  it('tells one connection of a user from several, and an active one from what is left of others', async () => {
    const [first, second] = [newId('conn', 1_000), newId('conn', 2_000)]
    const of = async () => (await ask({ endUserId: 'user-3' })).connections.map(({ id }) => id)
    const set = (id: typeof first, status: 'active' | 'revoked' | 'reconnect_required') =>
      database.withTenant(tenant.org, (tx) => connectionSetStatus(tx, id, { generation: 1 }, status))
    await database.withTenant(tenant.org, async (tx) => {
      for (const id of [first, second])
        await connectionInsert(tx, { ...tenant.place, id, integration: tenant.integration, endUserId: 'user-3' })
    })
    expect(await of()).toEqual([first, second])
    await set(second, 'active')
    expect(await of()).toEqual([second])
    await set(first, 'active')
    expect(await of()).toEqual([first, second])
    await set(first, 'revoked')
    expect(await of()).toEqual([second])
    await set(second, 'reconnect_required')
    expect(await of()).toEqual([second])
    expect((await ask({ connection: first })).connections).toMatchObject([{ id: first, status: 'revoked', credential: null }])
  })
})

describe('connections', () => {
  it('are activated only by who decided on their generation', async () => {
    const id = newId('conn')
    await database.withTenant(tenant.org, (tx) =>
      connectionInsert(tx, { ...tenant.place, id, integration: tenant.integration, endUserId: 'racer' }),
    )
    await database.withTenant(tenant.org, (tx) => grantConnect(tx, id, { head: 0n, generation: 2 }))
    const activate = (generation: number) =>
      database.withTenant(tenant.org, (tx) =>
        connectionActivate(tx, id, { generation, status: 'active', grantedScopes: ['repo'], account: { id: '7', label: 'octo' } }),
      )
    expect([await activate(1), await activate(2)]).toEqual([false, true])
    expect(await database.withTenant(tenant.org, (tx) => connectionFind(tx, tenant.place, id))).toMatchObject({
      integrationSlug: 'github',
      requiredScopes: ['repo'],
      status: 'active',
      generation: 2,
      headSeq: 0n,
      account: { id: '7', label: 'octo' },
      tokenExpiresAt: null,
    })
  })

  it('keep what has become the head and what has not side by side', async () => {
    const expiresAt = new Date('2030-01-01T00:00:00Z')
    await database.withTenant(tenant.org, async (tx) => {
      expect(await credentialNextSeq(tx, tenant.connection)).toBe(2n)
      for (const seq of [2n, 3n]) {
        await credentialInsert(tx, {
          connection: tenant.connection,
          seq,
          parentSeq: 1n,
          generation: 1,
          rtFingerprint: null,
          sealed: Buffer.from(`sealed ${seq}`),
          expiresAt,
        })
      }
      await grantRenew(tx, tenant.connection, 2n)
      expect(await grantRead(tx, tenant.connection)).toMatchObject({ headSeq: 2n, failure: null, intent: null })
    })
    const head = await database.withTenant(tenant.org, (tx) => credentialHead(tx, tenant.connection))
    expect(head).toMatchObject({ seq: 2n, parentSeq: 1n, sealed: Buffer.from('sealed 2'), expiresAt })
    const again = database.withTenant(tenant.org, (tx) =>
      credentialInsert(tx, {
        connection: tenant.connection,
        seq: 2n,
        parentSeq: 1n,
        generation: 1,
        rtFingerprint: null,
        sealed: Buffer.from('other'),
        expiresAt,
      }),
    )
    await expect(again).rejects.toMatchObject({ code: 'conflict' })
  })

  it('keep versions that nobody can change, and that an end can delete', async () => {
    const change = (to: { sealed: Buffer } | { expires_at: Date }) =>
      database.withTenant(tenant.org, (tx) => tx.updateTable('sallyport.credential_version').set(to).execute())
    await expect(change({ expires_at: new Date() })).rejects.toMatchObject({ code: 'database_query_failed', sqlState: '42501' })
    // Resealing under another key is the one change there is (test/vault/rotation.test.ts); this is none.
    await expect(change({ sealed: Buffer.from('x') })).rejects.toMatchObject({ code: 'database_query_failed', sqlState: '23000' })
    await expect(fresh.asSuperuser(`update sallyport.credential_version set sealed = 'x'`)).rejects.toMatchObject({ code: '23000' })
    const other = await makeTenant(database)
    expect(await database.withTenant(other.org, (tx) => credentialDeleteAll(tx, other.connection))).toBe(1)
    expect(await database.withTenant(other.org, (tx) => credentialHead(tx, other.connection))).toBeUndefined()
  })

  it('are listed by page, integration and user, and found outside their place only when asked so', async () => {
    const own = await makeTenant(database)
    const ids = [own.connection]
    await database.withTenant(own.org, async (tx) => {
      for (let i = 0; i < 4; i++) {
        const id = newId('conn', Date.now() + 1_000 * (i + 1))
        ids.push(id)
        await connectionInsert(tx, { ...own.place, id, integration: own.integration, endUserId: i % 2 === 0 ? 'even' : 'odd' })
      }
    })
    const list = (filter: object, page: { after?: (typeof ids)[number]; limit: number }) =>
      database.withTenant(own.org, async (tx) => (await connectionList(tx, own.place, filter, page)).map(({ id }) => id))
    expect(await list({}, { limit: 3 })).toEqual(ids.slice(0, 3))
    expect(await list({}, { after: ids[2]!, limit: 3 })).toEqual(ids.slice(3))
    expect(await list({ endUserId: 'even', integrationSlug: 'github' }, { limit: 9 })).toEqual([ids[1], ids[3]])
    expect(await list({ integrationSlug: 'gitlab' }, { limit: 9 })).toEqual([])
    const live = { project: own.project, environment: 'live' } as const
    expect(await database.withTenant(own.org, (tx) => connectionFind(tx, live, own.connection))).toBeUndefined()
    expect(await database.withTenant(own.org, (tx) => connectionFindAnywhere(tx, own.connection))).toMatchObject({ environment: 'test' })
  })
})

describe('integrations', () => {
  it('are found by slug in their place, and by the context of their redirect URI', async () => {
    const bySlug = await database.withTenant(tenant.org, (tx) => integrationFindBySlug(tx, tenant.place, 'github'))
    expect(bySlug?.id).toBe(tenant.integration)
    expect(await database.withTenant(tenant.org, (tx) => integrationFindByContext(tx, bySlug!.context))).toEqual(bySlug)
    expect(await database.withTenant(newId('org'), (tx) => integrationFindByContext(tx, bySlug!.context))).toBeUndefined()
  })

  it('are a conflict under a taken slug', async () => {
    const again = database.withTenant(tenant.org, (tx) =>
      integrationInsert(tx, {
        ...tenant.place,
        id: newId('int'),
        slug: 'github',
        provider: 'github',
        context: 'another-context-of-this-test',
        clientId: 'c',
        clientSecret: Buffer.from('x'),
        scopes: [],
      }),
    )
    await expect(again).rejects.toMatchObject({ code: 'conflict' })
  })
})

describe('keys', () => {
  it('are revoked once, and looked up with the time of the database', async () => {
    const id = newId('key')
    await database.withTenant(tenant.org, (tx) => apiKeyInsert(tx, keyOf(id)))
    expect(await database.lookups.keyLookup(id)).toMatchObject({
      org: tenant.org,
      ...tenant.place,
      version: 1,
      revokedAt: null,
      auditUseMode: 'batched',
      secretHmac: Buffer.alloc(32, 7),
    })
    const revoke = () => database.withTenant(tenant.org, (tx) => apiKeyRevoke(tx, tenant.place, id))
    const first = await revoke()
    const second = await revoke()
    expect([first, second].map((one) => one?.ended.map((key) => key.id))).toEqual([[id], []])
    expect(second?.key.revokedAt).toEqual(first?.key.revokedAt)
    const found = await database.lookups.keyLookup(id)
    expect(found!.now.getTime()).toBeGreaterThanOrEqual(found!.revokedAt!.getTime())
    expect(await database.lookups.keyLookup(newId('key'))).toBeUndefined()
  })

  it('T-10 K-04 made by a key stand no longer than any of their makers, however the makers end', async () => {
    const line = await lineOf(4)
    const [first, second] = line as [KeyId, KeyId]
    const standing = async (id: KeyId) => (await database.lookups.keyLookup(id))!
    expect(await Promise.all(line.map(async (id) => (await standing(id)).makers))).toEqual([0, 1, 2, 3])
    expect((await standing(line.at(-1)!)).revokedAt).toBeNull()

    const soon = new Date(Date.now() + 60_000)
    await fresh.asSuperuser('update sallyport.api_key set expires_at = $2 where id = $1', [first, soon])
    for (const id of line) expect((await standing(id)).expiresAt).toEqual(soon)
    // Past every query of ours: whoever reads the key asks for its makers.
    await fresh.asSuperuser('update sallyport.api_key set revoked_at = clock_timestamp() where id = $1', [second])
    expect((await standing(first)).revokedAt).toBeNull()
    for (const id of line.slice(1)) expect((await standing(id)).revokedAt).not.toBeNull()
    await fresh.asSuperuser('delete from sallyport.api_key where id = $1', [second])
    for (const id of line.slice(2)) expect((await standing(id)).revokedAt).not.toBeNull()
  })

  it('T-10 K-04 are revoked with their maker, in their own order whoever asks, and each once', async () => {
    const line = await lineOf(5)
    const [first, second] = line as [KeyId, KeyId]
    const revoke = (id: KeyId) => database.withTenant(tenant.org, (tx) => apiKeyRevoke(tx, tenant.place, id))
    const both = await Promise.all([revoke(second), revoke(first)])
    const ended = both.flatMap((one) => one!.ended.map((key) => key.id))
    expect(ended.toSorted()).toEqual(line.toSorted())
    const listed = await database.withTenant(tenant.org, (tx) => apiKeyList(tx, tenant.place, null, { limit: 200 }))
    for (const key of listed.filter(({ id }) => line.includes(id))) expect(key.revokedAt).not.toBeNull()
  })

  it('T-10 K-04 made while their maker is revoked are revoked with it, and none is made afterwards', async () => {
    const [maker] = (await lineOf(1)) as [KeyId]
    const child = newId('key')
    const [made, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const making = database.withTenant(tenant.org, async (tx) => {
      expect(await apiKeyHold(tx, maker)).toBe(true)
      await apiKeyInsert(tx, { ...keyOf(child), createdBy: formatId('key', maker) })
      made.resolve()
      await release.promise
    })
    await made.promise
    const revoking = database.withTenant(tenant.org, (tx) => apiKeyRevoke(tx, tenant.place, maker))
    await somebodyWaits()
    release.resolve()
    await making
    expect((await revoking)?.ended.map((key) => key.id).toSorted()).toEqual([maker, child].toSorted())
    expect(await database.withTenant(tenant.org, (tx) => apiKeyHold(tx, maker))).toBe(false)
  })

  it('K-14 are taken over with what one of them rotates itself into meanwhile', async () => {
    const [from, to] = [formatId('user', newId('user')), formatId('user', newId('user'))]
    const [key, next] = [newId('key'), newId('key')]
    await database.withTenant(tenant.org, (tx) => apiKeyInsert(tx, { ...keyOf(key), createdBy: from }))
    const [made, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const rotating = database.withTenant(tenant.org, async (tx) => {
      await apiKeyOutlive(tx, tenant.place, key, { overlapS: 600, itself: true })
      await apiKeyInsert(tx, { ...keyOf(next), createdBy: from, succeeds: key })
      made.resolve()
      await release.promise
    })
    await made.promise
    const taking = database.withTenant(tenant.org, (tx) => apiKeyTakeOver(tx, from, to))
    await somebodyWaits()
    release.resolve()
    await rotating
    expect((await taking).toSorted()).toEqual([key, next].toSorted())
    const found = await database.withTenant(tenant.org, (tx) => apiKeyFind(tx, tenant.place, next))
    expect(found?.createdBy).toBe(to)
  })

  it('K-04 are revoked however many they made: no number of them keeps a key on', { timeout: 300_000 }, async () => {
    const { org, place } = await makeTenant(database)
    const maker = newId('key')
    await database.withTenant(org, (tx) => apiKeyInsert(tx, { ...keyOf(maker), ...place }))
    // More than a statement takes parameters.
    await fresh.asSuperuser(
      `insert into sallyport.api_key (org_id, id, project_id, environment, name, secret_hmac, secret_argon2id, scopes, created_by)
        select org_id, gen_random_uuid(), project_id, environment, name, secret_hmac, secret_argon2id, scopes, $2
        from sallyport.api_key, generate_series(1, 65536) where id = $1`,
      [maker, formatId('key', maker)],
    )
    const revoked = await database.withTenant(org, (tx) => apiKeyRevoke(tx, place, maker))
    expect(revoked?.ended.length).toBe(65_537)
    expect((await database.lookups.keyLookup(maker))?.revokedAt).not.toBeNull()
  })

  it('T-10 with a line of makers that no gateway makes count as revoked', async () => {
    const line = await lineOf(18)
    expect((await database.lookups.keyLookup(line[16]!))?.revokedAt).toBeNull()
    expect((await database.lookups.keyLookup(line[17]!))?.revokedAt).not.toBeNull()
    const [one, other] = [newId('key'), newId('key')]
    await database.withTenant(tenant.org, async (tx) => {
      await apiKeyInsert(tx, { ...keyOf(one), createdBy: formatId('key', other) })
      await apiKeyInsert(tx, { ...keyOf(other), createdBy: formatId('key', one) })
    })
    expect((await database.lookups.keyLookup(one))?.revokedAt).not.toBeNull()
    const revoked = await database.withTenant(tenant.org, (tx) => apiKeyRevoke(tx, tenant.place, one))
    expect(revoked?.ended).toHaveLength(2)
  })

  it('T-10 name their maker to the database as they do outside', async () => {
    const all = [
      ...Array.from({ length: 50 }, () => newId('key')),
      '00000000-0000-0000-0000-000000000000',
      'ffffffff-ffff-ffff-ffff-ffffffffffff',
    ] as KeyId[]
    const texts = [...all.map((id) => formatId('key', id)), `key_${'z'.repeat(22)}`, 'key_short', 'system', formatId('user', newId('user'))]
    const rows = await fresh.asSuperuser<{ id: string | null }>(
      'select sallyport.key_named(t.text) as id from unnest($1::text[]) with ordinality t(text, at) order by t.at',
      [texts],
    )
    expect(rows.map(({ id }) => id)).toEqual([...all, null, null, null, null])
  })

  /** Keys of which each made the next, first maker first. */
  async function lineOf(length: number): Promise<KeyId[]> {
    const line: KeyId[] = []
    for (let made = 0; made < length; made++) {
      const [id, maker] = [newId('key'), line.at(-1)]
      const createdBy = maker === undefined ? 'system' : formatId('key', maker)
      await database.withTenant(tenant.org, (tx) => apiKeyInsert(tx, { ...keyOf(id), createdBy }))
      line.push(id)
    }
    return line
  }

  it('are listed without their hashes, and only in their place', async () => {
    const id = newId('key')
    await database.withTenant(tenant.org, (tx) => apiKeyInsert(tx, keyOf(id)))
    const listed = await database.withTenant(tenant.org, (tx) => apiKeyList(tx, tenant.place, null, { limit: 50 }))
    expect(listed.map((key) => key.id)).toContain(id)
    expect(Object.keys(listed[0]!).filter((name) => name.startsWith('secret'))).toEqual([])
    const live = { project: tenant.project, environment: 'live' } as const
    expect(await database.withTenant(tenant.org, (tx) => apiKeyFind(tx, live, id))).toBeUndefined()
  })
})

describe('connect sessions and states', () => {
  const open = async (): Promise<{ id: ConnectSessionId; linkHash: Buffer }> => {
    const id = newId('cs')
    const linkHash = tokenHash()
    await database.withTenant(tenant.org, (tx) =>
      connectSessionInsert(tx, {
        ...tenant.place,
        id,
        integration: tenant.integration,
        connection: null,
        reconnect: false,
        endUserId: 'user-1',
        linkHash,
        returnTo: null,
        startedBy: 'system',
        consoleSessionHash: null,
        ttlSeconds: 600,
      }),
    )
    return { id, linkHash }
  }

  it('take a step for one of many that try, from the status it was decided on', async () => {
    const { id, linkHash } = await open()
    expect(await database.lookups.connectSessionLookup(linkHash)).toEqual({ org: tenant.org, id, expired: false })
    const step = () => database.withTenant(tenant.org, (tx) => connectSessionUpdate(tx, id, ['open'], { status: 'authorizing' }))
    const taken = await Promise.all([step(), step(), step(), step()])
    expect(taken.filter((session) => session !== undefined)).toMatchObject([{ id, status: 'authorizing', expired: false }])
    const counts = await Promise.all([1, 2, 3].map(() => database.withTenant(tenant.org, (tx) => connectSessionCountAttempt(tx, id))))
    expect(new Set(counts)).toEqual(new Set([1, 2, 3]))
    const live = { project: tenant.project, environment: 'live' } as const
    expect(await database.withTenant(tenant.org, (tx) => connectSessionFind(tx, id, live))).toBeUndefined()
  })

  it('give a state to exactly one of many callbacks', async () => {
    const { id } = await open()
    const stateHash = tokenHash()
    const state = { connectSession: id, context: 'a-context', browserHash: tokenHash(), verifier: Buffer.from('sealed') }
    await database.withTenant(tenant.org, (tx) => oauthStateInsert(tx, { stateHash, ...state, ttlSeconds: 600 }))
    const consumed = await Promise.all(Array.from({ length: 8 }, () => database.lookups.oauthStateConsume(stateHash)))
    expect(consumed.filter((found) => found !== undefined)).toEqual([{ org: tenant.org, ...state, expired: false }])
  })

  it('say by the clock of the database that a state is late, and take it out all the same', async () => {
    const { id } = await open()
    const stateHash = tokenHash()
    await database.withTenant(tenant.org, (tx) =>
      oauthStateInsert(tx, {
        stateHash,
        connectSession: id,
        context: 'c',
        browserHash: tokenHash(),
        verifier: Buffer.from('x'),
        ttlSeconds: 0,
      }),
    )
    expect(await database.lookups.oauthStateConsume(stateHash)).toMatchObject({ expired: true })
    expect(await database.lookups.oauthStateConsume(stateHash)).toBeUndefined()
  })
})

describe('people', () => {
  it('are the same person for every start that names them, and trade a link for one session', async () => {
    const person = { issuer: 'local', subject: 'same', name: 'Same' }
    const ids = await Promise.all([1, 2, 3].map(() => database.lookups.personUpsert({ id: newId('user'), ...person })))
    expect(new Set(ids).size).toBe(1)
    await database.withTenant(tenant.org, (tx) => membershipPut(tx, ids[0]!, 'DEVELOPER'))
    const linkHash = tokenHash()
    await database.lookups.ownerLinkPut({ hash: linkHash, person: ids[0]!, ttlSeconds: 60 })
    const hashes = [tokenHash(), tokenHash()]
    const sessions = await Promise.all(hashes.map((sessionHash) => database.lookups.sessionOpen({ linkHash, sessionHash, ttlSeconds: 60 })))
    expect(sessions.filter((session) => session !== undefined)).toMatchObject([{ userId: ids[0], name: 'Same' }])
    const won = hashes[sessions.findIndex((session) => session !== undefined)]!
    const found = await database.lookups.sessionLookup(won)
    expect(found?.standings).toEqual([{ org: tenant.org, role: 'DEVELOPER', signIn: null }])
    // By a link of the installation itself, above which it knows nothing.
    expect(found?.signIn).toMatchObject({ issuer: 'local', methods: ['link'], assurance: 'aal2', provider: null, issuerSession: null })
    expect([await database.lookups.sessionClose(won), await database.lookups.sessionClose(won)]).toEqual([true, false])
    expect(await database.lookups.sessionLookup(won)).toBeUndefined()
  })

  it('get no session for an expired link', async () => {
    const person = await database.lookups.personUpsert({ id: newId('user'), issuer: 'local', subject: 'late', name: 'Late' })
    const linkHash = tokenHash()
    await database.lookups.ownerLinkPut({ hash: linkHash, person, ttlSeconds: 0 })
    expect(await database.lookups.sessionOpen({ linkHash, sessionHash: tokenHash(), ttlSeconds: 60 })).toBeUndefined()
  })
})

describe('people by the tokens of issuers', () => {
  const claims = (over: Partial<PersonClaims> = {}): PersonClaims => ({
    id: newId('user'),
    issuer: 'https://one.test',
    subject: 'ada',
    name: 'Ada',
    email: 'ada@corp.test',
    issuerSession: null,
    issuedAt: new Date(),
    ...over,
  })
  const by = (over: Partial<SignIn> = {}): SignIn => ({
    issuer: 'https://one.test',
    methods: ['pwd'],
    assurance: 'aal1',
    provider: null,
    issuerSession: null,
    authenticatedAt: new Date(Date.now() - 60_000),
    ...over,
  })

  it('J-17 are one by issuer and subject together: the same subject of another issuer is another person', async () => {
    const personSignIn = (of: PersonClaims) => database.lookups.personSignIn(of)
    const [first, again, other] = await Promise.all([
      personSignIn(claims()),
      personSignIn(claims()),
      personSignIn(claims({ issuer: 'https://two.test' })),
    ])
    expect(again.userId).toBe(first.userId)
    expect(other.userId).not.toBe(first.userId)
    expect(first).toMatchObject({ name: 'Ada', email: 'ada@corp.test', ended: false, standings: [] })
  })

  it('are what the issuer says of them now: an address it no longer vouches for is gone', async () => {
    const { userId } = await database.lookups.personSignIn(claims({ subject: 'fickle' }))
    expect(await database.lookups.personSignIn(claims({ subject: 'fickle', name: 'F.', email: null }))).toMatchObject({
      name: 'F.',
      email: null,
    })
    expect(await database.lookups.personStanding(userId, null)).toMatchObject({ name: 'F.', email: null })
    expect(await database.lookups.personStanding(newId('user'), null)).toBeUndefined()
  })

  it('have in every session how it was signed in, and how each of their organizations asks it to be', async () => {
    const { userId } = await database.lookups.personSignIn(claims({ subject: 'eve' }))
    await database.withTenant(tenant.org, async (tx) => {
      await membershipPut(tx, userId, 'ADMIN')
      await signInPolicyPut(tx, { ways: [{ issuer: 'https://one.test', provider: null }], breakGlass: true })
      await signInPolicyPut(tx, { ways: [{ issuer: 'https://one.test', provider: 'sso:1' }], breakGlass: false })
    })
    const issuerSession = tokenHash()
    const signIn = by({ methods: ['sso/saml', 'totp'], assurance: 'aal2', provider: 'sso:1', issuerSession })
    const sessionHash = tokenHash()
    expect(
      await database.lookups.sessionOpenAs({ person: userId, sessionHash, ttlSeconds: 60, signIn, issuedAt: new Date() }),
    ).toMatchObject({ userId })
    expect(await database.lookups.sessionLookup(sessionHash)).toMatchObject({
      email: 'ada@corp.test',
      signIn,
      standings: [
        {
          org: tenant.org,
          role: 'ADMIN',
          signIn: { ways: [{ issuer: 'https://one.test', provider: 'sso:1' }], break_glass: false },
        },
      ],
    })
    await database.withTenant(tenant.org, async (tx) => {
      expect(await signInPolicyFind(tx)).toMatchObject({ breakGlass: false })
      expect([await signInPolicyRemove(tx), await signInPolicyRemove(tx), await signInPolicyFind(tx)]).toEqual([true, false, undefined])
    })
  })

  it('lose their sessions with the one at the issuer, and get no other by its tokens', async () => {
    const issuerSession = tokenHash()
    const { userId } = await database.lookups.personSignIn(claims({ subject: 'leaver', issuerSession }))
    const [own, another] = [tokenHash(), tokenHash()]
    await database.lookups.sessionOpenAs({
      person: userId,
      sessionHash: own,
      ttlSeconds: 60,
      signIn: by({ issuerSession }),
      issuedAt: new Date(),
    })
    await database.lookups.sessionOpenAs({
      person: userId,
      sessionHash: another,
      ttlSeconds: 60,
      signIn: by({ issuerSession: tokenHash() }),
      issuedAt: new Date(),
    })
    expect([await database.lookups.signInEnd(issuerSession, 3600), await database.lookups.signInEnd(issuerSession, 3600)]).toEqual([
      true,
      false,
    ])
    expect(await database.lookups.sessionLookup(own)).toBeUndefined()
    expect(await database.lookups.sessionLookup(another)).toBeDefined()
    expect(await database.lookups.personSignIn(claims({ subject: 'leaver', issuerSession }))).toMatchObject({ ended: true })
    expect(await database.lookups.personStanding(userId, issuerSession)).toMatchObject({ ended: true })
    const refused = { person: userId, sessionHash: tokenHash(), ttlSeconds: 60, signIn: by({ issuerSession }), issuedAt: new Date() }
    expect(await database.lookups.sessionOpenAs(refused)).toBeUndefined()
  })

  it('are signed out everywhere at once, and come back with a token from after that', async () => {
    const { userId, now } = await database.lookups.personSignIn(claims({ subject: 'all' }))
    const sessionHash = tokenHash()
    await database.lookups.sessionOpenAs({ person: userId, sessionHash, ttlSeconds: 60, signIn: by(), issuedAt: new Date() })
    expect(await database.lookups.personSignOut({ issuer: 'https://one.test', subject: 'all' })).toBe(true)
    expect(await database.lookups.sessionLookup(sessionHash)).toBeUndefined()
    expect(await database.lookups.personSignIn(claims({ subject: 'all', issuedAt: now }))).toMatchObject({ ended: true })
    const later = new Date(now.getTime() + 3_600_000)
    expect(await database.lookups.personSignIn(claims({ subject: 'all', issuedAt: later }))).toMatchObject({ ended: false })
    expect(await database.lookups.personSignOut({ issuer: 'https://one.test', subject: 'nobody' })).toBe(false)
  })
})

describe('what ends many connections at once', () => {
  it('S69 takes more of them than a statement takes parameters', async () => {
    const { org, integration, connection } = await makeTenant(database)
    const many = [connection, ...Array.from({ length: 70_000 }, () => newId('conn'))]
    const revocation = (): Parameters<typeof revocationInsertMany>[1][number] => ({
      id: newId('rev'),
      integration,
      connection,
      accountId: null,
      cause: 'end_user_deleted',
      sealed: Buffer.from('not an envelope'),
      delaySeconds: 60,
    })
    await database.withTenant(org, async (tx) => {
      expect((await connectionHoldLive(tx, many)).map(({ id }) => id)).toEqual([connection])
      expect(await apiKeyListBound(tx, many)).toEqual([])
      await revocationInsertMany(tx, Array.from({ length: 9_000 }, revocation))
      await connectionEndMany(tx, many)
    })
    await fresh.asSuperuser('delete from sallyport.revocation where org_id = $1', [org])
    await database.withTenant(org, (tx) => connectionDeleteEnded(tx, many, []))
    expect(await database.withTenant(org, (tx) => connectionHoldLive(tx, many))).toEqual([])
    expect(await fresh.asSuperuser('select from sallyport.connection where org_id = $1', [org])).toEqual([])
  })
})

describe('projects and request records', () => {
  it('change only what is given', async () => {
    const own = await makeTenant(database)
    const update = (change: object) => database.withTenant(own.org, (tx) => projectUpdate(tx, own.project, change))
    expect(await update({ returnOrigins: ['https://app.example'] })).toMatchObject({
      name: 'A project',
      returnOrigins: ['https://app.example'],
    })
    expect(await update({ name: 'Renamed' })).toMatchObject({ name: 'Renamed', returnOrigins: ['https://app.example'] })
    expect(await update({})).toEqual(await database.withTenant(own.org, (tx) => projectFind(tx, own.project)))
    expect(await database.withTenant(newId('org'), (tx) => projectUpdate(tx, own.project, { name: 'Foreign' }))).toBeUndefined()
  })

  it('come back newest first as they were written, once, however often a group is sent', async () => {
    const records: RequestRecordRow[] = Array.from({ length: 5 }, (_, i) => ({
      org: tenant.org,
      id: newId('req', Date.UTC(2030, 0, 1) + i),
      at: new Date(Date.UTC(2030, 0, 1) + i),
      ...tenant.place,
      integrationSlug: 'github',
      connection: tenant.connection,
      key: newId('key'),
      method: 'GET',
      path: `/repos/é"\\${i}`,
      status: 200 + i,
      source: 'provider',
      error: i === 4 ? 'upstream_reset' : null,
      durationUs: 1_234,
      bytesIn: 0,
      bytesOut: 5_000_000_000,
    }))
    for (let sent = 0; sent < 2; sent++) await database.withTenant(tenant.org, (tx) => requestRecordInsertMany(tx, records))
    const list = (after?: RequestRecordRow['id']) =>
      database.withTenant(tenant.org, (tx) => requestRecordList(tx, tenant.place, { after, limit: 3 }))
    const newest = records.toReversed()
    expect(await list()).toEqual(newest.slice(0, 3))
    expect(await list(newest[2]!.id)).toEqual(newest.slice(3))
    await expect(database.withTenant(newId('org'), (tx) => requestRecordInsertMany(tx, records))).rejects.toThrow('of another organization')
  })
})
