import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { formatId, newId, parseId, readTokenSet, Secret } from '@sallyport/core'
import type { ConnectionId } from '@sallyport/core'
import { startIssuer } from '../../../testkit/src/issuer/index.ts'
import type { Issuer } from '../../../testkit/src/issuer/index.ts'
import { CONNECT_LIMITS } from '../../src/connect/index.ts'
import type { ConnectPlace, ConnectSessionInput } from '../../src/connect/index.ts'
import { credentialPlace } from '../../src/vault/index.ts'
import { connectionFind, credentialHead, integrationInsert, projectCreate } from '../../src/db/index.ts'
import type { Connection } from '../../src/db/index.ts'
import type { KeyPrincipal } from '../../src/identity/index.ts'
import { endConnections } from '../../src/revocation/index.ts'
import { APP, Browser, createGateway } from './harness.ts'
import type { Gateway } from './harness.ts'

let issuer: Issuer
let gateway: Gateway

beforeAll(async () => {
  issuer = await startIssuer()
  gateway = await createGateway(inject('postgresUrl'), {
    overlays: { github: issuer.endpoints, google: issuer.endpoints },
    insecureAllowOrigins: [issuer.origin],
    // The account look-up of the other one differs from this issuer's.
    change: (provider) => ({ ...provider, userinfo: { ...provider.userinfo, idPath: ['id'], labelPath: ['login'] } }),
    nodes: 2,
    limits: { unfinishedPerEnvironment: 12 },
  })
  await gateway.register('github', 'github', issuer)
  await gateway.register('google', 'google', issuer)
})
beforeEach(async () => {
  issuer.behave()
  // Each test has the whole quota.
  await gateway.rows("update sallyport.connect_session set expires_at = now() - interval '1 minute' where status <> 'completed'")
})
afterAll(async () => {
  await gateway.close()
  await issuer.close()
})

describe('the beginning of a connect session', () => {
  it.each([
    '//evil.test/x',
    '/\\evil.test',
    '\\\\evil.test',
    'javascript:alert(1)',
    'https://app.test@evil.test/',
    'https://other.test/',
    'http://app.test/',
    'https://app.test:8443/',
  ])('O-19 refuses to return to %s', async (returnTo) => {
    await expect(gateway.begin({ returnTo })).rejects.toMatchObject({ code: 'return_to_refused' })
  })

  it('T-04 finds no integration, project or connection of elsewhere', async () => {
    const connection = await connected()
    const attempts: [ConnectPlace, Partial<ConnectSessionInput>][] = [
      [gateway.place, { integration: 'unknown' }],
      [{ ...gateway.place, environment: 'live' }, {}],
      [{ ...gateway.place, project: newId('proj') }, {}],
      [{ ...gateway.place, org: newId('org') }, {}],
      [gateway.place, { connection: newId('conn') }],
      [gateway.place, { connection: connection.id, endUserId: 'user-2' }],
    ]
    for (const [place, input] of attempts) {
      const begun = gateway.connect.createSession(gateway.key, place, { integration: 'github', endUserId: 'user-1', ...input })
      await expect(begun).rejects.toMatchObject({ code: 'not_found' })
    }
  })

  it('D-14 is refused beyond the quota, and possible again when earlier ones end', async () => {
    for (let count = 0; count < 12; count++) await gateway.begin()
    await expect(gateway.begin()).rejects.toMatchObject({ code: 'overloaded' })
    await gateway.rows("update sallyport.connect_session set expires_at = now() - interval '1 second' where status = 'open'")
    await expect(gateway.begin()).resolves.toBeDefined()
  })

  it('D-14 is refused in the environment that is full, and in no other', async () => {
    const live: ConnectPlace = { ...gateway.place, environment: 'live' }
    await gateway.database.withTenant(live.org, async (tx) => {
      const { project, environment } = live
      const place = { project, environment, provider: 'github', clientId: 'live', clientSecret: Buffer.alloc(1), scopes: ['repo'] }
      await integrationInsert(tx, { ...place, id: newId('int'), slug: 'github', context: 'context-of-the-live-one' })
    })
    for (let count = 0; count < 12; count++) await gateway.begin()
    await expect(gateway.begin()).rejects.toMatchObject({ code: 'overloaded' })
    const caller: KeyPrincipal = { ...gateway.key, environment: 'live' }
    const begun = gateway.connect.createSession(caller, live, { integration: 'github', endUserId: 'user-1' })
    await expect(begun).resolves.toBeDefined()
  })

  it('gives a link of 256 bits that is stored as a hash alone, and lives ten minutes', async () => {
    const { link, session } = await gateway.begin()
    expect(link).toMatch(/\/connect\/[\w-]{43}$/u)
    expect(Math.abs(Date.parse(session.expires_at) - Date.parse(session.created_at) - CONNECT_LIMITS.linkTtlS * 1000)).toBeLessThan(5_000)
  })
})

