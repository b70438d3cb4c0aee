/** Issuers that end sessions here, over HTTP and on two nodes over one database: OpenID Connect Back-Channel Logout 1.0. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { startCertifiedIssuer, startIdentityProvider } from '../../../testkit/src/identity-provider/index.ts'
import type { CertifiedIssuer, IdentityProvider, Signing } from '../../../testkit/src/identity-provider/index.ts'
import { membershipPut } from '../../src/db/index.ts'
import type { Change } from '../../src/db/index.ts'
import type { IssuerSetting } from '../../src/identity/index.ts'
import { asAdmin, asPerson, createWorld, send } from './world.ts'
import type { Answer, World } from './world.ts'

const AUDIENCE = 'https://gateway.test'
const EVENT = 'http://schemas.openid.net/event/backchannel-logout'

let world: World
let corp: IdentityProvider
/** Its logout tokens are not taken. */
let quiet: IdentityProvider
let certified: CertifiedIssuer

const setting = (issuer: string, keysUri: string, over: Partial<IssuerSetting> = {}): IssuerSetting => ({
  issuer,
  kind: 'oidc',
  audiences: [AUDIENCE],
  keysUri,
  logoutAudiences: ['console'],
  emailDomains: [],
  secondFactors: [],
  maxTokenAgeS: 86_400,
  sessionS: 43_200,
  ...over,
})

beforeAll(async () => {
  ;[corp, quiet] = await Promise.all([startIdentityProvider({ algorithm: 'RS256' }), startIdentityProvider({ algorithm: 'RS256' })])
  certified = await startCertifiedIssuer(() => `${world.url}/oidc/backchannel-logout`)
  const { logoutAudiences: _, ...without } = setting(quiet.issuer, quiet.keysUri)
  world = await createWorld(inject('postgresUrl'), {
    issuers: [setting(corp.issuer, corp.keysUri), without, setting(certified.issuer, certified.keysUri)],
    fetchKeys: (url, init) => fetch(url, { headers: init?.headers as Record<string, string> }),
  })
})
afterAll(async () => {
  await world?.close()
  await Promise.all([corp?.close(), quiet?.close(), certified?.close()])
})

const form = (body: string, at = world): Promise<Answer> =>
  send(at, '/oidc/backchannel-logout', { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body })
const logOut = (token: string): Promise<Answer> => form(new URLSearchParams({ logout_token: token }).toString())
const logoutToken = (claims: Signing['claims'], more: Omit<Signing, 'claims'> = {}): Promise<string> =>
  corp.logoutToken({ ...more, claims: { ...claims } })

const whoami = async (headers: Record<string, string>): Promise<number> => (await send(world, '/api/v1/whoami', { headers })).status
const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })

async function sessionOf(token: string): Promise<Record<string, string>> {
  const opened = await send(world, '/api/v1/session', { method: 'POST', body: { token } })
  expect(opened.status).toBe(201)
  return { cookie: String(opened.headers['set-cookie']).split(';')[0]! }
}

const longAgo = (): Record<string, unknown> => ({ iat: Math.floor(Date.now() / 1000) - 60 })

