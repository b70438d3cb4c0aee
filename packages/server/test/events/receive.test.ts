import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { createLogger, Secret } from '@sallyport/core'
import type { ConnectionId } from '@sallyport/core'
import { createTenantStore, createTransitions, refOf } from '../../src/credentials/index.ts'
import { createOrganizationDeletions } from '../../src/organizations/index.ts'
import { silent } from '../db/fresh-database.ts'
import { connect, fillConnections, makeRevocableTenant, tokenSet } from '../revocation/world.ts'
import type { RevocableTenant } from '../revocation/world.ts'
import { about, createEventWorld, EVENT, hex, ISSUER, SILENT } from './world.ts'
import type { EventWorld } from './world.ts'

const SET = { kind: 'set', issuers: [ISSUER], keysUri: `${ISSUER}/keys` } as const
const GOOGLE_KEYS = 'https://www.googleapis.com/oauth2/v3/certs'
let world: EventWorld
let context: string

beforeAll(async () => {
  world = await createEventWorld(inject('postgresUrl'))
  context = (await world.source(SET)).source.context
})
afterEach(() => world.reachable(true))
afterAll(() => world?.close())

const connected = (account: string, tenant = world.tenant) =>
  connect(world.revocation.nodes[0], tenant, tokenSet(account), { account, endUser: `user of ${account}` })

async function statusOf(id: ConnectionId): Promise<string | undefined> {
  return (await world.revocation.rows<{ status: string }>('select status from sallyport.connection where id = $1', [id]))[0]?.status
}

async function lastEvent(tenant: RevocableTenant = world.tenant) {
  return (await world.revocation.events(tenant.org)).at(-1)
}

const receipts = async (): Promise<number> =>
  Number((await world.revocation.rows<{ n: string }>('select count(*) as n from sallyport.event_receipt'))[0]!.n)

