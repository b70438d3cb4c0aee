import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { createLogger, formatId, newId, sha256 } from '@sallyport/core'
import type { ConnectionId } from '@sallyport/core'
import { createTenantStore, createTransitions, refOf } from '../../src/credentials/index.ts'
import { connectSessionInsert, dataKeyDestroyAll, requestRecordInsertMany, requestRecordList } from '../../src/db/index.ts'
import { endConnections } from '../../src/revocation/index.ts'
import { connect, createRevocationWorld, makeRevocableTenant, openRevokingNode, tokenSet } from './world.ts'
import type { RevocableTenant, RevocationWorld, RevokingNode } from './world.ts'

let world: RevocationWorld
let one: RevokingNode
let two: RevokingNode
let tenant: RevocableTenant

beforeAll(async () => {
  world = await createRevocationWorld(inject('postgresUrl'))
  ;[one, two] = world.nodes
  tenant = await makeRevocableTenant(one)
})
afterEach(() => world.provider.behave({}))
afterAll(() => world?.close())

const disconnect = (id: Awaited<ReturnType<typeof connect>>, node = one) =>
  node.service.disconnect(tenant.org, tenant.place, id, 'key_of_a_test')

const askedFor = (name: string) => world.provider.asked.filter(({ token }) => token.endsWith(`-${name}`)).map(({ token }) => token)

const revocations = (id: string) =>
  world.rows<{ state: string; reason: string | null; attempts: number; sealed: Buffer | null; account_id: string | null }>(
    'select state, reason, attempts, sealed, account_id from sallyport.revocation where connection_id = $1 order by id',
    [id],
  )

async function eventsOf(id: Awaited<ReturnType<typeof connect>>): Promise<string[]> {
  const rows = await world.rows<{ action: string }>('select action from sallyport.audit_event where target = $1 order by seq', [
    formatId('conn', id),
  ])
  return rows.map(({ action }) => action)
}