describe('the confirmation', () => {
  it('given again gives the same connection and changes nothing', async () => {
    const { session, code } = await authorized()
    const first = await complete(session, code)
    const events = (await gateway.actions()).length
    expect(await complete(session, code)).toEqual(first)
    expect((await gateway.actions()).length).toBe(events)
  })

  it('given ten times at once makes the connection usable once', async () => {
    const { session, code } = await authorized()
    const events = (await gateway.actions()).length
    const made = await Promise.all(Array.from({ length: 10 }, () => complete(session, code)))
    expect(new Set(made.map(({ id, status }) => `${id} ${status}`)).size).toBe(1)
    expect((await gateway.actions()).slice(events)).toEqual(['connection.created'])
  })

  it('for another user takes everything back', async () => {
    const { session, code } = await authorized()
    await expect(complete(session, code, 'user-2')).rejects.toMatchObject({ code: 'connect_user_mismatch' })
    expect(await left(session)).toEqual({ status: 'failed', failure: 'connect_user_mismatch', connections: 0, credentials: 0 })
    expect((await gateway.actions()).at(-1)).toBe('connect_session.failed')
    const queued = 'select cause, state from sallyport.revocation where connection_id = $1'
    expect(await gateway.rows(queued, [uuid(session)])).toEqual([{ cause: 'orphaned', state: 'waiting' }])
    await expect(complete(session, code)).rejects.toMatchObject({ code: 'connect_session_invalid' })
  })

  it('with five wrong codes fails the session, and the right one comes too late', async () => {
    const { session, code } = await authorized()
    for (let attempt = 1; attempt <= 4; attempt++) {
      await expect(complete(session, 'A'.repeat(43))).rejects.toMatchObject({
        code: 'forbidden',
        publicDetail: `The code is wrong. Tries left: ${5 - attempt}.`,
      })
      expect(await left(session)).toMatchObject({ status: 'awaiting_confirmation', connections: 1 })
    }
    await expect(complete(session, '')).rejects.toMatchObject({ code: 'forbidden' })
    await expect(complete(session, code)).rejects.toMatchObject({ code: 'connect_session_invalid' })
    expect(await left(session)).toEqual({ status: 'failed', failure: 'connect_session_invalid', connections: 0, credentials: 0 })
  })

  it('with wrong codes at once is counted to the last one', async () => {
    const { session, code } = await authorized()
    const attempts = await Promise.allSettled(Array.from({ length: 12 }, () => complete(session, 'A'.repeat(43))))
    expect(attempts.every(({ status }) => status === 'rejected')).toBe(true)
    await expect(complete(session, code)).rejects.toMatchObject({ code: 'connect_session_invalid' })
  })

  it('comes too early before the browser is back, and too late after its time', async () => {
    const { session } = await gateway.begin()
    await expect(complete(session.id, 'any')).rejects.toMatchObject({ code: 'connect_session_invalid' })
    const waiting = await authorized()
    await gateway.rows("update sallyport.connect_session set expires_at = now() - interval '1 second' where id = $1", [
      uuid(waiting.session),
    ])
    await expect(complete(waiting.session, waiting.code)).rejects.toMatchObject({ code: 'connect_session_invalid' })
  })

  it('T-01 by a key of another project, environment or connection finds nothing, and uses no try up', async () => {
    const { session, code } = await authorized()
    const project = newId('proj')
    await gateway.database.withTenant(gateway.place.org, (tx) => projectCreate(tx, { id: project, name: 'Another' }))
    const bound: KeyPrincipal = { ...gateway.key, connection: newId('conn') }
    const confirmation = { code: new Secret(code), endUserId: 'user-1' }
    for (let round = 0; round < 6; round++) {
      const attempts = [
        () => gateway.connect.complete(gateway.key, { ...gateway.place, project }, uuid(session), confirmation),
        () => gateway.connect.complete(gateway.key, { ...gateway.place, environment: 'live' }, uuid(session), confirmation),
        () => gateway.connect.complete(gateway.key, { ...gateway.place, org: newId('org') }, uuid(session), confirmation),
        () => gateway.connect.complete(bound, gateway.place, uuid(session), confirmation),
        () => gateway.connect.complete(gateway.key, gateway.place, newId('cs'), confirmation),
        () => gateway.connect.getSession(bound, gateway.place, uuid(session)),
      ]
      for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject({ code: 'not_found' })
    }
    expect(await complete(session, code)).toMatchObject({ status: 'active' })
  })
})

