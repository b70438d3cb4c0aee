/** People by the tokens of outside issuers, over HTTP: whose tokens are believed, what they open, and how they end. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { operations } from '@sallyport/contract'
import type { Operation } from '@sallyport/contract'
import { newId, Secret } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { startCertifiedIssuer, startIdentityProvider } from '../../../testkit/src/identity-provider/index.ts'
import type { IdentityProvider, Signing } from '../../../testkit/src/identity-provider/index.ts'
import { membershipPut, signInPolicyPut, signInPolicyRemove } from '../../src/db/index.ts'
import type { IssuerSetting } from '../../src/identity/index.ts'
import { asPerson, createWorld, send } from './world.ts'
import type { Answer, World } from './world.ts'

const AUDIENCE = 'https://gateway.test'

let world: World
/** Supabase's shape, ES256; it also has its old shared secret. */
let supabase: IdentityProvider
/** OpenID Connect, RS256. */
let corp: IdentityProvider
/** Another of the same kind, whose key has the same name. */
let other: IdentityProvider

const setting = (by: IdentityProvider, over: Partial<IssuerSetting> = {}): IssuerSetting => ({
  issuer: by.issuer,
  kind: 'oidc',
  audiences: [AUDIENCE],
  keysUri: by.keysUri,
  emailDomains: [],
  secondFactors: [],
  maxTokenAgeS: 86_400,
  sessionS: 43_200,
  ...over,
})

beforeAll(async () => {
  ;[supabase, corp, other] = await Promise.all([
    startIdentityProvider(),
    startIdentityProvider({ algorithm: 'RS256', keyId: 'one' }),
    startIdentityProvider({ algorithm: 'RS256', keyId: 'one' }),
  ])
  const { keysUri: _, audiences: __, ...plain } = setting(supabase, { kind: 'supabase', emailDomains: ['corp.test'] })
  world = await createWorld(inject('postgresUrl'), {
    issuers: [plain, { ...plain, secret: 'legacy' }, setting(corp, { secondFactors: ['urn:two'], emailDomains: ['*'] }), setting(other)],
    secrets: new Secret(`legacy:${supabase.sharedSecret}`),
    fetchKeys: (url, init) => fetch(url, { headers: init?.headers as Record<string, string> }),
  })
})
afterAll(async () => {
  await world?.close()
  await Promise.all([supabase?.close(), corp?.close(), other?.close()])
})

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })
const whoami = (token: string): Promise<Answer> => send(world, '/api/v1/whoami', { method: 'GET', headers: bearer(token) })
const atA = (path = ''): string => `/api/v1/orgs/${world.a.params.org}${path}`

async function joined(token: string, role: Parameters<typeof membershipPut>[2], org: OrgId = world.a.org): Promise<string> {
  const { json } = await whoami(token)
  const person = await world.database.lookups.personSignIn({
    id: newId('user'),
    issuer: json.signed_in.issuer,
    subject: subjectOf(token),
    name: json.name,
    email: json.email,
    issuerSession: null,
    issuedAt: new Date(),
  })
  await world.database.withTenant(org, (tx) => membershipPut(tx, person.userId, role))
  return json.id
}

function subjectOf(token: string): string {
  return JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()).sub
}