describe('a logout token', () => {
  it('J-11 that names a session ends it, with the tokens and console sessions that are of it, and no other of the person', async () => {
    const [one, other] = [randomUUID(), randomUUID()]
    const tokens = await Promise.all([one, other].map((sid) => corp.accessToken('ada', { claims: { sid } })))
    const [ended, stays] = [await sessionOf(tokens[0]!), await sessionOf(tokens[1]!)]
    const answer = await logOut(await logoutToken({ sid: one, sub: 'ada' }))
    expect([answer.status, answer.text, answer.headers['cache-control']]).toEqual([200, '', 'no-store'])
    expect(await Promise.all([whoami(ended), whoami(bearer(tokens[0]!)), whoami(stays), whoami(bearer(tokens[1]!))])).toEqual([
      401, 401, 200, 200,
    ])
    const renewed = await corp.accessToken('ada', { claims: { sid: one, jti: 'renewed' } })
    expect(await whoami(bearer(renewed))).toBe(401)
  })

  it('J-11 that names a person alone ends every session of theirs that began before, and no later one', async () => {
    const before = await Promise.all(
      [{}, { sid: randomUUID() }].map((claims) => corp.accessToken('bob', { claims: { ...claims, ...longAgo() } })),
    )
    const sessions = await Promise.all(before.map(sessionOf))
    const foreign = await corp.accessToken('carol')
    expect((await logOut(await logoutToken({ sub: 'bob' }))).status).toBe(200)
    for (const headers of [...sessions, ...before.map(bearer)]) expect(await whoami(headers)).toBe(401)
    expect(await whoami(bearer(foreign))).toBe(200)
    const later = await corp.accessToken('bob', { claims: { iat: Math.floor(Date.now() / 1000) + 5 } })
    expect(await whoami(bearer(later))).toBe(200)
  })

  it('J-11 that names a session and a person ends console sessions of theirs that name none, which could be the one', async () => {
    const unnamed = await sessionOf(await corp.accessToken('frank', { claims: { jti: 'names no session' } }))
    const named = await sessionOf(await corp.accessToken('frank', { claims: { sid: randomUUID() } }))
    expect(await Promise.all([whoami(unnamed), whoami(named)])).toEqual([200, 200])
    expect((await logOut(await logoutToken({ sid: randomUUID(), sub: 'frank' }))).status).toBe(200)
    expect(await Promise.all([whoami(unnamed), whoami(named)])).toEqual([401, 200])
  })

  it('J-11 of a person who was never here holds for their older tokens all the same', async () => {
    const older = await corp.accessToken('never-here', { claims: longAgo() })
    expect((await logOut(await logoutToken({ sub: 'never-here' }))).status).toBe(200)
    expect(await whoami(bearer(older))).toBe(401)
  })

  it('is on record in every organization of the person, without a name', async () => {
    const token = await corp.accessToken('dora', { claims: longAgo() })
    const { json } = await send(world, '/api/v1/whoami', { headers: bearer(token) })
    const [row] = await asAdmin(world.adminUrl, `select id from sallyport.person where subject = 'dora'`)
    for (const { org } of [world.a, world.b]) await world.database.withTenant(org, (tx) => membershipPut(tx, row!['id'] as never, 'VIEWER'))
    expect((await logOut(await logoutToken({ sub: 'dora' }))).status).toBe(200)
    for (const at of [world.a, world.b]) {
      const events = await send(world, `/api/v1/orgs/${at.params.org}/audit-events?action=session.ended&target=${json.id}`, {
        headers: asPerson(at.people.OWNER),
      })
      expect(events.json.data.map(({ detail }: { detail: unknown }) => detail)).toEqual([
        { by: 'issuer', issuer: corp.issuer, what: 'every session' },
      ])
      expect(events.text).not.toContain('dora')
    }
  })

  it('D-14 is on record in the others when one organization’s log can not be written', async () => {
    const token = await corp.accessToken('emil', { claims: longAgo() })
    const { json } = await send(world, '/api/v1/whoami', { headers: bearer(token) })
    const [row] = await asAdmin(world.adminUrl, `select id from sallyport.person where subject = 'emil'`)
    for (const { org } of [world.a, world.b]) await world.database.withTenant(org, (tx) => membershipPut(tx, row!['id'] as never, 'VIEWER'))
    const recorded = async (at: World['a']): Promise<number> => {
      const path = `/api/v1/orgs/${at.params.org}/audit-events?action=session.ended&target=${json.id}`
      return (await send(world, path, { headers: asPerson(at.people.OWNER) })).json.data.length
    }
    const log = 'alter table sallyport.audit_event'
    for (const [closed, at, other] of [
      [world.a.org, world.a, world.b],
      [world.b.org, world.b, world.a],
    ] as const) {
      const before = [await recorded(at), await recorded(other)] as const
      await asAdmin(world.adminUrl, `${log} add constraint closed check (org_id <> '${closed}') not valid`)
      try {
        expect((await logOut(await logoutToken({ sub: 'emil' }))).status).toBe(200)
      } finally {
        await asAdmin(world.adminUrl, `${log} drop constraint closed`)
      }
      expect([await recorded(at), await recorded(other)]).toEqual([before[0], before[1] + 1])
    }
  })

  it('is carried out once, also when it comes many times at the same moment', async () => {
    const token = await logoutToken({ sub: 'twice' })
    const statuses = (await Promise.all(Array.from({ length: 8 }, () => logOut(token)))).map(({ status }) => status)
    expect(statuses.toSorted((one, other) => one - other)).toEqual([200, 400, 400, 400, 400, 400, 400, 400])
    // Signed in again meanwhile, the person is not signed out by the old word.
    const again = await corp.accessToken('twice', { claims: { iat: Math.floor(Date.now() / 1000) + 5 } })
    expect(await whoami(bearer(again))).toBe(200)
    expect((await logOut(token)).status).toBe(400)
    expect(await whoami(bearer(again))).toBe(200)
  })

  it('is heard of by every node: word of a session, or of a person, and of nothing else', async () => {
    const heard: Change[] = []
    const stop = world.database.onChange((change) => change !== 'unknown' && heard.push(change))
    try {
      await logOut(await logoutToken({ sid: randomUUID(), sub: 'heard' }))
      await logOut(await logoutToken({ sub: 'heard' }))
      await expect.poll(() => heard.map(({ table }) => table), { timeout: 30_000 }).toEqual(['sign_in', 'person'])
    } finally {
      stop()
    }
  })

  it('of the plain type, or of none, is taken as well: what it must say no other token may', async () => {
    for (const typ of ['JWT', undefined, 'application/logout+jwt'])
      expect((await logOut(await logoutToken({ sub: 'plain' }, { header: { typ } }))).status).toBe(200)
  })

  const now = (): number => Math.floor(Date.now() / 1000)
  const refused: [string, () => Promise<string>][] = [
    ['with a nonce', () => logoutToken({ sub: 'eve', nonce: 'n' })],
    ['without events', () => logoutToken({ sub: 'eve', events: undefined })],
    ['with another event', () => logoutToken({ sub: 'eve', events: { 'https://schemas.test/other': {} } })],
    ['whose event is no object', () => logoutToken({ sub: 'eve', events: { [EVENT]: true } })],
    ['whose events are a list', () => logoutToken({ sub: 'eve', events: [EVENT] })],
    ['that names nobody', () => logoutToken({})],
    ['with an empty session', () => logoutToken({ sid: '' })],
    ['with a session that is no text', () => logoutToken({ sid: 7 })],
    ['without an id', () => logoutToken({ sub: 'eve', jti: undefined })],
    ['with an empty id', () => logoutToken({ sub: 'eve', jti: '' })],
    ['without an end', () => logoutToken({ sub: 'eve', exp: undefined })],
    ['J-08 that is over', () => logoutToken({ sub: 'eve', exp: now() - 61 })],
    ['J-08 that is old, whatever end it names', () => logoutToken({ sub: 'eve', iat: now() - 700, exp: now() + 3_600 })],
    ['J-07 for another client', () => logoutToken({ sub: 'eve', aud: 'mail' })],
    ['J-07 for this client and another', () => logoutToken({ sub: 'eve', aud: ['console', 'mail'] })],
    ['J-07 for the API', () => logoutToken({ sub: 'eve', aud: AUDIENCE })],
    ['J-07 of the type of access tokens', () => logoutToken({ sub: 'eve' }, { header: { typ: 'at+jwt' } })],
    ['J-07 that is an access token', () => corp.accessToken('eve')],
    ['J-05 of another issuer under this key', () => logoutToken({ sub: 'eve', iss: 'https://else.test' })],
    ['J-05 under the key of another issuer', () => logoutToken({ sub: 'eve' }, { key: quiet.current.privateKey })],
    ['of an issuer that is not configured to send any', () => quiet.logoutToken({ claims: { sub: 'eve' } })],
    ['J-01 signed by nobody', async () => `${(await logoutToken({ sub: 'eve' })).split('.').slice(0, 2).join('.')}.`],
    ['that is none', async () => 'not-a-token'],
  ]
  it.each(refused)('%s is refused, and ends nothing', async (_name, make) => {
    const token = await corp.accessToken('eve', { claims: longAgo() })
    const answer = await logOut(await make())
    expect([answer.status, answer.json.error, answer.headers['cache-control']]).toEqual([400, 'invalid_request', 'no-store'])
    expect(await whoami(bearer(token))).toBe(200)
  })

  it.each(['', 'logout_token=', 'token=x', 'logout_token=a&logout_token=b'])('is in the form, once: %j is refused', async (body) => {
    expect((await form(body)).status).toBe(400)
  })

  it('comes as a form, in a small body, and by POST', async () => {
    const token = await logoutToken({ sub: 'eve' })
    const asJson = await send(world, '/oidc/backchannel-logout', { method: 'POST', body: { logout_token: token } })
    expect(asJson.status).toBe(415)
    expect((await form(`logout_token=${'x'.repeat(40_000)}`)).status).toBe(413)
    expect((await send(world, `/oidc/backchannel-logout?logout_token=${token}`)).status).toBeGreaterThanOrEqual(400)
  })

  it('does not open anything: it is no credential', async () => {
    expect(await whoami(bearer(await logoutToken({ sub: 'eve' })))).toBe(401)
  })

  it('of oidc-provider signs its people out', async () => {
    const token = await certified.accessToken('ada', AUDIENCE)
    const session = await sessionOf(token)
    await certified.signOut('ada')
    expect(await Promise.all([whoami(session), whoami(bearer(token))])).toEqual([401, 401])
  })
})

describe('logout tokens that are made up', () => {
  it('D-01 cost an address its budget, and others nothing', async () => {
    const its = await createWorld(inject('postgresUrl'), {
      issuers: [setting(corp.issuer, corp.keysUri)],
      fetchKeys: (url) => fetch(url),
      trustedProxies: ['127.0.0.1'],
    })
    try {
      const from = (address: string, token: string): Promise<Answer> =>
        send(its, '/oidc/backchannel-logout', {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-forwarded-for': address },
          body: `logout_token=${token}`,
        })
      const answers = await Promise.all(Array.from({ length: 200 }, () => from('203.0.113.7', 'made-up')))
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([400, 503]))
      expect((await from('203.0.113.200', await corp.logoutToken({ claims: { sub: 'ada' } }))).status).toBe(200)
    } finally {
      await its.close()
    }
  })
})