describe('a reconnect', () => {
  it('O-23 keeps the id, raises the generation, and replaces the credential only when it is confirmed', async () => {
    const before = await connected()
    const oldToken = await tokenOf(before.id)
    const { session, code } = await authorized({ connection: before.id })
    expect(await find(before.id)).toMatchObject({ status: 'active', generation: 1, headSeq: 1n })
    expect(await tokenOf(before.id)).toBe(oldToken)
    expect(await gateway.connect.getSession(gateway.key, gateway.place, uuid(session))).toMatchObject({
      status: 'awaiting_confirmation',
      connection: formatId('conn', before.id),
    })

    const after = await complete(session, code)
    expect(after).toMatchObject({ id: before.id, status: 'active', generation: 2, headSeq: 2n })
    expect(await tokenOf(before.id)).toBe(issuer.tokens.at(-1))
    expect(await left(session)).toMatchObject({ status: 'completed', connections: 0, credentials: 0 })
    expect((await gateway.actions()).at(-1)).toBe('connection.reconnected')
  })

  it('heals a connection that needs it', async () => {
    const before = await connected()
    await gateway.rows("update sallyport.connection set status = 'reconnect_required' where id = $1", [before.id])
    const { session, code } = await authorized({ connection: before.id })
    expect(await complete(session, code)).toMatchObject({ id: before.id, status: 'active', generation: 2 })
  })

  it('V-06 under way ends with the connection: neither a consent nor a confirmation from before brings it back', async () => {
    const before = await connected()
    const waiting = await authorized({ connection: before.id })
    const { link, session } = await gateway.begin({ connection: before.id })
    const browser = new Browser(gateway.nodes[0])
    const back = await browser.authorize(link)
    await disconnect(before.id)
    expect((await browser.get(back)).text).toContain('connect_session_invalid')
    await expect(complete(waiting.session, waiting.code)).rejects.toMatchObject({ code: 'connect_session_invalid' })
    for (const one of [waiting.session, session.id]) {
      expect(await left(one)).toEqual({ status: 'failed', failure: 'connect_session_invalid', connections: 0, credentials: 0 })
    }
    expect(await find(before.id)).toMatchObject({ status: 'revoked', generation: 2, headSeq: 0n })
    // What the first had brought is taken back at the provider.
    const queued = 'select cause from sallyport.revocation where connection_id = $1'
    expect(await gateway.rows(queued, [uuid(waiting.session)])).toEqual([{ cause: 'orphaned' }])

    const again = await authorized({ connection: before.id })
    expect(await complete(again.session, again.code)).toMatchObject({ id: before.id, status: 'active', generation: 2 })
  })

  it('V-06 confirmed at the same moment as the end is over with it, or before it', async () => {
    for (let round = 0; round < 6; round++) {
      const before = await connected()
      const { session, code } = await authorized({ connection: before.id })
      const [, done] = await Promise.allSettled([disconnect(before.id), complete(session, code)])
      expect(await find(before.id)).toMatchObject({ status: 'revoked', headSeq: 0n, generation: done.status === 'fulfilled' ? 3 : 2 })
    }
  })

  it('O-23 with another account of the provider is refused, and the connection stays as it was', async () => {
    const before = await connected()
    const token = await tokenOf(before.id)
    issuer.behave({ account: { id: 99, login: 'eve' } })
    const { link, session } = await gateway.begin({ connection: before.id })
    const browser = new Browser(gateway.nodes[0])
    const visit = await browser.get(await browser.authorize(link))
    expect([visit.status, visit.text.includes('connect_user_mismatch')]).toEqual([403, true])
    expect(await find(before.id)).toMatchObject({ status: 'active', generation: 1, account: { id: '4711', label: 'grace' } })
    expect(await tokenOf(before.id)).toBe(token)
    expect(await left(session.id)).toMatchObject({ status: 'failed', failure: 'connect_user_mismatch', connections: 0 })
    // What the other account gave is not kept here, and not left there.
    expect(await gateway.rows('select cause, state from sallyport.revocation where connection_id = $1', [uuid(session.id)])).toEqual([
      { cause: 'orphaned', state: 'waiting' },
    ])
  })

  it('confirmed for another user leaves the connection as it was', async () => {
    const before = await connected()
    const { session, code } = await authorized({ connection: before.id })
    await expect(complete(session, code, 'user-2')).rejects.toMatchObject({ code: 'connect_user_mismatch' })
    expect(await find(before.id)).toMatchObject({ status: 'active', generation: 1, headSeq: 1n })
    expect(await left(session)).toMatchObject({ status: 'failed', connections: 0, credentials: 0 })
  })

  it('by two sessions at once gives two generations, each with its own credential', async () => {
    const before = await connected()
    const first = await authorized({ connection: before.id })
    const second = await authorized({ connection: before.id })
    const done = await Promise.allSettled([complete(first.session, first.code), complete(second.session, second.code)])
    const won = done.filter(({ status }) => status === 'fulfilled').length
    expect(won).toBeGreaterThan(0)
    expect(await find(before.id)).toMatchObject({ status: 'active', generation: 1 + won, headSeq: BigInt(1 + won) })
  })

  it('may be begun by a key bound to that connection, and by no key bound to another', async () => {
    const before = await connected()
    const input = { integration: 'github', endUserId: 'user-1', connection: before.id }
    await expect(gateway.connect.createSession({ ...gateway.key, connection: before.id }, gateway.place, input)).resolves.toBeDefined()
    await expect(gateway.connect.createSession({ ...gateway.key, connection: newId('conn') }, gateway.place, input)).rejects.toMatchObject({
      code: 'not_found',
    })
    const fresh = { integration: 'github', endUserId: 'user-1' }
    await expect(gateway.connect.createSession({ ...gateway.key, connection: before.id }, gateway.place, fresh)).rejects.toMatchObject({
      code: 'not_found',
    })
  })

  it('by a person in the console is done when the browser is back', async () => {
    const before = await connected()
    const ada = await gateway.person('ada-reconnects')
    const { link } = await gateway.connect.createSession(ada.principal, gateway.place, {
      integration: 'github',
      endUserId: 'user-1',
      connection: before.id,
    })
    const browser = new Browser(gateway.nodes[0], ada.cookie)
    expect((await browser.get(await browser.authorize(link))).status).toBe(200)
    expect(await find(before.id)).toMatchObject({ status: 'active', generation: 2, headSeq: 2n })
    expect(await tokenOf(before.id)).toBe(issuer.tokens.at(-1))
  })
})