describe('a disconnect', () => {
  it('V-08 S2 ends the connection here and both tokens at the provider, and forgets them', async () => {
    const id = await connect(one, tenant, tokenSet('plain'))
    expect(await disconnect(id)).toMatchObject({
      connection: { id, status: 'revoked', generation: 2, headSeq: 0n },
      provider: { state: 'done' },
    })
    expect(askedFor('plain')).toEqual(['refresh-plain', 'access-plain'])
    expect(await world.rows('select 1 from sallyport.credential_version where connection_id = $1', [id])).toEqual([])
    expect(await revocations(id)).toEqual([{ state: 'done', reason: null, attempts: 1, sealed: null, account_id: null }])
    expect(await eventsOf(id)).toEqual(['connection.revoked', 'connection.revoked_at_provider'])
  })

  it('V-08 takes back a token that never expires and has no refresh token', async () => {
    const id = await connect(one, tenant, tokenSet('eternal', { refreshToken: null, expiresAt: null }))
    expect(await disconnect(id)).toMatchObject({ provider: { state: 'done' } })
    expect(askedFor('eternal')).toEqual(['access-eternal'])
  })

  it('V-08 takes back what stands beside the head too: a sibling may hold the live refresh token', async () => {
    const id = await connect(one, tenant, tokenSet('head'))
    await one.database.withTenant(tenant.org, (tx) =>
      one.lineage.insert(tx, id, {
        parentSeq: 1n,
        generation: 1,
        tokens: tokenSet('sibling', { expiresAt: Date.now() - 1000 }),
        saved: { intent: randomUUID(), as: 'sibling' },
        provider: 'github',
        onHeld: () => undefined,
      }),
    )
    await disconnect(id)
    // Expired access tokens are over by themselves; the newest version's is asked for whatever its age.
    expect(new Set([...askedFor('head'), ...askedFor('sibling')])).toEqual(
      new Set(['refresh-head', 'access-head', 'refresh-sibling', 'access-sibling']),
    )
  })

  it('V-08 does not keep its caller waiting for a provider that says nothing, and is heard out all the same', async () => {
    const release = Promise.withResolvers<void>()
    world.provider.behave({ meanwhile: () => release.promise })
    const patient = await newNode('token', 'default')
    const id = await connect(patient, tenant, tokenSet('silent'), { account: 'account-8' })
    const answer = await patient.service.disconnect(tenant.org, tenant.place, id, 'system')
    expect(answer).toMatchObject({ connection: { status: 'revoked' }, provider: { state: 'queued' } })
    // The call is under way yet: no failure has ended it.
    expect([askedFor('silent'), await revocations(id)]).toMatchObject([['refresh-silent'], [{ state: 'waiting', reason: null }]])
    world.provider.behave({})
    release.resolve()
    await expect.poll(async () => (await revocations(id)).map(({ state }) => state), { timeout: 10_000 }).toEqual(['done'])
    await patient.close()
  }, 20_000)

  it('changes nothing when it is repeated, and says how it stands', async () => {
    const id = await connect(one, tenant, tokenSet('twice'))
    await disconnect(id)
    expect(await disconnect(id, two)).toMatchObject({ connection: { status: 'revoked', generation: 2 }, provider: { state: 'done' } })
    expect(await eventsOf(id)).toEqual(['connection.revoked', 'connection.revoked_at_provider'])
  })

  it('happens once when two nodes are asked at the same moment', async () => {
    const id = await connect(one, tenant, tokenSet('raced'))
    const answers = await Promise.all([disconnect(id), disconnect(id, two)])
    expect(answers.map((answer) => answer?.connection.status)).toEqual(['revoked', 'revoked'])
    expect((await eventsOf(id)).filter((action) => action === 'connection.revoked')).toHaveLength(1)
    expect(await revocations(id)).toHaveLength(1)
  })

  it('is not found in another place, nor for another organization', async () => {
    const id = await connect(one, tenant, tokenSet('elsewhere'))
    const other = await makeRevocableTenant(one)
    expect(await one.service.disconnect(tenant.org, { ...tenant.place, environment: 'live' }, id, 'x')).toBeUndefined()
    expect(await one.service.disconnect(other.org, other.place, id, 'x')).toBeUndefined()
    expect(await world.rows('select status from sallyport.connection where id = $1', [id])).toEqual([{ status: 'active' }])
  })

  it('G10 is heard of on another node: what it remembers of the connection is void', async () => {
    const id = await connect(one, tenant, tokenSet('heard'))
    const heard = new Promise<void>((resolve) => {
      const stop = two.database.onChange((change) => {
        if (change === 'unknown' || change.id !== id) return
        stop()
        resolve()
      })
    })
    await disconnect(id)
    await heard
  })
})