describe('a token', () => {
  it('of each configured issuer is a person, and of an unknown person gives access to nothing', async () => {
    for (const token of [await supabase.supabaseToken('ada'), await corp.accessToken('ada'), await other.accessToken('ada')]) {
      const { status, json } = await whoami(token)
      expect([status, json.kind, json.memberships]).toEqual([200, 'person', []])
      expect((await send(world, atA(), { method: 'GET', headers: bearer(token) })).status).toBe(404)
    }
  })

  it('J-17 of one subject at two issuers is two people, and one person at each however often it comes', async () => {
    const ids = await Promise.all(
      [
        await supabase.supabaseToken('same'),
        await corp.accessToken('same'),
        await other.accessToken('same'),
        await supabase.legacyToken('same'),
      ].map(async (token) => (await whoami(token)).json.id),
    )
    expect(new Set(ids).size).toBe(3)
    expect(ids[3]).toBe(ids[0])
  })

  const hostile: [string, (by: { supabase: IdentityProvider; corp: IdentityProvider; other: IdentityProvider }) => Promise<string>][] = [
    ['J-01 signed by nobody', async ({ corp: c }) => c.signRaw('{"alg":"none"}', await payloadOf(c), Buffer.alloc(1))],
    [
      'J-01 with None as its algorithm',
      async ({ corp: c }) => c.signRaw('{"alg":"None","kid":"one"}', await payloadOf(c), Buffer.alloc(1)),
    ],
    [
      'J-01 with NONE as its algorithm',
      async ({ corp: c }) => c.signRaw('{"alg":"NONE","kid":"one"}', await payloadOf(c), Buffer.alloc(1)),
    ],
    ['J-01 with an empty signature', async ({ corp: c }) => `${(await c.accessToken('eve')).split('.').slice(0, 2).join('.')}.`],
    ['J-02 under the PEM of the public key', async ({ corp: c }) => underSecret(c, c.current.pem)],
    ['J-02 under the PEM with a space behind it', async ({ corp: c }) => underSecret(c, `${c.current.pem} `)],
    ['J-02 under the DER of the public key', async ({ corp: c }) => underSecret(c, derOf(c))],
    ['J-02 under that DER in base64', async ({ corp: c }) => underSecret(c, derOf(c).toString('base64'))],
    ['J-02 under the JWK', async ({ corp: c }) => underSecret(c, JSON.stringify(c.current.jwk))],
    ['J-02 under the modulus', async ({ corp: c }) => underSecret(c, Buffer.from(c.current.jwk.n!, 'base64url'))],
    [
      'J-02 under the public point, at an issuer with a secret too',
      async ({ supabase: s }) => underSecret(s, Buffer.from(s.current.jwk.x!, 'base64url')),
    ],
    [
      'J-03 with RS512 where RS256 is configured',
      async ({ corp: c }) => c.accessToken('eve', { header: { alg: 'RS512' }, key: await rsaKey(c, 'SHA-512') }),
    ],
    [
      'J-03 with PS256 where RS256 is configured',
      async ({ corp: c }) => c.accessToken('eve', { header: { alg: 'PS256' }, key: await rsaKey(c, 'SHA-256', 'RSA-PSS') }),
    ],
    [
      'J-03 with ES256 where RS256 is configured',
      async ({ corp: c, supabase: s }) => c.accessToken('eve', { header: { alg: 'ES256' }, key: s.current.privateKey }),
    ],
    ['J-05 of an issuer nobody configured', async ({ corp: c }) => c.accessToken('eve', { claims: { iss: 'https://else.test' } })],
    ['J-05 of an issuer with a slash behind it', async ({ corp: c }) => c.accessToken('eve', { claims: { iss: `${c.issuer}/` } })],
    ['J-05 of an issuer in capitals', async ({ corp: c }) => c.accessToken('eve', { claims: { iss: c.issuer.toUpperCase() } })],
    ['J-05 of a list of issuers', async ({ corp: c, other: o }) => c.accessToken('eve', { claims: { iss: [c.issuer, o.issuer] } })],
    ['J-05 of no issuer', async ({ corp: c }) => c.accessToken('eve', { claims: { iss: undefined } })],
    ['of the built-in issuer', async ({ corp: c }) => c.accessToken('owner', { claims: { iss: 'local' } })],
    [
      'J-05 J-06 of one issuer under the key of another that has the same name',
      async ({ corp: c, other: o }) => c.accessToken('eve', { key: o.current.privateKey }),
    ],
    ['J-07 for nobody', async ({ corp: c }) => c.accessToken('eve', { claims: { aud: undefined } })],
    ['J-07 for another service', async ({ corp: c }) => c.accessToken('eve', { claims: { aud: 'https://mail.test' } })],
    ['J-07 for this one and another', async ({ corp: c }) => c.accessToken('eve', { claims: { aud: [AUDIENCE, 'https://mail.test'] } })],
    ['J-07 of the type of ID tokens', async ({ corp: c }) => c.accessToken('eve', { header: { typ: 'JWT' } })],
    ['J-07 of no type', async ({ corp: c }) => c.accessToken('eve', { header: { typ: undefined } })],
    ['J-07 of the type of logout tokens', async ({ corp: c }) => c.accessToken('eve', { header: { typ: 'logout+jwt' } })],
    ['J-07 that is an ID token in all but its type', async ({ corp: c }) => c.accessToken('eve', { claims: { nonce: 'n', at_hash: 'h' } })],
    ['J-07 that is an ID token of Supabase', async ({ supabase: s }) => s.supabaseToken('eve', { claims: { at_hash: 'h' } })],
    ['J-07 that is a logout token in all but its type', async ({ corp: c }) => c.accessToken('eve', { claims: { events: {} } })],
    ['J-08 that ended 61 seconds ago', async ({ corp: c }) => c.accessToken('eve', { claims: { exp: nowS() - 61 } })],
    ['J-08 that begins in 90 seconds', async ({ corp: c }) => c.accessToken('eve', { claims: { nbf: nowS() + 90 } })],
    ['J-08 made in an hour', async ({ corp: c }) => c.accessToken('eve', { claims: { iat: nowS() + 3600 } })],
    [
      'J-08 made two days ago, good for a year',
      async ({ corp: c }) => c.accessToken('eve', { claims: { iat: nowS() - 172_800, exp: nowS() + 31_536_000 } }),
    ],
    ['J-08 without an end', async ({ corp: c }) => c.accessToken('eve', { claims: { exp: undefined } })],
    ['J-08 without a beginning', async ({ corp: c }) => c.accessToken('eve', { claims: { iat: undefined } })],
    ['J-08 that ends at a text', async ({ corp: c }) => c.accessToken('eve', { claims: { exp: `${nowS() + 60}` } })],
    ['J-08 that ends at a fraction', async ({ corp: c }) => c.accessToken('eve', { claims: { exp: nowS() + 60.5 } })],
    ['J-08 that ends before 1970', async ({ corp: c }) => c.accessToken('eve', { claims: { exp: -1 } })],
    [
      'J-08 that ends at 1e400',
      async ({ supabase: s }) => {
        const claims = (await payloadOf(s, 'supabaseToken')).replace(/"exp":\d+/u, '"exp":1e400')
        return s.signRaw('{"alg":"HS256","typ":"JWT"}', claims, Buffer.from(s.sharedSecret))
      },
    ],
    ['with a header that must be understood', async ({ corp: c }) => c.accessToken('eve', { header: { crit: ['ours'], ours: 1 } })],
    ['without a subject', async ({ corp: c }) => c.accessToken('eve', { claims: { sub: undefined } })],
    ['with an empty subject', async ({ corp: c }) => c.accessToken('', {})],
    ['with a subject that does not show', async ({ corp: c }) => c.accessToken('a\u202eb')],
    ['of the anonymous role', async ({ supabase: s }) => s.supabaseToken('eve', { claims: { role: 'anon' } })],
    ['of the service role', async ({ supabase: s }) => s.legacyToken('eve', { role: 'service_role' })],
    ['of an anonymous person', async ({ supabase: s }) => s.supabaseToken('eve', { claims: { is_anonymous: true } })],
    ['with methods that do not read', async ({ supabase: s }) => s.supabaseToken('eve', { claims: { amr: [{ method: 7 }] } })],
  ]
  it.each(hostile)('%s is refused as any other', async (_name, make) => {
    const { status, json, headers } = await whoami(await make({ supabase, corp, other }))
    expect([status, json.code]).toEqual([401, 'unauthenticated'])
    expect(headers['www-authenticate']).toBeDefined()
  })

  const TIMES = [
    '"soon"',
    `"${Math.floor(Date.now() / 1000)}"`,
    '1e400',
    '-1e400',
    '1e300',
    '9007199254740993',
    '1.5',
    '-1',
    'null',
    'true',
    '[]',
    '[1]',
    '{}',
  ]
  it.each(['exp', 'nbf', 'iat'])('J-08 with an odd time as its %s is refused, and is no fault of ours', async (name) => {
    const claims = JSON.parse(await payloadOf(supabase, 'supabaseToken')) as Record<string, unknown>
    const told = TIMES.map((time) => {
      const text = JSON.stringify({ ...claims, [name]: 'HERE' }).replace('"HERE"', time)
      return supabase.signRaw('{"alg":"HS256","typ":"JWT"}', text, Buffer.from(supabase.sharedSecret))
    })
    const control = supabase.signRaw('{"alg":"HS256","typ":"JWT"}', JSON.stringify(claims), Buffer.from(supabase.sharedSecret))
    expect((await whoami(control)).status).toBe(200)
    for (const [index, token] of told.entries()) {
      const { status, json } = await whoami(token)
      expect([TIMES[index], status, json.code]).toEqual([TIMES[index], 401, 'unauthenticated'])
    }
  })

  it('J-02 names no key: what its header points to is not asked', async () => {
    const header = { jku: other.keysUri, x5u: other.keysUri, jwk: other.current.jwk, kid: 'unknown' }
    const before = other.asked
    const token = await corp.accessToken('eve', { header, key: other.current.privateKey })
    expect((await whoami(token)).status).toBe(401)
    expect(other.asked).toBe(before)
  })

  it('is a credential in one place alone', async () => {
    const token = await corp.accessToken('ada')
    const { cookie } = asPerson(world.a.people.OWNER)
    expect((await send(world, '/api/v1/whoami', { method: 'GET', headers: { ...bearer(token), cookie } })).json.code).toBe(
      'ambiguous_credentials',
    )
    expect((await send(world, '/api/v1/whoami', { method: 'GET', headers: { authorization: `DPoP ${token}` } })).status).toBe(401)
    expect((await send(world, '/api/v1/whoami', { method: 'GET', headers: { 'x-api-key': token } })).status).toBe(401)
  })

  it('says an address only where its issuer may speak for the domain and calls it verified', async () => {
    const emailOf = async (token: string): Promise<unknown> => (await whoami(token)).json.email
    const at = (email: string, more: object = {}) => ({ claims: { email, ...more } }) satisfies Signing
    expect(await emailOf(await supabase.supabaseToken('e1', at('E1@CORP.TEST')))).toBe('e1@corp.test')
    expect(await emailOf(await supabase.supabaseToken('e2', at('a@corp.test.evil')))).toBeNull()
    expect(await emailOf(await supabase.supabaseToken('e3', at('"x@corp.test"@evil.test')))).toBeNull()
    expect(await emailOf(await corp.accessToken('e4', at('a@any.test', { email_verified: true })))).toBe('a@any.test')
    for (const verified of [false, undefined, 'true', 1])
      expect(await emailOf(await corp.accessToken(`e5-${verified}`, at('a@any.test', { email_verified: verified })))).toBeNull()
    expect(await emailOf(await other.accessToken('e6', at('a@corp.test', { email_verified: true })))).toBeNull()
  })

  it('J-11 of a person who is taken out of an organization opens nothing there within five seconds', async () => {
    const token = await corp.accessToken('leaver')
    const id = await joined(token, 'VIEWER')
    await expect
      .poll(async () => (await send(world, atA(), { method: 'GET', headers: bearer(token) })).status, { timeout: 15_000 })
      .toBe(200)
    const { rows } = await asAdmin(
      `delete from sallyport.membership m using sallyport.person p where p.id = m.person_id and p.subject = 'leaver' returning 1`,
    )
    expect([id, rows]).toEqual([expect.stringContaining('user_'), 1])
    await expect
      .poll(async () => (await send(world, atA(), { method: 'GET', headers: bearer(token) })).status, { timeout: 15_000 })
      .toBe(404)
  })

  it('is taken under a new key of its issuer, and not under one that was taken away', async () => {
    const own = await startIdentityProvider({ algorithm: 'RS256' })
    const its = await createWorld(inject('postgresUrl'), {
      issuers: [setting(own)],
      fetchKeys: (url) => fetch(url),
    })
    try {
      const ask = async (token: string) => (await send(its, '/api/v1/whoami', { method: 'GET', headers: bearer(token) })).status
      const old = own.current.privateKey
      await own.rotate()
      // The keys were not asked for yet, so the first question finds the new one.
      expect(await ask(await own.accessToken('ada'))).toBe(200)
      expect(await ask(await own.accessToken('ada', { key: old }))).toBe(401)
    } finally {
      await its.close()
      await own.close()
    }
  })

  it('can not be judged while its issuer can not be asked and nothing is remembered: 503, and 401 for those of others', async () => {
    const own = await startIdentityProvider({ algorithm: 'RS256' })
    own.behave('nonsense')
    const its = await createWorld(inject('postgresUrl'), { issuers: [setting(own)], fetchKeys: (url) => fetch(url) })
    try {
      const answer = await send(its, '/api/v1/whoami', { method: 'GET', headers: bearer(await own.accessToken('ada')) })
      expect([answer.status, answer.json.code]).toEqual([503, 'issuer_unavailable'])
      expect(answer.headers['retry-after']).toBeDefined()
      expect((await send(its, '/api/v1/whoami', { method: 'GET', headers: bearer(await corp.accessToken('ada')) })).status).toBe(401)
    } finally {
      await its.close()
      await own.close()
    }
  })
})