describe('a refresh token that comes again with a consent', () => {
  /** The provider gives it with every consent from now on. */
  const givingAgain = (token = `fake-refresh-${newId('req')}`): void => issuer.behave({ members: { refresh_token: token } })
  const from = (user: string, over: Partial<ConnectSessionInput> = {}) => authorized({ endUserId: user, ...over })
  const newUser = () => `user-${newId('req')}`

  it('S2 of the same user goes into the connection that holds it, which keeps its id', async () => {
    givingAgain()
    const user = newUser()
    const [first, second] = [await from(user), await from(user)]
    const before = await complete(first.session, first.code, user)
    expect(await complete(second.session, second.code, user)).toMatchObject({ id: before.id, status: 'active', generation: 2, headSeq: 2n })
    expect(await tokenOf(before.id)).toBe(issuer.tokens.at(-1))
    expect((await gateway.actions()).at(-1)).toBe('connection.reconnected')
    expect(await left(second.session)).toMatchObject({ status: 'completed', connections: 0, credentials: 0 })
    expect(await gateway.connect.getSession(gateway.key, gateway.place, uuid(second.session))).toMatchObject({
      connection: formatId('conn', before.id),
    })
    expect((await complete(second.session, second.code, user)).id).toBe(before.id)
  })

  it('S2 of the same user in the console goes there too', async () => {
    givingAgain()
    const user = newUser()
    const first = await from(user)
    const before = await complete(first.session, first.code, user)
    const ada = await gateway.person('ada-again')
    const { link, session } = await gateway.connect.createSession(ada.principal, gateway.place, { integration: 'github', endUserId: user })
    const browser = new Browser(gateway.nodes[0], ada.cookie)
    expect((await browser.get(await browser.authorize(link))).status).toBe(200)
    expect(await find(before.id)).toMatchObject({ status: 'active', generation: 2 })
    expect(await left(session.id)).toMatchObject({ status: 'completed', connections: 0 })
  })

  it('S2 of another user is refused where tokens rotate, and the connection that holds it stays as it was', async () => {
    givingAgain()
    const [one, other] = [newUser(), newUser()]
    const first = await from(one)
    const before = await complete(first.session, first.code, one)
    const second = await from(other)
    await expect(complete(second.session, second.code, other)).rejects.toMatchObject({ code: 'refresh_token_held' })
    expect(await find(before.id)).toMatchObject({ status: 'active', generation: 1 })
    expect(await left(second.session)).toMatchObject({ status: 'awaiting_confirmation' })
  })

  it('S2 confirmed for two users at once, on two nodes, makes one connection', async () => {
    for (let round = 0; round < 4; round++) {
      givingAgain()
      const users = [newUser(), newUser()]
      const sessions = [await from(users[0]!), await from(users[1]!)]
      const done = await Promise.allSettled(
        sessions.map(({ session, code }, n) =>
          gateway.nodes[n]!.connect.complete(gateway.key, gateway.place, uuid(session), { code: new Secret(code), endUserId: users[n]! }),
        ),
      )
      expect(done.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
      expect(done.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'refresh_token_held' } })
    }
  })

  it('of another user makes another connection where the provider never rotates', async () => {
    givingAgain()
    const [one, other] = [newUser(), newUser()]
    const first = await from(one, { integration: 'google' })
    const second = await from(other, { integration: 'google' })
    const made = [await complete(first.session, first.code, one), await complete(second.session, second.code, other)]
    expect(new Set(made.map(({ id }) => id)).size).toBe(2)
    const again = await from(other, { integration: 'google' })
    expect(await complete(again.session, again.code, other)).toMatchObject({ id: made[1]!.id, generation: 2 })
  })

  it('of a connection that is disconnected makes a new one', async () => {
    givingAgain()
    const user = newUser()
    const first = await from(user)
    const before = await complete(first.session, first.code, user)
    await disconnect(before.id)
    const second = await from(user)
    const after = await complete(second.session, second.code, user)
    expect(after).toMatchObject({ status: 'active', generation: 1 })
    expect(after.id).not.toBe(before.id)
  })
})

