/** What keys may be made of, what bodies may point at, and how lists are walked: over the typed client, as an application does it. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createClient, inEnvironment, SallyportApiError } from '../../../client/src/index.ts'
import type { Client } from '../../../client/src/index.ts'
import { SCOPES } from '@sallyport/contract'
import type { Scope } from '@sallyport/contract'
import { formatId, newId, parseId } from '@sallyport/core'
import { connectionInsert } from '../../src/db/index.ts'
import { asAdmin, asKey, createWorld, send } from './world.ts'
import type { TestOrg, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
})
afterAll(() => world?.close())

const clientOf = (key: string): Client => createClient({ baseUrl: world.url, key })
const personOf = (person: { cookie: string }): Client =>
  createClient({ baseUrl: world.url, cookies: person.cookie, headers: { origin: 'http://127.0.0.1:7255' } })
const placeOf = ({ params }: TestOrg) => ({ org: params.org, project: params.project, environment: 'test' as const })
const keysOf = (key: string, at = world.a) => inEnvironment(clientOf(key), placeOf(at)).keys

/** The code and status that a call is refused with; fails when it isn't. */
async function refusal(call: Promise<unknown>): Promise<{ code: string; status: number }> {
  const error = await call.then(
    () => expect.unreachable('the call was not refused'),
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(SallyportApiError)
  const { code, status } = error as SallyportApiError
  return { code, status }
}

describe('making keys', () => {
  it('T-10 gives a child no scope that its maker lacks', async () => {
    const maker = keysOf(await world.makeKey(world.a, { scopes: ['keys:write', 'proxy:call'] }))
    for (const scope of SCOPES.filter((one) => one !== 'keys:write' && one !== 'proxy:call')) {
      expect(await refusal(maker.create({ name: 'child', scopes: ['proxy:call', scope] }))).toEqual({
        code: 'insufficient_scope',
        status: 403,
      })
    }
    const { key } = await maker.create({ name: 'child', scopes: ['proxy:call', 'proxy:call'] })
    expect(key).toMatchObject({ scopes: ['proxy:call'], connection: null, expires_at: null })
  })

  it('T-10 lets no child outlive its maker', async () => {
    const maker = keysOf(await world.makeKey(world.a, { expiresInS: 600 }))
    expect(await refusal(maker.create({ name: 'child', scopes: ['proxy:call'] }))).toEqual({ code: 'forbidden', status: 403 })
    expect(await refusal(maker.create({ name: 'child', scopes: ['proxy:call'], expires_in_s: 601 }))).toEqual({
      code: 'forbidden',
      status: 403,
    })
    const { key } = await maker.create({ name: 'child', scopes: ['proxy:call'], expires_in_s: 500 })
    expect(Date.parse(key.expires_at!) - Date.parse(key.created_at)).toBeLessThanOrEqual(500_000)
  })

  it("T-10 binds a bound key's children to the same connection", async () => {
    const other = newId('conn')
    const at = { project: world.a.projects[0], environment: 'test' } as const
    await world.database.withTenant(world.a.org, (tx) =>
      connectionInsert(tx, { ...at, id: other, integration: world.a.integration, endUserId: 'user-2' }),
    )
    const bound = await world.makeKey(world.a, { connection: world.a.connection })
    const maker = keysOf(bound)
    const own = formatId('conn', world.a.connection)
    expect(await refusal(maker.create({ name: 'child', scopes: ['proxy:call'], connection: formatId('conn', other) }))).toEqual({
      code: 'forbidden',
      status: 403,
    })
    expect((await maker.create({ name: 'child', scopes: ['proxy:call'] })).key.connection).toBe(own)
    const { connections, requests } = inEnvironment(clientOf(bound), placeOf(world.a))
    expect((await collect(connections.list())).map(({ id }) => id)).toEqual([own])
    expect((await refusal(connections.get(formatId('conn', other)))).code).toBe('not_found')
    expect((await refusal(collect(requests.list()))).code).toBe('forbidden')
  })

  it('T-10 shows a bound key the keys of its own connection, and lets it revoke no other', async () => {
    const own = { connection: world.a.connection }
    const maker = keysOf(await world.makeKey(world.a, own))
    const { key: child } = await maker.create({ name: 'child', scopes: ['proxy:call'] })
    const { key: free } = await keysOf(world.a.key).create({ name: 'free', scopes: ['proxy:call'] })
    const seen = await collect(maker.list())
    expect(seen.every(({ connection }) => connection === formatId('conn', own.connection))).toBe(true)
    expect(seen.map(({ id }) => id)).toContain(child.id)
    expect(await refusal(maker.revoke(free.id))).toEqual({ code: 'not_found', status: 404 })
    expect((await collect(keysOf(world.a.key).list())).find(({ id }) => id === free.id)?.revoked_at).toBeNull()
    expect((await maker.revoke(child.id)).revoked_at).not.toBeNull()
  })

  it('T-10 T-11 lets people give away what their role may do, and no more', async () => {
    const as = (role: 'DEVELOPER' | 'ADMIN' | 'VIEWER' | 'BILLING') => inEnvironment(personOf(world.a.people[role]), placeOf(world.a)).keys
    expect(await refusal(as('DEVELOPER').create({ name: 'n', scopes: ['integrations:write'] }))).toEqual({
      code: 'insufficient_scope',
      status: 403,
    })
    expect((await as('DEVELOPER').create({ name: 'n', scopes: ['proxy:call', 'keys:write'] })).key.created_by).toBe(
      formatId('user', world.a.people.DEVELOPER.id),
    )
    expect((await as('ADMIN').create({ name: 'n', scopes: [...SCOPES] })).key.scopes).toEqual(SCOPES)
    for (const role of ['VIEWER', 'BILLING'] as const)
      expect((await refusal(as(role).create({ name: 'n', scopes: ['proxy:call'] }))).status).toBe(403)
  })

  it('D-14 stops at as many as one organization may have, and goes on when some are over', async () => {
    const most = 10
    const its = await createWorld(inject('postgresUrl'), { keysPerOrganization: most })
    try {
      const client = createClient({ baseUrl: its.url, cookies: its.a.people.OWNER.cookie, headers: { origin: 'http://127.0.0.1:7255' } })
      const { keys } = inEnvironment(client, placeOf(its.a))
      const make = () => keys.create({ name: 'one of many', scopes: ['proxy:call'] })
      const ofOrganization = () =>
        client.call('organizationKeyCreate', {
          params: { org: its.a.params.org },
          body: { name: 'over all', environment: 'test', scopes: ['projects:read'] },
        })
      const full = { code: 'key_limit', status: 409 }
      const rows = 'select id from sallyport.api_key where org_id = $1 and revoked_at is null'
      const there = (await asAdmin(its.adminUrl, rows, [its.a.org])).length
      const first = await make()
      await ofOrganization()
      for (let count = there + 2; count < most; count++) await make()
      expect(await refusal(make())).toEqual(full)
      expect(await refusal(ofOrganization())).toEqual(full)
      // Those of others are theirs.
      const theirs = createClient({ baseUrl: its.url, cookies: its.b.people.OWNER.cookie, headers: { origin: 'http://127.0.0.1:7255' } })
      await inEnvironment(theirs, placeOf(its.b)).keys.create({ name: 'theirs', scopes: ['proxy:call'] })
      // What may have leaked is replaced also then, but turns into no more than as many again.
      for (let count = most; count < 2 * most; count++) await keys.rotate(first.key.id, { overlap_s: 600 })
      expect(await refusal(keys.rotate(first.key.id, { overlap_s: 600 }))).toEqual(full)
      // Those whose time is over count no more, nor do revoked ones.
      const end = `update sallyport.api_key set expires_at = clock_timestamp() where org_id = $1 and name = 'one of many'`
      await asAdmin(its.adminUrl, end, [its.a.org])
      const again = await make()
      for (let count = there + 2; count < most; count++) await make()
      expect(await refusal(make())).toEqual(full)
      await keys.revoke(again.key.id)
      await make()
    } finally {
      await its.close()
    }
  })

  it('T-10 makes no key for a maker who was revoked a moment ago, whatever this node remembers', async () => {
    const { key: parent, secret } = await keysOf(world.a.key).create({ name: 'parent', scopes: ['keys:write'] })
    const maker = keysOf(secret)
    await maker.create({ name: 'child', scopes: ['keys:write'] })
    await keysOf(world.a.key).revoke(parent.id)
    expect((await refusal(maker.create({ name: 'child', scopes: ['keys:write'] }))).status).toBe(401)
  })

  it('T-10 K-04 ends what a key made with the key, at once and on record', async () => {
    const { key: maker, secret } = await keysOf(world.a.key).create({ name: 'maker', scopes: ['keys:write', 'keys:read'] })
    const { key: child, secret: childSecret } = await keysOf(secret).create({ name: 'child', scopes: ['keys:write', 'keys:read'] })
    const { key: grandchild, secret: last } = await keysOf(childSecret).create({ name: 'grandchild', scopes: ['keys:read'] })
    // Proven, and so in this node's memory, before the maker ends.
    await collect(keysOf(last).list())
    await keysOf(world.a.key).revoke(maker.id)
    for (const key of [secret, childSecret, last]) expect((await refusal(collect(keysOf(key).list()))).status).toBe(401)
    const ids = [maker.id, child.id, grandchild.id]
    const listed = (await collect(keysOf(world.a.key).list())).filter(({ id }) => ids.includes(id))
    expect(listed.map(({ revoked_at }) => revoked_at === null)).toEqual([false, false, false])
    const events = await collect(personOf(world.a.people.OWNER).pages('auditEventList', { params: { org: world.a.params.org } }))
    const told = events.filter(({ action, target }) => action === 'key.revoked' && ids.includes(target))
    expect(told).toHaveLength(3)
    expect(new Map(told.map(({ target, detail }) => [target, detail['with']]))).toEqual(
      new Map([
        [maker.id, undefined],
        [child.id, maker.id],
        [grandchild.id, maker.id],
      ]),
    )
  })

  it('T-10 makes keys by keys eight deep and no deeper', async () => {
    let secret = world.a.key
    for (let depth = 1; depth <= 8; depth++)
      secret = (await keysOf(secret).create({ name: `depth ${depth}`, scopes: ['keys:write'] })).secret
    expect(await refusal(keysOf(secret).create({ name: 'too deep', scopes: ['keys:write'] }))).toEqual({ code: 'forbidden', status: 403 })
  })

  it.each(['\u202eevil', 'a\u2066b', 'a\u200fb', 'a\u061cb', 'a\u2028b', 'a\u0085b', 'a\nb'])(
    'I-12 takes no name and no end user that reads otherwise than it is: %j',
    async (text) => {
      const { keys, connectSessions } = inEnvironment(clientOf(world.a.key), placeOf(world.a))
      const project = { params: { org: world.a.params.org, project: world.a.params.project }, body: { name: text } }
      const calls = [
        keys.create({ name: text, scopes: ['proxy:call'] }),
        connectSessions.create({ integration: 'github', end_user_id: text }),
        personOf(world.a.people.OWNER).call('projectUpdate', project),
      ]
      for (const call of calls) expect(await refusal(call)).toEqual({ code: 'validation_failed', status: 400 })
    },
  )

  it('I-12 takes names in every script', async () => {
    for (const name of ['מפתח', 'مفتاح', '鍵', 'Schlüssel', 'key 🔑', 'family 👩‍👩‍👧'])
      expect((await keysOf(world.a.key).create({ name, scopes: ['proxy:call'] })).key.name).toBe(name)
  })

  it('T-12 binds no key to a connection of another organization, project or environment, nor to none', async () => {
    const wrong = [world.b.params.connection, formatId('conn', newId('conn')), `conn_${'z'.repeat(22)}`]
    const owner = personOf(world.a.people.OWNER)
    for (const connection of wrong) {
      expect(await refusal(keysOf(world.a.key).create({ name: 'n', scopes: ['proxy:call'], connection }))).toEqual({
        code: 'not_found',
        status: 404,
      })
    }
    const elsewhere = [{ project: formatId('proj', world.a.projects[1]) }, { environment: 'live' as const }]
    for (const other of elsewhere) {
      const keys = inEnvironment(owner, { ...placeOf(world.a), ...other }).keys
      expect((await refusal(keys.create({ name: 'n', scopes: ['proxy:call'], connection: world.a.params.connection }))).code).toBe(
        'not_found',
      )
    }
  })

  it('revokes for good, once in the log however often it is asked', async () => {
    const keys = keysOf(world.a.key)
    const { key } = await keys.create({ name: 'short-lived', scopes: ['proxy:call'] })
    const [first, second] = [await keys.revoke(key.id), await keys.revoke(key.id)]
    expect(first.revoked_at).not.toBeNull()
    expect(second.revoked_at).toBe(first.revoked_at)
    const events = await collect(personOf(world.a.people.OWNER).pages('auditEventList', { params: { org: world.a.params.org } }))
    expect(events.filter(({ action, target }) => action === 'key.revoked' && target === key.id)).toHaveLength(1)
  })
})

describe('integrations and projects', () => {
  it('keeps a client secret to itself, and a slug to one integration', async () => {
    const { integrations } = inEnvironment(clientOf(world.a.key), placeOf(world.a))
    const body = { slug: 'second', provider: 'github', client_id: 'id', client_secret: 'canary-client-secret' }
    const made = await integrations.create(body)
    expect(made).toMatchObject({
      slug: 'second',
      scopes: ['read:user', 'repo'],
      redirect_uri: expect.stringMatching(/^http:\/\/127\.0\.0\.1:7255\/oauth\/cb\/\w{32}$/u),
    })
    expect(await refusal(integrations.create(body))).toEqual({ code: 'conflict', status: 409 })
    expect(await refusal(integrations.create({ ...body, slug: 'third', provider: 'nobody' }))).toEqual({
      code: 'validation_failed',
      status: 400,
    })
    expect(JSON.stringify([made, await integrations.get(made.id), await collect(integrations.list())]) + world.log.join('')).not.toContain(
      body.client_secret,
    )
  })

  it('T-02 gives a slug to each organization for itself', async () => {
    const before = await inEnvironment(clientOf(world.a.key), placeOf(world.a)).integrations.get(world.a.params.integration)
    const { integrations } = inEnvironment(clientOf(world.b.key), placeOf(world.b))
    expect((await refusal(integrations.create({ slug: 'github', provider: 'github', client_id: 'x', client_secret: 'x' }))).status).toBe(
      409,
    )
    expect(await inEnvironment(clientOf(world.a.key), placeOf(world.a)).integrations.get(world.a.params.integration)).toEqual(before)
  })

  it('K-13 lets no test key and no bound key change where live sessions return to', async () => {
    const params = { org: world.a.params.org, project: world.a.params.project }
    const before = await clientOf(world.a.key).call('projectGet', { params })
    for (const key of [world.a.key, await world.makeKey(world.a, { connection: world.a.connection })]) {
      const call = clientOf(key).call('projectUpdate', { params, body: { return_origins: ['https://evil.test'] } })
      expect(await refusal(call)).toEqual({ code: 'forbidden', status: 403 })
    }
    expect(await clientOf(world.a.key).call('projectGet', { params })).toEqual(before)
  })

  it('O-19 registers exact origins only, and changes nothing when one is refused', async () => {
    const client = clientOf(await world.makeKey(world.a, { environment: 'live' }))
    const params = { org: world.a.params.org, project: world.a.params.project }
    const before = await client.call('projectGet', { params })
    const call = client.call('projectUpdate', {
      params,
      body: { name: 'Changed', return_origins: ['https://ok.test', 'https://evil.test/path'] },
    })
    await expect(call).rejects.toMatchObject({ code: 'validation_failed', errors: [{ pointer: '/body/return_origins/1' }] })
    expect(await client.call('projectGet', { params })).toEqual(before)
    expect((await client.call('projectUpdate', { params, body: { return_origins: ['http://localhost:5173'] } })).return_origins).toEqual([
      'http://localhost:5173',
    ])
  })

  it('A-06 writes a change of a project only when there is one, and of that only what changed', async () => {
    const owner = personOf(world.b.people.OWNER)
    const params = { org: world.b.params.org, project: formatId('proj', world.b.projects[1]) }
    const events = async () => {
      const all = await collect(owner.pages('auditEventList', { params: { org: params.org } }))
      return all.filter(({ action, target }) => action === 'project.updated' && target === params.project).map(({ detail }) => detail)
    }
    await expect(owner.call('projectUpdate', { params, body: {} })).rejects.toMatchObject({ code: 'validation_failed' })
    const before = await owner.call('projectGet', { params })
    const { name, return_origins } = before
    for (const body of [{ name }, { return_origins }, { name, return_origins }])
      expect(await owner.call('projectUpdate', { params, body })).toEqual(before)
    expect(await events()).toEqual([])
    const body = { name: 'Another name', return_origins }
    expect(await owner.call('projectUpdate', { params, body })).toEqual({ ...before, name: body.name })
    expect(await events()).toEqual([{ name: body.name }])
  })

  it('O-19 begins no connect session that would return elsewhere, and reads none of another place', async () => {
    const { connectSessions } = inEnvironment(clientOf(world.b.key), placeOf(world.b))
    const body = { integration: 'github', end_user_id: 'user-1' }
    for (const return_to of ['//evil.test', 'https://app.test.evil.test/', 'javascript:alert(1)', 'https://app.test@evil.test/']) {
      expect((await refusal(connectSessions.create({ ...body, return_to }))).code).toBe('return_to_refused')
    }
    const { session, link } = await connectSessions.create({ ...body, return_to: 'https://app.test/done' })
    expect(link).toMatch(/^http:\/\/127\.0\.0\.1:7255\/connect\/[\w-]{43}$/u)
    expect(await connectSessions.get(session.id)).toEqual(session)
    const foreign = inEnvironment(clientOf(world.a.key), placeOf(world.a)).connectSessions
    expect((await refusal(foreign.get(session.id))).code).toBe('not_found')
    expect((await refusal(foreign.create({ ...body, connection: world.b.params.connection }))).code).toBe('not_found')
  })
})

describe('lists', () => {
  it('T-23 take a limit in decimal digits, and no other spelling of a number', async () => {
    const path = `/api/v1/orgs/${world.a.params.org}/projects/${world.a.params.project}/test/keys`
    const ask = (limit: string) => send(world, `${path}?limit=${limit}`, { headers: asKey(world.a.key) })
    for (const limit of ['1', '01', '200']) expect((await ask(limit)).status, limit).toBe(200)
    for (const limit of [
      '',
      '0',
      '201',
      '1e2',
      '0x10',
      '%205',
      '5%20',
      '+5',
      '-5',
      '5.0',
      '0b1',
      'Infinity',
      '%D9%A5',
      '0005',
      '5&limit=6',
    ]) {
      const answer = await ask(limit)
      expect([answer.status, answer.json.code], limit).toEqual([400, 'validation_failed'])
    }
    expect((await send(world, '/openapi.json')).text).toContain('"maximum":200')
  })

  it('T-23 give every row once, page by page, to their own tenant and list alone', async () => {
    const client = clientOf(world.b.key)
    for (let made = 0; made < 4; made++) await keysOf(world.b.key, world.b).create({ name: `k${made}`, scopes: ['proxy:call'] })
    const params = placeOf(world.b)
    const whole = (await client.call('keyList', { params, query: { limit: 200 } })).data.map(({ id }) => id)
    const walked = (await collect(client.pages('keyList', { params, query: { limit: 2 } }))).map(({ id }) => id)
    expect(walked).toEqual(whole)
    expect(new Set(walked).size).toBeGreaterThan(4)
    const { next_cursor: cursor } = await client.call('keyList', { params, query: { limit: 2 } })
    const here = await client.call('keyList', { params, query: { limit: 1, cursor: cursor! } })
    expect(here.data.map(({ id }) => id)).toEqual([whole[2]])
    const refused = { code: 'validation_failed', status: 400 }
    expect(await refusal(clientOf(world.a.key).call('keyList', { params: placeOf(world.a), query: { cursor: cursor! } }))).toEqual(refused)
    expect(await refusal(client.call('connectionList', { params, query: { cursor: cursor! } }))).toEqual(refused)
  })

  it('T-23 bind a cursor to its filters', async () => {
    const at = { project: world.b.projects[0], environment: 'test' } as const
    await world.database.withTenant(world.b.org, async (tx) => {
      for (let made = 0; made < 2; made++)
        await connectionInsert(tx, { ...at, id: newId('conn'), integration: world.b.integration, endUserId: 'user-9' })
    })
    const client = clientOf(world.b.key)
    const filtered = { integration: 'github', end_user_id: 'user-9', limit: 1 }
    const page = await client.call('connectionList', { params: placeOf(world.b), query: filtered })
    expect(page.data.map(({ end_user_id }) => end_user_id)).toEqual(['user-9'])
    const query = { limit: 1, cursor: page.next_cursor! }
    expect((await refusal(client.call('connectionList', { params: placeOf(world.b), query }))).code).toBe('validation_failed')
    expect(await collect(client.pages('connectionList', { params: placeOf(world.b), query: filtered }))).toHaveLength(2)
  })

  it('show what went out and what was done, newest first', async () => {
    const [record] = await collect(inEnvironment(clientOf(world.a.key), placeOf(world.a)).requests.list())
    expect(record).toMatchObject({ integration: 'github', method: 'GET', path: '/user', status: 200, source: 'provider', duration_ms: 1.5 })
    const seqs = (
      await collect(personOf(world.a.people.ADMIN).pages('auditEventList', { params: { org: world.a.params.org }, query: { limit: 3 } }))
    ).map(({ seq }) => BigInt(seq))
    expect(seqs.at(-1)).toBe(1n)
    expect(seqs).toEqual(seqs.toSorted((x, y) => Number(y - x)))
  })
})

describe('the client', () => {
  it('sends no parameter that would make another path', async () => {
    await expect(clientOf(world.a.key).call('projectGet', { params: { org: '..', project: '..' } })).rejects.toThrow(TypeError)
  })

  it('tells a problem from an answer that is none of ours', async () => {
    const fetch = async () => new Response('<html>', { status: 502, headers: { 'content-type': 'text/html' } })
    await expect(createClient({ baseUrl: world.url, fetch }).call('whoami')).rejects.toMatchObject({
      name: 'SallyportAnswerError',
      status: 502,
    })
    const error = await createClient({ baseUrl: world.url })
      .call('whoami')
      .catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      name: 'SallyportApiError',
      code: 'unauthenticated',
      status: 401,
      requestId: expect.stringMatching(/^req_/u),
    })
  })

  it('A-06 J-19 ends the session that the browser brought to a sign-in on record, and no session twice', async () => {
    const { id } = world.b.people.DEVELOPER
    const signIn = async (cookie?: string) => {
      const body = { owner_token: await world.ownerToken(id) }
      const answer = await send(world, '/api/v1/session', { method: 'POST', body, headers: cookie === undefined ? {} : { cookie } })
      return answer.headers['set-cookie']![0]!.split(';')[0]!
    }
    const first = await signIn()
    const second = await signIn(first)
    // It has ended already.
    await signIn(first)
    await personOf({ cookie: second }).call('sessionDelete')
    const events = await collect(personOf(world.b.people.OWNER).pages('auditEventList', { params: { org: world.b.params.org } }))
    const own = events.filter(({ actor }) => actor === formatId('user', id)).map(({ action }) => action)
    expect(own.toReversed()).toEqual(['session.created', 'session.created', 'session.ended', 'session.created', 'session.ended'])
  })

  it('signs in and out with the cookie that the gateway gave', async () => {
    const owner_token = await world.ownerToken(world.a.people.OWNER.id)
    const answer = await send(world, '/api/v1/session', { method: 'POST', body: { owner_token } })
    const client = personOf({ cookie: answer.headers['set-cookie']![0]!.split(';')[0]! })
    expect(await client.call('whoami')).toMatchObject({ kind: 'person', memberships: [{ org: world.a.params.org, role: 'OWNER' }] })
    expect(await client.call('sessionDelete')).toBeUndefined()
    expect((await refusal(client.call('whoami'))).code).toBe('unauthenticated')
    expect((await refusal(clientOf(world.a.key).call('sessionDelete'))).code).toBe('forbidden')
  })
})