describe('the queue of revocations', () => {
  it('V-08 tries again when the provider is back, and until then holds the tokens sealed', async () => {
    world.provider.behave({ status: 503 })
    const id = await connect(one, tenant, tokenSet('later'))
    expect(await disconnect(id)).toMatchObject({ connection: { status: 'revoked' }, provider: { state: 'queued' } })
    const [waiting] = await revocations(id)
    expect(waiting).toMatchObject({ state: 'waiting', reason: 'provider_down', attempts: 1 })
    expect(waiting!.sealed!.toString('latin1')).not.toContain('later')
    // Not due again yet: three quarters of 15 seconds, as chance has it here.
    expect(await two.service.queue.work()).toBe(0)
    expect(askedFor('later')).toHaveLength(1)
    world.provider.behave({})
    await world.elapse()
    expect(await two.service.queue.work()).toBe(1)
    expect(askedFor('later').slice(1)).toEqual(['refresh-later', 'access-later'])
    expect(await revocations(id)).toMatchObject([{ state: 'done', attempts: 2, sealed: null }])
    expect(await eventsOf(id)).toEqual(['connection.revoked', 'connection.revoked_at_provider'])
  })

  it('waits as long as the provider asks, and asks it nothing meanwhile', async () => {
    world.provider.behave({ status: 429, retryAfter: '600' })
    const told = await newNode()
    const own = await makeRevocableTenant(told, 'patient')
    const id = await connect(told, own, tokenSet('patient'), { account: 'account-1' })
    await told.service.disconnect(own.org, own.place, id, 'system')
    const [row] = await world.rows<{ wait: number }>(
      'select extract(epoch from next_at - clock_timestamp())::float8 as wait from sallyport.revocation where connection_id = $1',
      [id],
    )
    expect(row!.wait).toBeGreaterThan(590)
    world.provider.behave({})
    const other = await connect(told, own, tokenSet('in-line'), { account: 'account-2' })
    expect(await told.service.disconnect(own.org, own.place, other, 'system')).toMatchObject({ provider: { state: 'queued' } })
    await world.elapse()
    // This node was told to wait; another has not been, and asks.
    expect(await told.service.queue.work()).toBe(0)
    expect(askedFor('in-line')).toEqual([])
    const unaware = await newNode()
    expect(await drained(unaware)).toBe(2)
    expect(askedFor('in-line')).toEqual(['refresh-in-line', 'access-in-line'])
    // Its turn that it gave up did not count.
    expect(await revocations(other)).toMatchObject([{ state: 'done', attempts: 1 }])
    await told.close()
    await unaware.close()
  })

  it('is worked on by many nodes without asking twice', async () => {
    const third = await makeRevocableTenant(two, 'many')
    const ids: ConnectionId[] = []
    for (let n = 0; n < 40; n++) ids.push(await connect(two, third, tokenSet(`many-${n}`), { account: `many-${n}` }))
    await two.database.withTenant(third.org, (tx) =>
      endConnections(tx, two.vault, ids, { actor: 'system', cause: 'bulk', tellProvider: true }),
    )
    const fresh = await newNode()
    const counts = await Promise.all([drained(two), drained(fresh)])
    expect(counts.reduce((a, b) => a + b)).toBe(40)
    const asked = world.provider.asked.map(({ token }) => token).filter((token) => token.includes('-many-'))
    expect(asked).toHaveLength(80)
    expect(new Set(asked).size).toBe(80)
    await fresh.close()
  })

  it('gives a revocation whose node died to another, when its time is over', async () => {
    const id = await connect(two, tenant, tokenSet('orphaned-work'), { account: 'account-3' })
    await two.database.withTenant(tenant.org, (tx) =>
      endConnections(tx, two.vault, [id], { actor: 'system', cause: 'bulk', tellProvider: true }),
    )
    // Taken, and never settled: as a kill -9 leaves it.
    const taken = await two.database.lookups.revocationClaim({ most: 100, seconds: 300, without: [] })
    expect(taken).toHaveLength(1)
    expect(await two.service.queue.work()).toBe(0)
    await world.elapse()
    expect(await two.service.queue.work()).toBe(1)
    expect(await revocations(id)).toMatchObject([{ state: 'done', attempts: 2 }])
  })

  it('settles a revocation once, though a slow node comes back to it after another has taken it', async () => {
    const id = await connect(two, tenant, tokenSet('slow'), { account: 'account-4' })
    await two.database.withTenant(tenant.org, (tx) =>
      endConnections(tx, two.vault, [id], { actor: 'system', cause: 'bulk', tellProvider: true }),
    )
    let others: Promise<unknown> = Promise.resolve()
    const fresh = await newNode()
    world.provider.behave({
      meanwhile: async () => {
        world.provider.behave({})
        await world.elapse()
        others = fresh.service.queue.work()
        await others
      },
    })
    await two.service.queue.work()
    expect(await revocations(id)).toMatchObject([{ state: 'done', attempts: 2 }])
    expect((await eventsOf(id)).filter((action) => action === 'connection.revoked_at_provider')).toHaveLength(1)
    await fresh.close()
  })

  it('gives up after 30 days, on record, and forgets the tokens', async () => {
    world.provider.behave({ status: 500 })
    const id = await connect(two, tenant, tokenSet('hopeless'), { account: 'account-5' })
    const fresh = await newNode()
    await fresh.service.disconnect(tenant.org, tenant.place, id, 'system')
    await world.rows("update sallyport.revocation set made_at = made_at - interval '30 days' where connection_id = $1", [id])
    await world.elapse()
    const last = await newNode()
    await last.service.queue.work()
    expect(await revocations(id)).toMatchObject([{ state: 'given_up', reason: 'provider_down', sealed: null, account_id: null }])
    expect(await eventsOf(id)).toEqual(['connection.revoked', 'connection.not_revoked_at_provider'])
    expect(await last.service.disconnect(tenant.org, tenant.place, id, 'system')).toMatchObject({
      provider: { state: 'impossible', reason: 'provider_down' },
    })
    await fresh.close()
    await last.close()
  })

  it('puts off tokens whose key was destroyed, and gives up after 30 days', async () => {
    world.provider.behave({ status: 500 })
    const [own, shredded] = [await newNode(), await makeRevocableTenant(one)]
    const id = await connect(own, shredded, tokenSet('shredded'), { account: 'account-6' })
    await own.service.disconnect(shredded.org, shredded.place, id, 'system')
    await own.database.withTenant(shredded.org, dataKeyDestroyAll)
    world.provider.behave({})
    await world.elapse()
    const worker = await newNode()
    await worker.service.queue.work()
    await worker.close()
    const [waits] = await world.rows<{ attempts: number; reason: string; seconds: string }>(
      'select attempts, reason, extract(epoch from next_at - clock_timestamp()) as seconds from sallyport.revocation where connection_id = $1',
      [id],
    )
    expect(waits).toMatchObject({ attempts: 2, reason: 'unreadable' })
    // The second step of the way to the end, and not the five minutes after which a dead node's are given to another.
    expect(Number(waits!.seconds)).toBeLessThan(60)
    await world.rows("update sallyport.revocation set made_at = made_at - interval '30 days' where connection_id = $1", [id])
    await world.elapse()
    const last = await newNode()
    await last.service.queue.work()
    expect(await revocations(id)).toMatchObject([{ state: 'given_up', reason: 'unreadable', sealed: null }])
    await own.close()
    await last.close()
  })

  it('forgets what was settled 30 days ago, and nothing that waits', async () => {
    world.provider.behave({ status: 500 })
    const own = await newNode()
    const [settled, waiting] = [
      await connect(own, tenant, tokenSet('settled'), { account: 's' }),
      await connect(own, tenant, tokenSet('waiting'), { account: 'w' }),
    ]
    await own.service.disconnect(tenant.org, tenant.place, waiting, 'system')
    world.provider.behave({})
    const other = await newNode()
    await other.service.disconnect(tenant.org, tenant.place, settled, 'system')
    await world.rows("update sallyport.revocation set settled_at = settled_at - interval '31 days', made_at = made_at - interval '29 days'")
    while ((await own.database.lookups.revocationSweep(1_000)) > 0);
    expect([await revocations(settled), (await revocations(waiting)).map(({ state }) => state)]).toEqual([[], ['waiting']])
    await own.close()
    await other.close()
  })

  it('tells nobody a token: neither the log nor the audit log holds one', async () => {
    const rows = await world.rows<{ detail: string }>('select detail from sallyport.audit_event')
    expect(world.log.join('\n') + rows.map(({ detail }) => detail).join('\n')).not.toMatch(/access-|refresh-|not-a-client-secret/u)
  })
})