describe('tokens of oidc-provider', () => {
  it('are people here under the keys that it has now, and not under those it gave up or for another service', async () => {
    const certified = await startCertifiedIssuer()
    const { keysUri, issuer } = certified
    const at = { ...setting(corp), issuer, keysUri }
    const its = await createWorld(inject('postgresUrl'), { issuers: [at], fetchKeys: (url) => fetch(url) })
    const again = await certified.accessToken('ada', AUDIENCE)
    try {
      const ask = (token: string): Promise<Answer> => send(its, '/api/v1/whoami', { method: 'GET', headers: bearer(token) })
      await certified.rotate()
      const fresh = await ask(await certified.accessToken('ada', AUDIENCE))
      expect([fresh.status, fresh.json.signed_in]).toMatchObject([200, { issuer, methods: [], assurance: 'aal1', provider: null }])
      expect((await ask(again)).status).toBe(401)
      expect((await ask(await certified.accessToken('ada', 'https://mail.test'))).status).toBe(401)
    } finally {
      await its.close()
      await certified.close()
    }
  })
})

describe('a console session from a token', () => {
  const open = (token: string, headers: Record<string, string> = {}): Promise<Answer> =>
    send(world, '/api/v1/session', { method: 'POST', headers, body: { token } })
  const cookieOf = (answer: Answer): string => String(answer.headers['set-cookie']).split(';')[0]!

  it('J-19 is fresh each time, and has no part of the token in it', async () => {
    const token = await corp.accessToken('ada')
    const [first, second] = [await open(token), await open(token, { cookie: 'sallyport_session=chosen-by-somebody-else' })]
    expect([first.status, second.status]).toEqual([201, 201])
    expect(cookieOf(first)).not.toBe(cookieOf(second))
    expect(cookieOf(second)).not.toContain('chosen')
    expect(token).not.toContain(cookieOf(first).split('=')[1])
    const { json } = await send(world, '/api/v1/whoami', { method: 'GET', headers: { cookie: cookieOf(first) } })
    expect(json.signed_in).toMatchObject({ issuer: corp.issuer, methods: [], assurance: 'aal1', provider: null, step_up_until: null })
  })

  it('J-20 does not begin from another site, nor act for one', async () => {
    const token = await corp.accessToken('ada')
    expect((await open(token, { origin: 'https://evil.test' })).json.code).toBe('cross_site_refused')
    const cookie = cookieOf(await open(token))
    const out = await send(world, '/api/v1/session', { method: 'DELETE', headers: { cookie, origin: 'https://evil.test' } })
    expect(out.json.code).toBe('cross_site_refused')
  })

  it('takes exactly one of a link and a token', async () => {
    for (const body of [{}, { token: await corp.accessToken('ada'), owner_token: 'x'.repeat(43) }, { token: 'x'.repeat(43) }]) {
      const { status } = await send(world, '/api/v1/session', { method: 'POST', body })
      expect([400, 401]).toContain(status)
    }
  })

  it('ends with the session at its issuer once that is known to be over, and its tokens open nothing more', async () => {
    const token = await corp.accessToken('signs-out', { claims: { sid: 'their-session' } })
    const cookie = cookieOf(await open(token))
    expect((await send(world, '/api/v1/session', { method: 'DELETE', headers: bearer(token) })).status).toBe(204)
    expect((await whoami(token)).status).toBe(401)
    expect((await open(token)).status).toBe(401)
    const again = await corp.accessToken('signs-out', { claims: { sid: 'their-session', jti: 'renewed' } })
    expect((await whoami(again)).status).toBe(401)
    expect((await whoami(await corp.accessToken('signs-out', { claims: { sid: 'another' } }))).status).toBe(200)
    expect((await send(world, '/api/v1/whoami', { method: 'GET', headers: { cookie } })).status).toBe(401)
  })

  it('can not be ended by a token that names none', async () => {
    const answer = await send(world, '/api/v1/session', { method: 'DELETE', headers: bearer(await corp.accessToken('ada')) })
    expect([answer.status, answer.json.code]).toEqual([409, 'conflict'])
  })
})