async function collect<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const row of rows) all.push(row)
  return all
}

describe('when a key was last used', () => {
  const MINUTE = 60_000

  it('is shown to the minute in lists and alone, and makes no node forget the key', async () => {
    const own = inEnvironment(personOf(world.a.people.DEVELOPER), placeOf(world.a)).keys
    const { key, secret } = await own.create({ name: 'used', scopes: ['keys:read'] })
    expect([key.last_used_at, (await own.get(key.id)).last_used_at]).toEqual([null, null])
    const heard: string[] = []
    const stop = world.database.onChange((change) => change !== 'unknown' && heard.push(change.id))
    const before = Date.now()
    for (let n = 0; n < 3; n++) expect((await send(world, '/api/v1/whoami', { headers: asKey(secret) })).status).toBe(200)
    await world.flush()
    const shown = await own.get(key.id)
    const at = Date.parse(shown.last_used_at!)
    expect([at % MINUTE, at <= Date.now(), at > before - MINUTE - 1]).toEqual([0, true, true])
    let listed: unknown
    for await (const one of own.list()) if (one.id === key.id) listed = one
    expect(listed).toEqual(shown)
    expect(heard).not.toContain(parseId('key', key.id))
    stop()
  })

  it('is told of no refused use: not of a key elsewhere, and not of a wrong secret', async () => {
    const own = inEnvironment(personOf(world.a.people.DEVELOPER), placeOf(world.a)).keys
    const { key, secret } = await own.create({ name: 'unused', scopes: ['keys:read'], allowed_addresses: ['198.51.100.0/24'] })
    expect((await send(world, '/api/v1/whoami', { headers: asKey(secret) })).status).toBe(403)
    await world.flush()
    expect((await own.get(key.id)).last_used_at).toBeNull()
  })

  it('passes over a key that is gone, and goes back for no node that tells of an older use', async () => {
    const own = inEnvironment(personOf(world.a.people.DEVELOPER), placeOf(world.a)).keys
    const id = parseId('key', (await own.create({ name: 'noted', scopes: ['keys:read'] })).key.id)!
    const note = (ageS: number) => world.database.lookups.keyUseNote([newId('key'), id, id].map((key, n) => ({ key, ageS: ageS + n })))
    expect([await note(0), await note(3_000), await note(1_000_000)]).toEqual([1, 0, 0])
  })
})