describe('security event tokens', () => {
  it.each(['sessionRevoked', 'accountDisabled', 'tokensRevoked'] as const)(
    'V-01 N5 end the connections of their subject: %s',
    async (name) => {
      const [id, other] = [await connected(`sub-${name}`), await connected(`other-${name}`)]
      const answer = await world.push(context, await world.set(about(EVENT[name], `sub-${name}`)))
      expect(answer).toMatchObject({ status: 202, text: '' })
      expect([await statusOf(id), await statusOf(other)]).toEqual(['revoked', 'active'])
      expect(await lastEvent()).toMatchObject({ action: 'provider_event.received', actor: 'system', detail: { kind: 'set', ended: 1 } })
      const queued = await world.revocation.rows('select cause from sallyport.revocation where connection_id = $1', [id])
      // Where the provider says that the tokens are over, it needs no telling.
      expect(queued).toEqual(name === 'tokensRevoked' ? [] : [{ cause: 'event' }])
    },
  )

  it('V-01 are acted on while their organization is on its way out: what ended at the provider does not come back with it', async () => {
    const [node] = world.revocation.nodes
    const tenant = await world.newTenant()
    const made = (await world.source(SET, tenant)).source
    const id = await connected('leaving', tenant)
    const deletions = createOrganizationDeletions({ database: node.database, bulk: node.service.bulk, logger: silent })
    await deletions.request(tenant.org, 'system', { confirm: 'An organization', graceS: 3_600, patienceS: 60 })
    expect((await world.push(made.context, await world.set(about(EVENT.tokensRevoked, 'leaving')))).status).toBe(202)
    await deletions.takeBack(tenant.org, 'system')
    expect(await statusOf(id)).toBe('revoked')
  })

  it('V-01 G10 are acted on within two seconds, and heard of on another node', async () => {
    const times: number[] = []
    for (let round = 0; round < 20; round++) {
      const id = await connected(`fast-${round}`)
      const { org, place } = world.tenant
      const wanted = { org, ...place, integration: 'api', selector: { connection: id, endUser: undefined } }
      // Word of the connection's own making may still be on its way.
      while (world.remembered.peek(wanted) === undefined) await world.remembered.load(wanted)
      const body = await world.set(about(EVENT.sessionRevoked, `fast-${round}`))
      const begun = performance.now()
      await world.push(context, body)
      await expect.poll(() => world.remembered.peek(wanted), { interval: 5, timeout: 30_000 }).toBeUndefined()
      times.push(performance.now() - begun)
      expect(await world.remembered.load(wanted)).toMatchObject({ connections: [{ status: 'revoked' }] })
    }
    const sorted = times.toSorted((a, b) => a - b)
    console.info(`G10 event sent to denied on another node, ms: median ${sorted[10]!.toFixed(0)}, worst ${sorted.at(-1)!.toFixed(0)}`)
    // The figure that is promised; the worst is what a busy machine makes of it.
    expect(sorted[10]).toBeLessThan(2_000)
  })

  it('N5 are taken by what the catalog knows of the provider: of its issuer, by its keys, also without the type that came later', async () => {
    const google = await makeRevocableTenant(world.revocation.nodes[0], 'google', 'google')
    const id = await connect(world.revocation.nodes[0], google, tokenSet('google-user'), { account: 'google-user' })
    const made = (await world.source({ kind: 'set' }, google)).source
    expect(made).toMatchObject({ keysUri: GOOGLE_KEYS, audiences: ['a-client'], untyped: true })
    const issuer = made.issuers[0]!
    const claims = (iss: string) => ({
      iss,
      aud: 'a-client',
      events: { [EVENT.tokensRevoked]: { subject: { subject_type: 'iss-sub', iss: issuer, sub: 'google-user' } } },
    })
    const untyped = { header: { typ: undefined } }
    const byAnother = await world.push(made.context, await world.set(claims(ISSUER), untyped))
    expect([byAnother.status, byAnother.text]).toEqual([400, expect.stringContaining('invalid_issuer')])
    expect((await world.push(made.context, await world.set(claims(issuer), untyped))).status).toBe(202)
    expect(await statusOf(id)).toBe('revoked')
    expect(world.asked).toContain(GOOGLE_KEYS)
  })

  it('know their subject by sub_id, by the old subject, and by the user of several', async () => {
    const ids = [await connected('by-sub-id'), await connected('by-user'), await connected('by-sub'), await connected('by-alias')]
    const format = 'iss_sub'
    const claims = [
      { sub_id: { format, iss: ISSUER, sub: 'by-sub-id' }, events: { [EVENT.sessionRevoked]: {} } },
      {
        events: {
          [EVENT.sessionRevoked]: { subject: { user: { format, iss: ISSUER, sub: 'by-user' }, session: { format: 'opaque', id: 's' } } },
        },
      },
      { sub: 'by-sub', events: { [EVENT.sessionRevoked]: {} } },
      {
        sub_id: {
          format: 'aliases',
          identifiers: [
            { format: 'email', email: 'a@b.example' },
            { format, iss: ISSUER, sub: 'by-alias' },
          ],
        },
        events: { [EVENT.sessionRevoked]: {} },
      },
    ]
    for (const one of claims) expect((await world.push(context, await world.set(one))).status).toBe(202)
    expect(await Promise.all(ids.map(statusOf))).toEqual(['revoked', 'revoked', 'revoked', 'revoked'])
  })

  it('end nothing of an account at another issuer, or of somebody who is known by an address only', async () => {
    const id = await connected('mail@issuer.example')
    for (const subject of [
      { subject_type: 'iss-sub', iss: 'https://other.example', sub: 'mail@issuer.example' },
      { format: 'email', email: 'mail@issuer.example' },
      { format: 'iss_sub', iss: ISSUER, sub: { toString: 'mail@issuer.example' } },
      ['mail@issuer.example'],
    ]) {
      expect((await world.push(context, await world.set({ events: { [EVENT.sessionRevoked]: { subject } } }))).status).toBe(202)
    }
    expect(await statusOf(id)).toBe('active')
  })

  it('renew what changed, and put on record what ends nothing', async () => {
    const id = await connected('changed')
    await world.push(context, await world.set(about(EVENT.credentialChange, 'changed', { change_type: 'update' })))
    expect(world.renewed.at(-1)).toEqual({ scope: world.tenant.org, id })
    await world.push(context, await world.set(about(EVENT.accountEnabled, 'changed')))
    expect(await lastEvent()).toMatchObject({ detail: { events: ['unknown'], ended: 0, renewed: 0 } })
    expect(await statusOf(id)).toBe('active')
  })

  it.each([
    ['another issuer', { iss: 'https://other.example' }, {}, 'invalid_issuer'],
    ['another audience', { aud: 'another-client' }, {}, 'invalid_audience'],
    ['another type', {}, { header: { typ: 'at+jwt' } }, 'invalid_request'],
    ['no type', {}, { header: { typ: undefined } }, 'invalid_request'],
    ['a key that nobody knows', {}, { header: { kid: 'key-2' } }, 'invalid_key'],
    ['an end that is past', { exp: 1_700_000_000 }, {}, 'invalid_request'],
    ['an age of a month', { iat: Math.floor(Date.now() / 1000) - 30 * 86_400 }, {}, 'invalid_request'],
    ['a moment to come', { iat: Math.floor(Date.now() / 1000) + 3600 }, {}, 'invalid_request'],
    ['no id', { jti: undefined }, {}, 'invalid_request'],
    ['no events', { events: undefined }, {}, 'invalid_request'],
    ['events that are none', { events: {} }, {}, 'invalid_request'],
    ['an event that is no object', { events: { [EVENT.sessionRevoked]: 'now' } }, {}, 'invalid_request'],
  ])('V-02 are refused with %s, and nothing happens', async (_what, claims, over, err) => {
    const id = await connected('victim')
    const before = await receipts()
    const answer = await world.push(context, await world.set({ ...about(EVENT.sessionRevoked, 'victim'), ...claims }, over))
    expect(answer.status).toBe(400)
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/u)
    expect(JSON.parse(answer.text)).toEqual({ err, description: expect.any(String) as string })
    expect(await statusOf(id)).toBe('active')
    expect(await receipts()).toBe(before)
  })

  it('V-02 are refused unsigned, signed by a stranger, and signed with what everybody knows', async () => {
    const id = await connected('unsigned')
    const [, body] = (await world.set(about(EVENT.sessionRevoked, 'unsigned'))).split('.') as [string, string]
    const head = (header: object): string => Buffer.from(JSON.stringify(header)).toString('base64url')
    const unsigned = `${head({ alg: 'none', typ: 'secevent+jwt' })}.${body}.AAAA`
    const hs = `${head({ alg: 'HS256', kid: 'key-1', typ: 'secevent+jwt' })}.${body}`
    const symmetric = `${hs}.${Buffer.from(hex('key-1', hs), 'hex').toString('base64url')}`
    for (const [text, err] of [
      [unsigned, 'invalid_key'],
      [symmetric, 'invalid_key'],
      [await world.set(about(EVENT.sessionRevoked, 'unsigned'), { key: world.stranger }), 'authentication_failed'],
      ['', 'invalid_request'],
      ['not a token', 'invalid_request'],
    ] as const) {
      const answer = await world.push(context, text)
      expect([answer.status, (JSON.parse(answer.text) as { err: string }).err]).toEqual([400, err])
    }
    expect((await world.push(context, 'x'.repeat(300_000))).status).toBe(413)
    expect((await world.push(context, '{}', { 'content-type': 'application/json' })).status).toBe(401)
    expect((await world.push(context, '{}', { 'content-type': 'text/plain' })).status).toBe(415)
    expect(await statusOf(id)).toBe('active')
  })

  it('V-06 end a connection whose refresh is under way: what that brings is not kept', async () => {
    const [node] = world.revocation.nodes
    const id = await connected('refreshing')
    const logger = createLogger({ level: 'silent', format: 'json' })
    const transitions = createTransitions({ useLog: { use: () => undefined }, logger })
    const store = createTenantStore({ database: node.database, vault: node.vault, lineage: node.lineage, transitions, logger })
    const ref = refOf({ org: world.tenant.org, connection: id })
    const { generation, head } = (await store.read(ref))!
    const from = { generation, headSeq: head.seq, parentSeq: head.seq, replaces: null }
    const begun = (await store.begin(ref, from, { node: 'a node', attempt: 1 }))!
    expect((await world.push(context, await world.set(about(EVENT.sessionRevoked, 'refreshing')))).status).toBe(202)
    const answer = { intent: begun.intent.id, generation, parentSeq: head.seq, tokens: tokenSet('brought-too-late') }
    expect(await store.save(ref, answer)).toBe('ended')
    expect(await store.read(ref)).toBeUndefined()
    expect(await statusOf(id)).toBe('revoked')
    await store.close()
  })

  it('V-03 act once when the same event comes twice, at once or later', async () => {
    const id = await connected('twice')
    const body = await world.set(about(EVENT.sessionRevoked, 'twice'))
    const answers = await Promise.all([world.push(context, body), world.push(context, body), world.push(context, body)])
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202])
    const again = await connected('twice')
    expect((await world.push(context, body)).status).toBe(202)
    expect([await statusOf(id), await statusOf(again)]).toEqual(['revoked', 'active'])
    const events = (await world.revocation.events(world.tenant.org)).filter(({ action }) => action === 'provider_event.received')
    expect(events.filter(({ detail }) => detail['ended'] === 1).length).toBeGreaterThan(0)
  })

  it('V-03 do not end what was connected after they happened, though they come late', async () => {
    const id = await connected('late')
    const hourAgo = Math.floor(Date.now() / 1000) - 3600
    await world.push(context, await world.set({ ...about(EVENT.sessionRevoked, 'late', { event_timestamp: hourAgo }) }))
    await world.push(context, await world.set({ ...about(EVENT.sessionRevoked, 'late'), toe: hourAgo }))
    await world.push(context, await world.set({ ...about(EVENT.sessionRevoked, 'late'), iat: hourAgo }))
    expect(await statusOf(id)).toBe('active')
    await world.push(context, await world.set(about(EVENT.sessionRevoked, 'late', { event_timestamp: hourAgo + 3600 })))
    expect(await statusOf(id)).toBe('revoked')
  })

  it.each([
    [300, 'active'],
    [30, 'revoked'],
  ])(
    'V-03 that happened %s seconds before the connection was made leave it %s: clocks differ by less than a minute',
    async (before, status) => {
      const account = `made-${before}-seconds-later`
      const id = await connected(account)
      const [row] = await world.revocation.rows<{ made: number }>(
        'select extract(epoch from created_at)::float8 as made from sallyport.connection where id = $1',
        [id],
      )
      const moment = Math.floor(row!.made) - before
      await world.push(context, await world.set(about(EVENT.sessionRevoked, account, { event_timestamp: moment })))
      expect(await statusOf(id)).toBe(status)
    },
  )

  it('V-05 verify the stream and tell of its state', async () => {
    const own = await world.newTenant()
    const { source } = await world.source(SET, own)
    const listed = async () => (await world.service.sources.list(own.org, own.place, own.integration, { limit: 10 }))[0]!
    expect(await listed()).toMatchObject({ verifiedAt: null, receivedAt: null, streamStatus: null })
    expect((await world.push(source.context, await world.set({ events: { [EVENT.verification]: { state: 's-1' } } }))).status).toBe(202)
    expect((await listed()).verifiedAt).toBeInstanceOf(Date)
    for (const status of ['paused', 'enabled'] as const) {
      await world.push(source.context, await world.set({ events: { [EVENT.streamUpdated]: { status, reason: 'a reason' } } }))
      expect(await listed()).toMatchObject({ streamStatus: status })
    }
    expect((await world.push(source.context, await world.set({ events: { [EVENT.riscVerification]: { state: 's-2' } } }))).status).toBe(202)
  })

  it('are asked for again when the keys of their issuer cannot be had, and then taken', async () => {
    const id = await connected('no-keys')
    const body = await world.set(about(EVENT.sessionRevoked, 'no-keys'))
    world.reachable(false)
    const answer = await world.push(context, body)
    expect([answer.status, answer.headers.has('retry-after')]).toEqual([503, true])
    expect(await statusOf(id)).toBe('active')
    world.reachable(true)
    expect((await world.push(context, body)).status).toBe(202)
    expect(await statusOf(id)).toBe('revoked')
  })

  it('V-03 N5 concern the organization of their source alone, whoever else has the same account', async () => {
    const other = await world.newTenant()
    const [mine, theirs] = [await connected('shared'), await connected('shared', other)]
    await world.push(context, await world.set(about(EVENT.sessionRevoked, 'shared')))
    expect([await statusOf(mine), await statusOf(theirs)]).toEqual(['revoked', 'active'])
    const { source } = await world.source(SET, other)
    await world.push(source.context, await world.set(about(EVENT.sessionRevoked, 'shared')))
    expect(await statusOf(theirs)).toBe('revoked')
  })

  it('are taken at no other address', async () => {
    for (const wrong of ['x', 'a'.repeat(32), `${context}x`, encodeURIComponent("' or 1=1")]) {
      expect((await world.push(wrong, await world.set(about(EVENT.sessionRevoked, 'nobody')))).status).toBe(404)
    }
    const gone = await world.source(SET)
    await world.service.sources.remove(world.tenant.org, world.tenant.place, world.tenant.integration, gone.source.id, 'system')
    expect((await world.push(gone.source.context, await world.set(about(EVENT.sessionRevoked, 'nobody')))).status).toBe(404)
  })

  it('V-03 are bounded in a burst of 10,000: each is acted on or asked to come again, and everything else goes on', async () => {
    const id = await connected('burst')
    const same = await world.set(about(EVENT.sessionRevoked, 'burst'))
    const forged = await world.set(about(EVENT.sessionRevoked, 'burst'), { key: world.stranger })
    const before = await receipts()
    const counts = new Map<number, number>()
    const heap = process.memoryUsage().rss
    for (let wave = 0; wave < 20; wave++) {
      const answers = await Promise.all(Array.from({ length: 500 }, (_, n) => world.push(context, n % 2 === 0 ? same : forged)))
      for (const { status } of answers) counts.set(status, (counts.get(status) ?? 0) + 1)
    }
    expect([...counts.values()].reduce((a, b) => a + b)).toBe(10_000)
    for (const status of counts.keys()) expect([202, 400, 503]).toContain(status)
    expect(await statusOf(id)).toBe('revoked')
    expect((await receipts()) - before).toBe(1)
    expect((process.memoryUsage().rss - heap) / 1024 / 1024).toBeLessThan(512)
    console.info('burst of 10,000 by status:', Object.fromEntries(counts))
  }, 180_000)
})