describe('an organization that asks how people sign in', () => {
  const VIA = 'sso:6a2b0f4e-0000-4000-8000-000000000001'
  const saml = { amr: [{ method: 'sso/saml', timestamp: 1, provider: VIA.slice(4) }], app_metadata: { provider: VIA, providers: [VIA] } }
  const inTenant = (Object.entries(operations) as [string, Operation][]).filter(([, { access }]) => access.audience === 'tenant')

  beforeAll(async () => {
    for (const subject of ['member', 'member2']) await joined(await supabase.supabaseToken(subject), 'OWNER', world.b.org)
    await world.database.withTenant(world.b.org, (tx) =>
      signInPolicyPut(tx, { ways: [{ issuer: supabase.issuer, provider: VIA }], breakGlass: false }),
    )
  })

  const ask = ([, { method, path }]: [string, Operation], headers: Record<string, string>): Promise<Answer> =>
    send(
      world,
      path.replace(/\{(\w+)\}/gu, (_, name: string) => encodeURIComponent(world.b.params[name as 'org'] ?? '')),
      {
        method,
        headers,
        ...(method === 'POST' || method === 'PATCH' ? { body: {} } : {}),
      },
    )

  it.each(inTenant)('J-12 J-13 lets nobody use %s who came another way, whatever the account could have used', async (name, operation) => {
    // Signed in by password, with the identity provider's identity on the account.
    const linked = await supabase.supabaseToken('member', { claims: { app_metadata: saml.app_metadata } })
    // Both in one session: whichever came first, it was not the provider alone.
    const mixed = await supabase.supabaseToken('member', {
      claims: { app_metadata: saml.app_metadata, amr: [...saml.amr, { method: 'password', timestamp: 2 }] },
    })
    for (const token of [linked, mixed]) {
      const answer = await ask([name, operation], bearer(token))
      expect([answer.status, answer.json.code]).toEqual([403, 'sso_required'])
    }
    const before = await send(world, '/api/v1/session', { method: 'POST', body: { token: linked } })
    const cookie = String(before.headers['set-cookie']).split(';')[0]!
    const answer = await ask([name, operation], { cookie, origin: 'http://127.0.0.1:7255' })
    expect([answer.status, answer.json.code]).toEqual([403, 'sso_required'])
  })

  it('lets in who came through its provider, with a second factor or not', async () => {
    for (const amr of [saml.amr, [...saml.amr, { method: 'totp', timestamp: 2 }]]) {
      const token = await supabase.supabaseToken('member', { claims: { ...saml, amr } })
      const answer = await send(world, `/api/v1/orgs/${world.b.params.org}`, { method: 'GET', headers: bearer(token) })
      expect(answer.status).toBe(200)
    }
  })

  it.each([
    ['another provider', { ...saml, amr: [{ method: 'sso/saml', timestamp: 1, provider: 'other' }] }],
    ['a provider that the account is not of', { ...saml, app_metadata: { provider: 'sso:other' } }],
    ['no method at all', { ...saml, amr: [] }],
    ['a code by mail', { ...saml, amr: [{ method: 'otp', timestamp: 1 }] }],
    ['what it recovers an account by', { ...saml, amr: [{ method: 'recovery', timestamp: 1 }, ...saml.amr] }],
  ])('J-12 does not take a sign-in by %s for one by its provider', async (_name, claims) => {
    const token = await supabase.supabaseToken('member2', { claims })
    const answer = await send(world, `/api/v1/orgs/${world.b.params.org}`, { method: 'GET', headers: bearer(token) })
    expect([answer.status, answer.json.code]).toEqual([403, 'sso_required'])
  })

  it('J-13 lets nobody in while what it asks can not be read, whatever route', async () => {
    await asAdmin(`update sallyport.sign_in_policy set ways = '[{"issuer": 7}]' where org_id = '${world.b.org}'`)
    try {
      for (const operation of inTenant) {
        const token = await supabase.supabaseToken('member', { claims: { ...saml, aal: 'aal2', jti: operation[0] } })
        const answer = await ask(operation, bearer(token))
        expect([operation[0], answer.status, answer.json.code]).toEqual([operation[0], 403, 'sso_required'])
      }
    } finally {
      await world.database.withTenant(world.b.org, (tx) =>
        signInPolicyPut(tx, { ways: [{ issuer: supabase.issuer, provider: VIA }], breakGlass: false }),
      )
    }
  })

  it('tells nobody else that it does: a stranger sees nothing, as before', async () => {
    const answer = await send(world, `/api/v1/orgs/${world.b.params.org}`, {
      method: 'GET',
      headers: bearer(await corp.accessToken('stranger')),
    })
    expect(answer.status).toBe(404)
  })

  it('goes on serving its keys, which signed in nowhere', async () => {
    const answer = await send(world, `/api/v1/orgs/${world.b.params.org}/projects/${world.b.params.project}`, {
      method: 'GET',
      headers: bearer(world.b.key),
    })
    expect(answer.status).toBe(200)
  })
})