describe('the keys of somebody who goes', () => {
  type Person = Awaited<ReturnType<World['makePerson']>>
  const own = (person: { cookie: string }) => inEnvironment(personOf(person), placeOf(world.a)).keys
  const status = async (key: string): Promise<number> => (await send(world, '/api/v1/whoami', { headers: asKey(key) })).status
  const statuses = (keys: readonly { secret: string }[]) => Promise.all(keys.map(({ secret }) => status(secret)))
  const remove = (person: Person, keys?: 'take_over') =>
    personOf(world.a.people.OWNER).call('memberRemove', {
      params: { org: world.a.params.org, member: formatId('user', person.id) },
      ...(keys === undefined ? {} : { query: { keys } }),
    })
  const eventsOf = async (action: string, target: string) => {
    const params = { org: world.a.params.org }
    return (await personOf(world.a.people.OWNER).call('auditEventList', { params, query: { action, target } })).data
  }
  const PATIENT = { timeout: 50_000 }
  const MAKES: Scope[] = ['keys:write', 'keys:read']

  it('K-14 end with the membership, with all that came of them, each on record', async () => {
    const person = await world.makePerson(world.a.org, 'DEVELOPER')
    const made = await own(person).create({ name: 'made', scopes: MAKES })
    const child = await keysOf(made.secret).create({ name: 'child', scopes: ['keys:read'] })
    const turned = await keysOf(made.secret).rotate(made.key.id, { overlap_s: 600 })
    const other = await own(world.a.people.DEVELOPER).create({ name: 'other', scopes: ['keys:read'] })
    expect(await statuses([made, child, turned, other])).toEqual([200, 200, 200, 200])
    await remove(person)
    await expect.poll(() => statuses([made, child, turned, other]), PATIENT).toEqual([401, 401, 401, 200])
    const [event, ...more] = await eventsOf('key.revoked', child.key.id)
    expect([event?.detail, more]).toEqual([{ with: formatId('user', person.id) }, []])
  })

  it('K-14 end when somebody leaves by themselves', async () => {
    const person = await world.makePerson(world.a.org, 'DEVELOPER')
    const made = await own(person).create({ name: 'left behind', scopes: ['keys:read'] })
    await personOf(person).call('organizationLeave', { params: { org: world.a.params.org } })
    await expect.poll(() => status(made.secret), PATIENT).toBe(401)
  })

  it('K-14 work on under the name of whoever takes them over, on record', async () => {
    const person = await world.makePerson(world.a.org, 'ADMIN')
    const made = await own(person).create({ name: 'production', scopes: MAKES })
    const child = await keysOf(made.secret).create({ name: 'child', scopes: ['keys:read'] })
    await remove(person, 'take_over')
    expect(await statuses([made, child])).toEqual([200, 200])
    const taker = formatId('user', world.a.people.OWNER.id)
    expect((await own(world.a.people.OWNER).get(made.key.id)).created_by).toBe(taker)
    const [event] = await eventsOf('key.taken_over', made.key.id)
    expect(event).toMatchObject({ actor: taker, detail: { from: formatId('user', person.id), to: taker } })
    // Who made the child is a key still.
    expect((await own(world.a.people.OWNER).get(child.key.id)).created_by).toBe(made.key.id)
  })

  it('K-14 are taken over by somebody who stays, and never by who goes', async () => {
    const person = await world.makePerson(world.a.org, 'ADMIN')
    const made = await own(person).create({ name: 'kept by who goes', scopes: MAKES })
    const params = { org: world.a.params.org, member: formatId('user', person.id) }
    await expect(personOf(person).call('memberRemove', { params, query: { keys: 'take_over' } })).rejects.toMatchObject({
      code: 'conflict',
    })
    await personOf(person).call('memberRemove', { params })
    await expect.poll(() => status(made.secret), PATIENT).toBe(401)
  })

  it('K-14 are those of whoever rotated them before', async () => {
    const person = await world.makePerson(world.a.org, 'DEVELOPER')
    const made = await own(person).create({ name: 'handed on', scopes: ['keys:read'] })
    const turned = await own(world.a.people.DEVELOPER).rotate(made.key.id, { overlap_s: 0 })
    expect(turned.key.created_by).toBe(formatId('user', world.a.people.DEVELOPER.id))
    await remove(person)
    expect(await status(turned.secret)).toBe(200)
  })

  it('K-14 are none that were being made meanwhile', async () => {
    const person = await world.makePerson(world.a.org, 'DEVELOPER')
    const [gone, ...made] = await Promise.allSettled([
      remove(person),
      ...Array.from({ length: 6 }, (_, n) => own(person).create({ name: `raced ${n}`, scopes: ['keys:read'] })),
    ])
    expect(gone.status).toBe('fulfilled')
    const done = made.flatMap((one) => (one.status === 'fulfilled' ? [one.value as { secret: string }] : []))
    await expect.poll(() => statuses(done), PATIENT).toEqual(done.map(() => 401))
  })
})