describe('a grant that ends for a whole account', () => {
  it('is not taken back while a newer connection of that account lives', async () => {
    const account = await newNode('account')
    const old = await connect(account, tenant, tokenSet('old'), { account: 'the-same' })
    const fresh = await connect(account, tenant, tokenSet('new'), { account: 'the-same', endUser: 'user-2' })
    expect(await account.service.disconnect(tenant.org, tenant.place, old, 'system')).toMatchObject({
      provider: { state: 'impossible', reason: 'shared_account' },
    })
    expect(askedFor('old')).toEqual([])
    expect(await account.service.disconnect(tenant.org, tenant.place, fresh, 'system')).toMatchObject({ provider: { state: 'done' } })
    await account.close()
  })
})

describe('a refresh token that another connection lives on', () => {
  it('S2 is not taken back, be it shared or imported again since', async () => {
    const node = await newNode()
    const shared = tokenSet('shared-by-two')
    const [one, two] = [
      await connect(node, tenant, shared, { account: null }),
      await connect(node, tenant, shared, { account: null, endUser: 'user-2' }),
    ]
    expect(await node.service.disconnect(tenant.org, tenant.place, one, 'system')).toMatchObject({
      provider: { state: 'impossible', reason: 'shared_account' },
    })
    expect(askedFor('shared-by-two')).toEqual([])
    expect(await node.service.disconnect(tenant.org, tenant.place, two, 'system')).toMatchObject({ provider: { state: 'done' } })
    expect(askedFor('shared-by-two')).toEqual(['refresh-shared-by-two', 'access-shared-by-two'])
  })
})