describe('changing how people sign in', () => {
  const change = (token: string, body: object): Promise<Answer> =>
    send(world, atA('/sign-in-policy'), { method: 'PATCH', headers: bearer(token), body })
  const strong = (subject: string): Promise<string> => corp.accessToken(subject, { claims: { acr: 'urn:two' } })

  it('asks for a second factor, and for a way that its maker came by', async () => {
    await joined(await corp.accessToken('changer'), 'OWNER')
    const ways = [{ issuer: corp.issuer }]
    expect((await change(await corp.accessToken('changer'), { ways })).json.code).toBe('step_up_required')
    expect((await change(await strong('changer'), { ways: [{ issuer: other.issuer }] })).json.code).toBe('conflict')
    expect((await change(await strong('changer'), { ways: [{ issuer: other.issuer }], break_glass: true })).json.code).toBe('conflict')
    const faulty = await change(await strong('changer'), {
      ways: [{ issuer: `${corp.issuer}/` }, { issuer: supabase.issuer }, { issuer: corp.issuer, provider: 'sso:1' }],
    })
    expect(faulty.json.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
      '/body/ways/0/issuer',
      '/body/ways/1/provider',
      '/body/ways/2/provider',
    ])
  })

  it('takes hold, is on record, and lets an owner with a second factor in where it says so', async () => {
    await joined(await corp.accessToken('changer'), 'OWNER')
    await joined(await other.accessToken('spare'), 'OWNER')
    const answer = await change(await strong('changer'), { ways: [{ issuer: corp.issuer }], break_glass: true })
    expect([answer.status, answer.json]).toMatchObject([200, { ways: [{ issuer: corp.issuer, provider: null }], break_glass: true }])
    const read = (token: string): Promise<Answer> => send(world, atA('/sign-in-policy'), { method: 'GET', headers: bearer(token) })
    expect((await read(await corp.accessToken('changer', { claims: { jti: 'fresh' } }))).json.break_glass).toBe(true)
    expect((await read(await other.accessToken('spare'))).json.code).toBe('sso_required')
    expect((await read(await other.accessToken('spare', { claims: { amr: ['pwd', 'mfa'] } }))).status).toBe(200)
    const events = await send(world, atA('/audit-events?limit=200'), { method: 'GET', headers: bearer(await strong('changer')) })
    expect(events.json.data.map(({ action }: { action: string }) => action)).toContain('sign_in_policy.updated')
    expect((await change(await strong('changer'), { ways: null })).json).toEqual({ ways: null, break_glass: false, updated_at: null })
    expect((await read(await other.accessToken('spare', { claims: { jti: 'later' } }))).status).toBe(200)
  })
})