describe("GitHub's webhooks", () => {
  const secret = 'not-a-secret-of-github'
  const body = JSON.stringify({ action: 'revoked', sender: { login: 'octo', id: 4711 } })
  const headers = (text: string, over: Record<string, string> = {}): Record<string, string> => ({
    'content-type': 'application/json',
    'x-github-event': 'github_app_authorization',
    'x-github-delivery': crypto.randomUUID(),
    'x-hub-signature-256': `sha256=${hex(secret, text)}`,
    ...over,
  })

  it('N5 S75 end the connection of whoever took the authorization back', async () => {
    const { source, secret: made } = await world.source({ kind: 'github', secret: undefined })
    expect(made!.reveal()).toMatch(/^[0-9A-Za-z]{43}$/u)
    const id = await connected('4711')
    const signed = { 'x-hub-signature-256': `sha256=${hex(made!.reveal(), body)}` }
    expect((await world.push(source.context, body, headers(body, signed))).status).toBe(200)
    expect(await statusOf(id)).toBe('revoked')
  })

  it('V-02 are refused unsigned, signed otherwise, by the old hash, twice, and changed by a byte', async () => {
    const { source } = await world.source({ kind: 'github', secret: new Secret(secret) })
    const id = await connected('4711')
    for (const over of [
      { 'x-hub-signature-256': '' },
      { 'x-hub-signature-256': `sha256=${hex('another-secret-of-a-test', body)}` },
      { 'x-hub-signature-256': hex(secret, body) },
      { 'x-hub-signature-256': `sha256=${hex(secret, body).toUpperCase()}` },
      { 'x-hub-signature-256': `sha1=${'0'.repeat(40)}` },
      { 'x-hub-signature-256': `sha256=${hex(secret, `${body} `)}` },
    ]) {
      expect((await world.push(source.context, body, headers(body, over))).status).toBe(401)
    }
    expect(await statusOf(id)).toBe('active')
    const delivery = crypto.randomUUID()
    expect((await world.push(source.context, body, headers(body, { 'x-github-delivery': delivery }))).status).toBe(200)
    expect(await statusOf(id)).toBe('revoked')
    const again = await connected('4711')
    expect((await world.push(source.context, body, headers(body, { 'x-github-delivery': delivery }))).status).toBe(200)
    expect(await statusOf(again)).toBe('active')
  })

  it('are answered and change nothing when they are about something else', async () => {
    const { source } = await world.source({ kind: 'github', secret: new Secret(secret) })
    const id = await connected('4712')
    const ping = JSON.stringify({ zen: 'Keep it logically awesome.', sender: { id: 4712 } })
    expect((await world.push(source.context, ping, headers(ping, { 'x-github-event': 'ping' }))).status).toBe(200)
    const other = JSON.stringify({ action: 'created', sender: { id: 4712 } })
    expect((await world.push(source.context, other, headers(other))).status).toBe(200)
    expect(await statusOf(id)).toBe('active')
    expect((await world.push(source.context, '{"a":', headers('{"a":'))).status).toBe(400)
  })
})