describe('a refresh that is under way', () => {
  it('V-06 ends with the connection: what it brings is not kept, and is taken back at the provider', async () => {
    const id = await connect(two, tenant, tokenSet('before'), { account: 'account-6' })
    const logger = createLogger({ level: 'silent', format: 'json' })
    const transitions = createTransitions({ useLog: { use: () => undefined }, logger })
    const store = createTenantStore({
      database: two.database,
      vault: two.vault,
      lineage: two.lineage,
      transitions,
      logger,
      orphaned: (tx, of, tokens) => two.service.queue.orphanIn(tx, of, tokens),
    })
    const ref = refOf({ org: tenant.org, connection: id })
    const state = (await store.read(ref))!
    const begun = (await store.begin(
      ref,
      { generation: state.generation, headSeq: state.head.seq, parentSeq: state.head.seq, replaces: null },
      { node: 'a node', attempt: 1 },
    ))!
    const fresh = await newNode()
    await fresh.service.disconnect(tenant.org, tenant.place, id, 'system')
    const { generation, parentSeq } = begun.intent
    const tokens = tokenSet('after')
    expect(await store.save(ref, { intent: begun.intent.id, generation, parentSeq, tokens })).toBe('ended')
    // Queued as it was found too late, and not once more when the engine hands it on.
    await fresh.service.queue.orphan(ref, tokens)
    await expect.poll(async () => (await revocations(id)).map(({ state: now }) => now), { timeout: 30_000 }).toEqual(['done', 'done'])
    expect(askedFor('after')).toEqual(['refresh-after', 'access-after'])
    expect(await world.rows('select status, head_seq from sallyport.connection where id = $1', [id])).toEqual([
      { status: 'revoked', head_seq: '0' },
    ])
    expect(await world.rows('select 1 from sallyport.refresh_intent where connection_id = $1', [id])).toEqual([])
    await store.close()
    await fresh.close()
  })

  it('V-06 is taken back also when the connection is gone altogether by then', async () => {
    const id = await connect(two, tenant, tokenSet('gone-before'), { account: 'account-7', endUser: 'somebody-gone' })
    const fresh = await newNode()
    await fresh.service.eraseEndUser(tenant.org, tenant.place, 'somebody-gone', 'system')
    await fresh.service.queue.orphan(refOf({ org: tenant.org, connection: id }), tokenSet('gone-after'))
    await expect.poll(() => askedFor('gone-after'), { timeout: 30_000 }).toEqual(['refresh-gone-after', 'access-gone-after'])
    await fresh.close()
  })
})