describe('an owner who breaks the glass', () => {
  const POLICY = (): Parameters<typeof signInPolicyPut>[1] => ({ ways: [{ issuer: corp.issuer, provider: null }], breakGlass: true })
  const strong = (jti: string): Promise<string> => other.accessToken('breaker', { claims: { amr: ['pwd', 'mfa'], jti } })
  const read = (token: string): Promise<Answer> => send(world, atA('/projects'), { method: 'GET', headers: bearer(token) })
  const events = async (): Promise<{ actor: string; target: string; detail: { issuer: string; via: string } }[]> =>
    (
      await send(world, atA('/audit-events?limit=200&action=break_glass.used'), {
        method: 'GET',
        headers: bearer(await corp.accessToken('reader')),
      })
    ).json.data
  beforeAll(async () => {
    await joined(await other.accessToken('breaker'), 'OWNER')
    await joined(await corp.accessToken('reader'), 'OWNER')
    await world.database.withTenant(world.a.org, (tx) => signInPolicyPut(tx, POLICY()))
  })
  afterAll(() => world.database.withTenant(world.a.org, signInPolicyRemove))

  it('A-06 J-12 is on record by the token itself, once for each token, and not for who comes as asked', async () => {
    const before = (await events()).length
    const token = await strong('first')
    const answers = await Promise.all([read(token), read(token), read(token)])
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(await events()).toHaveLength(before + 1)
    await read(await strong('second'))
    const all = await events()
    expect(all).toHaveLength(before + 2)
    expect(all[0]).toMatchObject({ target: all[0]!.actor, detail: { issuer: other.issuer, via: 'token' } })
  })

  it('A-07 is let in by no token that can not be put on record, and by the same one afterwards', async () => {
    const token = await strong('third')
    await asAdmin('revoke execute on function sallyport.audit_append(jsonb) from sallyport_app')
    const refused = await read(token)
    await asAdmin('grant execute on function sallyport.audit_append(jsonb) to sallyport_app')
    expect(refused.status).toBeGreaterThanOrEqual(500)
    expect((await read(token)).status).toBe(200)
  })
})