describe("Slack's events", () => {
  const secret = 'not-a-secret-of-slack'
  const headers = (text: string, at = Math.floor(Date.now() / 1000), key = secret): Record<string, string> => ({
    'content-type': 'application/json',
    'x-slack-request-timestamp': String(at),
    'x-slack-signature': `v0=${hex(key, `v0:${at}:${text}`)}`,
  })
  const callback = (event: object, more: object = {}): string =>
    JSON.stringify({
      type: 'event_callback',
      team_id: 'T0001',
      event_id: `Ev${crypto.randomUUID().replaceAll('-', '').toUpperCase()}`,
      event_time: Math.floor(Date.now() / 1000),
      event,
      ...more,
    })
  let slack: string
  beforeAll(async () => {
    slack = (await world.source({ kind: 'slack', secret: new Secret(secret) })).source.context
  })

  it('V-05 are asked whether the address is ours, and answered', async () => {
    const body = JSON.stringify({ type: 'url_verification', token: 'ignored', challenge: 'abc-123' })
    const answer = await world.push(slack, body, headers(body))
    expect([answer.status, JSON.parse(answer.text)]).toEqual([200, { challenge: 'abc-123' }])
    expect((await world.push(slack, body, headers(body, undefined, 'another-secret-of-a-test'))).status).toBe(401)
  })

  it('N5 S75 end the connections of users whose tokens were revoked, and of a workspace that removed the app', async () => {
    const [user, bot, member, stays] = [
      await connected('U1'),
      await connected('T0001:B1'),
      await connected('T0001:U9'),
      await connected('T00012:U9'),
    ]
    const revoked = callback({ type: 'tokens_revoked', tokens: { oauth: ['U1'], bot: ['B1'] } })
    expect((await world.push(slack, revoked, headers(revoked))).status).toBe(200)
    expect(await Promise.all([user, bot, member].map(statusOf))).toEqual(['revoked', 'revoked', 'active'])
    const gone = callback({ type: 'app_uninstalled' })
    expect((await world.push(slack, gone, headers(gone))).status).toBe(200)
    expect(await Promise.all([member, stays].map(statusOf))).toEqual(['revoked', 'active'])
  })

  it('V-03 end a large workspace page by page, and again nothing that was connected since', async () => {
    const large = await world.newTenant()
    const { context: at } = (await world.source({ kind: 'slack', secret: new Secret(secret) }, large)).source
    await fillConnections(world.revocation, world.revocation.nodes[0], large, 600)
    await world.revocation.rows("update sallyport.connection set account_id = 'T0009:' || id where org_id = $1", [large.org])
    const gone = callback({ type: 'app_uninstalled' }, { team_id: 'T0009' })
    expect((await world.push(at, gone, headers(gone))).status).toBe(200)
    const pages = await world.revocation.rows<{ status: string; n: number }>(
      'select status, count(*)::int as n from sallyport.connection where org_id = $1 group by status, xmin::text order by n',
      [large.org],
    )
    expect(pages.map(({ status, n }) => [status, n])).toEqual([
      ['revoked', 100],
      ['revoked', 250],
      ['revoked', 250],
    ])
    expect(await lastEvent(large)).toMatchObject({ action: 'provider_event.received', detail: { ended: 600 } })
    const again = await connected('T0009:U1', large)
    expect((await world.push(at, gone, headers(gone))).status).toBe(200)
    expect(await statusOf(again)).toBe('active')
  })

  it('V-02 V-03 are refused when their time is five minutes off or their signature another, and act once', async () => {
    const id = await connected('U2')
    const body = callback({ type: 'tokens_revoked', tokens: { oauth: ['U2'] } })
    const now = Math.floor(Date.now() / 1000)
    // What lies ahead comes nearer while the test runs.
    for (const at of [now - 301, now + 600, Number.NaN]) expect((await world.push(slack, body, headers(body, at))).status).toBe(401)
    expect((await world.push(slack, body, headers(body, undefined, 'another-secret-of-a-test'))).status).toBe(401)
    expect(await statusOf(id)).toBe('active')
    expect((await world.push(slack, body, headers(body))).status).toBe(200)
    expect(await statusOf(id)).toBe('revoked')
    const again = await connected('U2')
    expect((await world.push(slack, body, headers(body))).status).toBe(200)
    expect(await statusOf(again)).toBe('active')
  })
})