describe('the sweep', () => {
  it('clears what expired of every tenant, and nothing else', async () => {
    const kept = await connected()
    const unconfirmed = await authorized()
    const reconnecting = await authorized({ connection: kept.id })
    const waiting = await authorized()
    const { link } = await gateway.begin()
    await new Browser(gateway.nodes[0]).authorize(link)
    await gateway.rows("update sallyport.connection set created_at = now() - interval '31 minutes' where id = any($1)", [
      [unconfirmed.session, reconnecting.session].map(uuid),
    ])
    await gateway.rows("update sallyport.connection set created_at = now() - interval '31 days' where id = $1", [kept.id])
    await gateway.rows("update sallyport.oauth_state set expires_at = now() - interval '1 second'")

    const events = (await gateway.actions()).length
    await Promise.all(gateway.nodes.map((node) => node.connect.sweepExpired()))

    expect((await gateway.actions()).slice(events)).toEqual(['connect_session.failed', 'connect_session.failed'])
    expect(await left(unconfirmed.session)).toEqual({
      status: 'failed',
      failure: 'connect_session_invalid',
      connections: 0,
      credentials: 0,
    })
    expect(await left(reconnecting.session)).toMatchObject({ status: 'failed', connections: 0, credentials: 0 })
    expect(await gateway.connect.getSession(gateway.key, gateway.place, uuid(reconnecting.session))).toMatchObject({
      connection: formatId('conn', kept.id),
    })
    expect(await find(kept.id)).toMatchObject({ status: 'active' })
    expect(await gateway.rows('select 1 from sallyport.oauth_state')).toEqual([])
    expect(await complete(waiting.session, waiting.code)).toMatchObject({ status: 'active' })
  })

  it('A-06 tells of each connection it takes back, to its own organization, once', async () => {
    const made = [await authorized(), await authorized()].map(({ session }) => session)
    await gateway.rows("update sallyport.connection set created_at = now() - interval '31 minutes' where id = any($1)", [made.map(uuid)])
    const lookups = gateway.database.lookups
    expect((await lookups.unconfirmedConnections(10)).map(({ session }) => session).toSorted()).toEqual(made.map(uuid).toSorted())
    await gateway.connect.sweepExpired()
    await gateway.connect.sweepExpired()
    const told = await gateway.rows<{ target: string; actor: string; org_id: string }>(
      "select target, actor, org_id from sallyport.audit_event where action = 'connect_session.failed' and target = any($1)",
      [made],
    )
    expect(told.map(({ target }) => target).toSorted()).toEqual(made.toSorted())
    const queued = 'select 1 from sallyport.revocation where connection_id = any($1)'
    expect(await gateway.rows(queued, [made.map(uuid)])).toHaveLength(2)
    expect(new Set(told.map(({ actor, org_id }) => `${actor} ${org_id}`))).toEqual(new Set([`system ${gateway.place.org}`]))
  })

  it('A-06 takes no connection back whose event is refused, says so, and clears what expired all the same', async () => {
    const { session } = await authorized()
    const { link } = await gateway.begin()
    await new Browser(gateway.nodes[0]).authorize(link)
    await gateway.rows("update sallyport.oauth_state set expires_at = now() - interval '1 second'")
    await gateway.rows("update sallyport.connection set created_at = now() - interval '31 minutes' where id = $1", [uuid(session)])
    await gateway.rows(`create function public.refuse() returns trigger language plpgsql as $$ begin raise 'full'; end $$`)
    await gateway.rows('create trigger refused before insert on sallyport.audit_event execute function public.refuse()')
    try {
      await expect(gateway.connect.sweepExpired()).rejects.toThrow()
      expect(await left(session)).toMatchObject({ status: 'awaiting_confirmation', connections: 1, credentials: 1 })
      expect(await gateway.rows('select 1 from sallyport.oauth_state')).toEqual([])
    } finally {
      await gateway.rows('drop function public.refuse cascade')
    }
    await gateway.connect.sweepExpired()
    expect(await left(session)).toMatchObject({ status: 'failed', connections: 0, credentials: 0 })
  })

  it('forgets sessions a day after their end, and keeps the connections they made', async () => {
    const made = await connected()
    await gateway.rows("update sallyport.connect_session set expires_at = now() - interval '25 hours'")
    await gateway.connect.sweepExpired()
    expect(await gateway.rows('select 1 from sallyport.connect_session')).toEqual([])
    expect(await find(made.id)).toMatchObject({ status: 'active' })
  })

  it('T-20 gives the gateway no other reach: it still sees no row of any tenant without naming one', async () => {
    await connected()
    const counts = await gateway.db.asGateway(
      async (client) => (await client.query('select count(*)::int as n from sallyport.connection')).rows as { n: number }[],
    )
    expect(counts).toEqual([{ n: 0 }])
  })
})