describe('what can not be undone', () => {
  const declared = (Object.entries(operations) as [string, Operation][]).filter(([, { access }]) => access.stepUp === true)

  it.each(declared)('%s is done for nobody without a second factor, and says what to do', async (_name, { method, path }) => {
    const token = await corp.accessToken('one-factor')
    await joined(token, 'OWNER')
    const fresh = await corp.accessToken('one-factor', { claims: { jti: `${path}${method}` } })
    const url = path.replace(/\{(\w+)\}/gu, (_, name: string) => encodeURIComponent(world.a.params[name as 'org'] ?? ''))
    const answer = await send(world, url, {
      method,
      headers: bearer(fresh),
      ...(method === 'GET' || method === 'DELETE' ? {} : { body: {} }),
    })
    expect([answer.status, answer.json.code]).toEqual([403, 'step_up_required'])
    expect(answer.json.detail).toContain('aal2')
  })
})

describe('a second factor', () => {
  const contain = (token: string): Promise<Answer> =>
    send(world, atA('/deletion'), { method: 'POST', headers: bearer(token), body: { confirm: 'not its name' } })
  const signedIn = async (token: string): Promise<{ assurance: string; authenticated_at: string; step_up_until: string | null }> =>
    (await whoami(token)).json.signed_in
  const at = (seconds: number): string => new Date(seconds * 1000).toISOString()

  it('counts for what can not be undone as long as it is recent, by when the person signed in and not by when the token was made', async () => {
    await joined(await corp.accessToken('stepper'), 'OWNER')
    const strong = (claims: object): Promise<string> => corp.accessToken('stepper', { claims: { acr: 'urn:two', ...claims } })
    const [recent, old] = [await strong({ auth_time: nowS() - 60 }), await strong({ auth_time: nowS() - 3_700 })]
    expect((await contain(recent)).json.code).toBe('confirmation_mismatch')
    const refused = await contain(old)
    expect([refused.status, refused.json.code, refused.json.detail]).toEqual([
      403,
      'step_up_required',
      expect.stringContaining('3600 seconds'),
    ])
    // An issuer that does not say when has said it by making the token, and nobody signs in after that.
    expect((await contain(await strong({ iat: nowS() - 60 }))).json.code).toBe('confirmation_mismatch')
    expect((await contain(await strong({ iat: nowS() - 3_700, auth_time: nowS() + 3_600 }))).json.code).toBe('step_up_required')
  })

  it('is as old in the console session that its token opens', async () => {
    await joined(await corp.accessToken('stepper'), 'OWNER')
    const token = await corp.accessToken('stepper', { claims: { acr: 'urn:two', auth_time: nowS() - 3_700, jti: 'for a session' } })
    const opened = await send(world, '/api/v1/session', { method: 'POST', body: { token } })
    const headers = asPerson({ cookie: String(opened.headers['set-cookie']).split(';')[0]! })
    const answer = await send(world, atA('/deletion'), { method: 'POST', headers, body: { confirm: 'not its name' } })
    expect(answer.json.code).toBe('step_up_required')
  })

  it('of Supabase is as old as it was given, however often the token was renewed, and of no age at all where that is not said', async () => {
    const amr = (seconds: number | undefined) => [
      { method: 'password', timestamp: nowS() - 9_000 },
      { method: 'totp', timestamp: seconds },
      { method: 'token_refresh', timestamp: nowS() },
    ]
    const given = nowS() - 5_000
    const seen = await signedIn(await supabase.supabaseToken('s1', { claims: { aal: 'aal2', amr: amr(given) } }))
    expect(seen).toMatchObject({ assurance: 'aal2', authenticated_at: at(given), step_up_until: at(given + 3_600) })
    const unsaid = await signedIn(await supabase.supabaseToken('s2', { claims: { aal: 'aal2', amr: amr(undefined) } }))
    expect(unsaid.authenticated_at).toBe(at(0))
    const without = await signedIn(await supabase.supabaseToken('s3', { claims: { amr: amr(given).slice(0, 1) } }))
    expect(without).toMatchObject({ assurance: 'aal1', step_up_until: null })
  })

  it.each(['1', -1, 1.5, null])('is of no token whose auth_time is %j', async (auth_time) => {
    expect((await whoami(await corp.accessToken('stepper', { claims: { auth_time } }))).status).toBe(401)
  })

  it('is not given by a link of the terminal where the installation says so', async () => {
    const its = await createWorld(inject('postgresUrl'), { linkAssurance: 'aal1' })
    try {
      const wanted = { method: 'POST', headers: asPerson(its.a.people.OWNER), body: { confirm: 'not its name' } }
      expect((await send(its, `/api/v1/orgs/${its.a.params.org}/deletion`, wanted)).json.code).toBe('step_up_required')
    } finally {
      await its.close()
    }
  })
})