describe('forgetting an end user', () => {
  it('S69 ends and takes back every connection, removes it, and takes the paths of its calls out of the records', async () => {
    const node = await newNode()
    const own = await makeRevocableTenant(node, 'forget')
    const ids = [
      await connect(node, own, tokenSet('gdpr-1'), { endUser: 'grace', account: 'g1' }),
      await connect(node, own, tokenSet('gdpr-2'), { endUser: 'grace', account: 'g2' }),
    ]
    const other = await connect(node, own, tokenSet('gdpr-other'), { endUser: 'alan', account: 'a1' })
    await node.database.withTenant(own.org, async (tx) => {
      await requestRecordInsertMany(
        tx,
        [...ids, other].map((connection, n) => ({
          ...own.place,
          org: own.org,
          id: newId('req'),
          at: new Date(),
          integrationSlug: 'forget',
          connection,
          key: newId('key'),
          method: 'GET',
          path: `/users/somebody-${n}`,
          status: 200,
          source: 'provider' as const,
          error: null,
          durationUs: 1,
          bytesIn: 0,
          bytesOut: 0,
        })),
      )
      await connectSessionInsert(tx, {
        ...own.place,
        id: newId('cs'),
        integration: own.integration,
        connection: null,
        reconnect: false,
        endUserId: 'grace',
        linkHash: sha256(randomUUID()),
        returnTo: null,
        startedBy: 'system',
        consoleSessionHash: null,
        ttlSeconds: 600,
      })
    })
    const erased = await node.service.eraseEndUser(own.org, own.place, 'grace', 'key_of_a_test')
    expect(erased).toEqual({ connections: 2, sessions: 1, keys: [], revocations: 2, contents: 0, usageRecords: 0 })
    await node.close()
    const later = await newNode()
    await drained(later)
    expect(new Set([...askedFor('gdpr-1'), ...askedFor('gdpr-2')])).toEqual(
      new Set(['refresh-gdpr-1', 'access-gdpr-1', 'refresh-gdpr-2', 'access-gdpr-2']),
    )
    expect(askedFor('gdpr-other')).toEqual([])
    const records = await later.database.withTenant(own.org, (tx) => requestRecordList(tx, own.place, { limit: 10 }))
    expect(records.map(({ path }) => path).toSorted()).toEqual(['(erased)', '(erased)', '/users/somebody-2'])
    // Nothing that names the person is left in any table but the application's own id in none.
    const left = await world.rows<{ n: string }>(
      `select (select count(*) from sallyport.connection where end_user_id = 'grace')
         + (select count(*) from sallyport.connect_session where end_user_id = 'grace')
         + (select count(*) from sallyport.credential_version where connection_id = any ($1))
         + (select count(*) from sallyport.revocation where org_id = $2 and (sealed is not null or account_id is not null)) as n`,
      [ids, own.org],
    )
    expect(left).toEqual([{ n: '0' }])
    expect(JSON.stringify(await world.events(own.org))).not.toContain('grace')
    expect(await later.service.eraseEndUser(own.org, own.place, 'grace', 'key_of_a_test')).toMatchObject({ connections: 0, sessions: 0 })
    expect((await world.events(own.org)).filter(({ action }) => action === 'end_user.deleted')).toHaveLength(1)
    await later.close()
  })
})

/** One more node, which no provider has asked for patience yet. */
async function newNode(reach: 'token' | 'account' = 'token', patienceMs?: number | 'default'): Promise<RevokingNode> {
  return openRevokingNode(await world.db.open({ poolSize: 4 }), {
    rootKeys: world.rootKeys,
    providerOrigin: world.provider.origin,
    reach,
    log: world.log,
    ...(patienceMs === undefined ? {} : { patienceMs }),
  })
}

async function drained(node: RevokingNode): Promise<number> {
  let all = 0
  for (let done = await node.service.queue.work(); done > 0; done = await node.service.queue.work()) all += done
  return all
}