async function authorized(input: Partial<ConnectSessionInput> = {}): Promise<{ session: string; code: string }> {
  const { session, link } = await gateway.begin(input)
  const browser = new Browser(gateway.nodes[0])
  const visit = await browser.get(await browser.authorize(link))
  expect(visit.location).toContain(APP)
  return { session: session.id, code: new URL(visit.location!).searchParams.get('connect_code')! }
}

async function connected(): Promise<Connection> {
  const { session, code } = await authorized()
  return complete(session, code)
}

function complete(session: string, code: string, endUserId = 'user-1'): Promise<Connection> {
  return gateway.connect.complete(gateway.key, gateway.place, uuid(session), { code: new Secret(code), endUserId })
}

function disconnect(id: ConnectionId): Promise<unknown> {
  const ending = { actor: 'key_of_a_test', cause: 'disconnected', tellProvider: true } as const
  return gateway.database.withTenant(gateway.place.org, (tx) => endConnections(tx, gateway.vault, [id], ending))
}

function uuid(session: string) {
  return parseId('cs', session)!
}

async function find(id: ConnectionId): Promise<Connection> {
  return (await gateway.database.withTenant(gateway.place.org, (tx) => connectionFind(tx, gateway.place, id)))!
}

async function tokenOf(id: ConnectionId): Promise<string> {
  const head = await gateway.database.withTenant(gateway.place.org, (tx) => credentialHead(tx, id))
  return readTokenSet(await gateway.vault.open(gateway.place.org, credentialPlace(id, head!.seq), head!.sealed)).accessToken.reveal()
}

/** What became of a session, and of the connection (or candidate) that it made. */
async function left(session: string): Promise<object> {
  const [row] = await gateway.rows(
    `select s.status, s.failure, (select count(*)::int from sallyport.connection c where c.id = s.id) as connections,
       (select count(*)::int from sallyport.credential_version v where v.connection_id = s.id) as credentials
     from sallyport.connect_session s where s.id = $1`,
    [uuid(session)],
  )
  return row!
}