/** One statement as the administrator of the test's own database; how many rows it gave. */
async function asAdmin(text: string): Promise<{ rows: number }> {
  const { Client } = await import('pg')
  const client = new Client({ connectionString: world.adminUrl })
  await client.connect()
  try {
    return { rows: (await client.query(text)).rows.length }
  } finally {
    await client.end()
  }
}

const nowS = (): number => Math.floor(Date.now() / 1000)

async function payloadOf(by: IdentityProvider, shape: 'accessToken' | 'supabaseToken' = 'accessToken'): Promise<string> {
  return Buffer.from((await by[shape]('eve')).split('.')[1]!, 'base64url').toString()
}

async function underSecret(by: IdentityProvider, secret: string | Uint8Array): Promise<string> {
  const header = JSON.stringify({ alg: 'HS256', typ: 'at+jwt', kid: by.current.jwk.kid })
  return by.signRaw(header, await payloadOf(by), Buffer.from(secret as string))
}

/** The public key as bytes, without what PEM puts around them. */
function derOf(by: IdentityProvider): Buffer {
  return Buffer.from(by.current.pem.replaceAll(/-----[A-Z ]+-----/gu, ''), 'base64')
}

/** The same key pair, for another hash or padding. */
async function rsaKey(by: IdentityProvider, hash: string, name = 'RSASSA-PKCS1-v1_5'): Promise<IdentityProvider['current']['privateKey']> {
  const jwk = await crypto.subtle.exportKey('jwk', by.current.privateKey)
  const { alg: _, key_ops: __, ...plain } = jwk
  return crypto.subtle.importKey('jwk', plain, { name, hash }, true, ['sign'])
}