describe('an organization whose issuers never answer', () => {
  it('V-01 V-03 keeps no other waiting, however many sources it has', async () => {
    const other = await world.newTenant()
    const id = await connected('spared')
    const contexts = await Promise.all(
      Array.from({ length: 8 }, async (_, n) => {
        return (await world.source({ kind: 'set', issuers: [ISSUER], keysUri: `${SILENT}${n}` }, other)).source.context
      }),
    )
    const body = await world.set(about(EVENT.sessionRevoked, 'nobody'))
    let refused = 0
    const pending = contexts.flatMap((silent) => Array.from({ length: 10 }, () => world.push(silent, body).finally(() => (refused += 1))))
    // All but those that have its places and wait for its issuers.
    await expect.poll(() => refused, { timeout: 10_000 }).toBe(30)
    expect((await world.push(context, await world.set(about(EVENT.sessionRevoked, 'spared')))).status).toBe(202)
    expect(await statusOf(id)).toBe('revoked')
    world.endSilence()
    expect(new Set((await Promise.all(pending)).map(({ status }) => status))).toEqual(new Set([503]))
  })
})

describe('what is kept of events', () => {
  it('V-03 is forgotten after 30 days, when no event that old is taken any more', async () => {
    const before = await receipts()
    expect(before).toBeGreaterThan(2)
    await world.revocation.rows(
      `update sallyport.event_receipt set received_at = now() - interval '31 days'
       where event_hash in (select event_hash from sallyport.event_receipt limit 2)`,
    )
    await world.service.sweep()
    expect(await receipts()).toBe(before - 2)
  })

  it('holds no secret and no name of a person', async () => {
    await world.source({ kind: 'slack', secret: new Secret('not-a-secret-that-is-kept') })
    const rows = await world.revocation.rows<{ detail: string }>('select detail from sallyport.audit_event')
    const kept = rows.map(({ detail }) => detail).join('\n') + world.revocation.log.join('\n')
    expect(kept).not.toMatch(/not-a-secret|sub-sessionRevoked|by-sub-id|mail@issuer|"4711"|access-|refresh-/u)
    const secrets = await world.revocation.rows<{ secret: Buffer | null }>(
      'select secret from sallyport.event_source where secret is not null',
    )
    expect(secrets.length).toBeGreaterThan(0)
    for (const { secret } of secrets) expect(secret!.toString('latin1')).not.toContain('not-a-secret')
  })
})
