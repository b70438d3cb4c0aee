/**
 * Each scheme from its beginning in one program to a call from another that was started later, on each kind of store that outlives a program:
 * against a certified authorization server, and an X that checks signatures.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { Sallyport } from '../../src/index.ts'
import type { ProviderConfig, SallyportConfig } from '../../src/index.ts'
import { startFakeX } from '../../../testkit/src/fakes/index.ts'
import type { FakeX } from '../../../testkit/src/fakes/index.ts'
import { createDatabase, dropDatabase, startTestRedis } from '../../../testkit/src/servers/index.ts'
import { startCertifiedServer } from '../oauth/certified-server.ts'
import type { CertifiedServer } from '../oauth/certified-server.ts'
import { agreeOnDevice, signIn } from '../oauth/sign-in.ts'
import { REDIRECT_URI, renewed } from './ground.ts'

const encryption = { key: randomBytes(32).toString('hex'), algorithm: 'aes-256-gcm' }
const SECRET = 'not-a-secret-client-of-a-test'
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'
const admin = inject('postgresUrl')

let server: CertifiedServer
let x: FakeX
let redis: Awaited<ReturnType<typeof startTestRedis>>
let database: Awaited<ReturnType<typeof createDatabase>>
/** What the API was sent, call by call. */
const seen: { url: string; authorization: string | undefined }[] = []

beforeAll(async () => {
  server = await startCertifiedServer({
    clients: [
      { client_id: 'machine', client_secret: SECRET, redirect_uris: [], response_types: [], grant_types: ['client_credentials'] },
      {
        client_id: 'device',
        token_endpoint_auth_method: 'none',
        redirect_uris: [],
        response_types: [],
        grant_types: [DEVICE_GRANT, 'refresh_token'],
      },
      {
        client_id: 'bound',
        client_secret: SECRET,
        redirect_uris: [REDIRECT_URI],
        grant_types: ['authorization_code', 'refresh_token'],
        dpop_bound_access_tokens: true,
      },
    ],
    features: {
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
    },
    before: ({ url = '', headers }, response, provider) => {
      if (!url.startsWith('/api/')) return false
      const { authorization } = headers
      seen.push({ url, authorization })
      void provider.ClientCredentials.find(authorization?.replace('Bearer ', '') ?? '').then((token) => {
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ client: token?.clientId ?? null, scope: token?.scope ?? null }))
      })
      return true
    },
  })
  x = await startFakeX({ redirectUri: REDIRECT_URI })
  redis = await startTestRedis()
  database = await createDatabase(admin)
})
afterAll(async () => {
  await server.close()
  await x.close()
  await redis.stop()
  await dropDatabase(admin, database.name)
})

const STORES: Readonly<Record<string, () => SallyportConfig['tokenStore']>> = {
  redis: () => ({ backend: 'redis', url: redis.url, encryption }),
  postgres: () => ({ backend: 'postgres', url: database.url, encryption }),
}

function recordOf(id: string, changes: object): object {
  const { origin } = server
  return {
    id,
    name: id,
    docs: 'https://docs.example/',
    api: {
      base: `${origin}/api`,
      injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
      defaultHeaders: {},
    },
    origins: [origin],
    ...changes,
  }
}

function oauthAt(origin: string, changes: object): object {
  return {
    issuer: origin,
    tokenEndpoint: `${origin}/token`,
    tokenAuth: 'client_secret_basic',
    scopeSeparator: ' ',
    tokenQuirks: [],
    ...changes,
  }
}

function program(kind: string): Promise<Sallyport> {
  const { origin } = server
  const userinfo = { url: `${origin}/me`, method: 'GET', idPath: ['sub'], labelPath: ['email'], headers: {} }
  const revocation = { kind: 'rfc7009', endpoint: `${origin}/token/revocation`, clientAuth: 'client_secret_basic', reach: 'token' }
  const query = { base: `${origin}/api`, injection: { kind: 'query', name: 'key' }, defaultHeaders: {} }
  const people = ['openid', 'email', 'offline_access']
  const providers: Record<string, ProviderConfig> = {
    machine: { clientId: 'machine', clientSecret: SECRET, scopes: ['read'] },
    device: { clientId: 'device', publicClient: true },
    bound: { clientId: 'bound', clientSecret: SECRET, redirectUri: REDIRECT_URI },
    x: {
      scheme: 'oauth1',
      clientId: x.consumer.key,
      clientSecret: x.consumer.secret,
      redirectUri: REDIRECT_URI,
      endpoints: { ...x.endpoints, oauth1: x.oauth1 },
    },
    keyed: {},
    queried: {},
    named: {},
    open: {},
  }
  return Sallyport.init({
    mode: 'development',
    tokenStore: STORES[kind]!(),
    connectors: [
      recordOf('machine', { oauth: oauthAt(origin, { clientCredentials: true }), revocation }),
      recordOf('device', {
        oauth: oauthAt(origin, { deviceAuthorizationEndpoint: `${origin}/device/auth` }),
        userinfo,
        revocation,
        defaultScopes: people,
        api: { ...(recordOf('device', {}) as { api: object }).api, base: origin },
      }),
      recordOf('bound', {
        oauth: oauthAt(origin, {
          authorizationEndpoint: `${origin}/auth`,
          authorizationParams: { prompt: 'consent' },
          responseIssuer: 'required',
          tokenBinding: 'dpop',
        }),
        userinfo,
        revocation,
        defaultScopes: people,
        api: { ...(recordOf('bound', {}) as { api: object }).api, base: origin },
      }),
      recordOf('keyed', { credential: 'api_key' }),
      recordOf('queried', { credential: 'api_key', api: query }),
      recordOf('named', { credential: 'basic' }),
      recordOf('open', { credential: 'none' }),
    ],
    providers,
    insecureAllowOrigins: [origin, x.origin],
    http: { retry: { maxRetries: 0 } },
    logging: { level: 'silent' },
  })
}

describe.each(Object.keys(STORES))('schemes with their credentials in %s', (kind) => {
  /** Begins in one program, which ends before the next begins. */
  async function inTwo<Begun>(begin: (one: Sallyport) => Promise<Begun>, goOn: (other: Sallyport, begun: Begun) => Promise<void>) {
    const one = await program(kind)
    const begun = await begin(one)
    await one.close()
    const other = await program(kind)
    await goOn(other, begun)
    await other.close()
  }

  it('client credentials: a token of the application’s own, renewed by itself, taken back', async () => {
    const of = { provider: 'machine', userId: 'the application' }
    await inTwo(
      async (one) => {
        expect(await one.connect({ ...of, credential: 'client' })).toEqual({ ...of, scopes: ['read'], missingScopes: [] })
      },
      async (other) => {
        const first = await other.request({ ...of, path: '/thing' })
        expect(await first.json()).toEqual({ client: 'machine', scope: 'read' })
        const before = seen.at(-1)!.authorization
        expect((await renewed(other, of)).expiresAt).toBeGreaterThan(Date.now())
        expect(await (await other.request({ ...of, path: '/thing' })).json()).toEqual({ client: 'machine', scope: 'read' })
        expect(seen.at(-1)!.authorization).not.toBe(before)
        expect(await other.getConnectionHealth(of)).toMatchObject({ health: 'active', renewable: true })
        expect(await other.disconnect(of)).toEqual({ kind: 'done' })
        await expect(other.request({ ...of, path: '/thing' })).rejects.toMatchObject({ code: 'credential_absent' })
        await expect(other.connect(of)).rejects.toMatchObject({ code: 'scheme_mismatch' })
      },
    )
  })

  it('device code: shown by one program, waited for by another', async () => {
    const of = { provider: 'device', userId: 'ada' }
    await inTwo(
      async (one) => {
        const shown = await one.connectDevice(of)
        const impatient = AbortSignal.timeout(50)
        const waited = one.awaitDevice(shown.handle, { userId: 'ada' }, { signal: impatient })
        await expect(waited).rejects.toMatchObject({ name: expect.stringMatching(/^(Timeout|Abort)Error$/u) as string })
        return shown
      },
      async (other, { handle, verificationUriComplete }) => {
        await expect(other.awaitDevice(handle, { userId: 'eve' })).rejects.toMatchObject({ code: 'state_other_session' })
        await agreeOnDevice(verificationUriComplete!)
        const connected = await other.awaitDevice(handle, { userId: 'ada' })
        expect(connected).toMatchObject({ ...of, account: { id: 'grace', label: 'grace@test.example' } })
        await expect(other.awaitDevice(handle, { userId: 'ada' })).rejects.toMatchObject({ code: 'state_used' })
        expect(await (await other.request({ ...of, path: '/me' })).json()).toMatchObject({ sub: 'grace' })
        expect((await renewed(other, of)).expiresAt).toBeGreaterThan(Date.now())
        expect((await other.request({ ...of, path: '/me' })).status).toBe(200)
        expect(await other.disconnect(of)).toEqual({ kind: 'done' })
      },
    )
  })

  it('device code: a refusal on the other device ends the sign-in', async () => {
    const sallyport = await program(kind)
    const { handle, verificationUriComplete } = await sallyport.connectDevice({ provider: 'device', userId: 'ada' })
    await agreeOnDevice(verificationUriComplete!, true)
    await expect(sallyport.awaitDevice(handle, { userId: 'ada' })).rejects.toMatchObject({ code: 'connect_denied' })
    await expect(sallyport.awaitDevice(handle, { userId: 'ada' })).rejects.toMatchObject({ code: 'state_used' })
    await expect(sallyport.awaitDevice('made up', { userId: 'ada' })).rejects.toMatchObject({ code: 'state_unknown' })
    await sallyport.close()
  })

  it('tokens bound to a key: each call with a proof, with the nonces of the server', async () => {
    const of = { provider: 'bound', userId: 'ada' }
    await inTwo(
      (one) => one.connect(of),
      async (other, { url }) => {
        const callback = `${REDIRECT_URI}?${await signIn(url, REDIRECT_URI)}`
        expect(await other.handleCallback(callback, { userId: 'ada' })).toMatchObject({ account: { id: 'grace' } })
        expect(await (await other.request({ ...of, path: '/me' })).json()).toMatchObject({ sub: 'grace' })
        const posted = await other.request({ ...of, method: 'POST', path: '/me', body: new URLSearchParams({ a: 'b' }) })
        expect(posted.status).toBe(200)
        expect((await renewed(other, of)).expiresAt).toBeGreaterThan(Date.now())
        const third = await program(kind)
        // It knows no nonce yet, and the first body can be sent again.
        expect((await third.request({ ...of, method: 'POST', path: '/me', body: '' })).status).toBe(200)
        await third.close()
        expect(await other.disconnect(of)).toEqual({ kind: 'done' })
      },
    )
  })

  it('OAuth 1.0a: three legs over a restart, then signed calls with queries and forms', async () => {
    const of = { provider: 'x', userId: 'ada' }
    await inTwo(
      (one) => one.connect(of),
      async (other, { url, state }) => {
        const callback = x.agree(url)
        await expect(other.handleCallback(callback.replace(state, 'another'), { userId: 'ada' })).rejects.toMatchObject({
          code: 'state_unknown',
        })
        const connected = await other.handleCallback(callback, { userId: 'ada' })
        expect(connected).toMatchObject({ ...of, account: { label: x.user }, scopes: [], missingScopes: [] })
        await expect(other.handleCallback(callback, { userId: 'ada' })).rejects.toMatchObject({ code: 'state_used' })
        const me = await other.request({ ...of, path: '/users/me', query: { 'user.fields': 'created_at,name' } })
        expect(await me.json()).toMatchObject({ data: { username: x.user } })
        const posted = await other.request({ ...of, method: 'POST', path: '/tweets', json: { text: `a signed post, from ${kind}` } })
        expect(posted.status).toBe(201)
        expect(await other.getConnectionHealth(of)).toMatchObject({ health: 'active', renewable: false, expiresAt: null })
        expect(await other.disconnect(of)).toEqual({ kind: 'impossible', reason: 'no_way' })
        await expect(other.request({ ...of, path: '/users/me' })).rejects.toMatchObject({ code: 'credential_absent' })
        const denied = await other.connect(of)
        await expect(other.handleCallback(x.deny(denied.url), { userId: 'ada' })).rejects.toMatchObject({ code: 'connect_denied' })
      },
    )
  })

  it('a key, a name with a password, or nothing: where the record says, and nowhere else', async () => {
    const apiKey = `fake key ${randomBytes(6).toString('hex')}`
    await inTwo(
      async (one) => {
        await one.connect({ provider: 'keyed', userId: 'ada', credential: { apiKey } })
        await one.connect({ provider: 'queried', userId: 'ada', credential: { apiKey } })
        await one.connect({ provider: 'named', userId: 'ada', credential: { username: 'ada', password: 'pässword' } })
      },
      async (other) => {
        const sent = async (provider: string, path: string) => {
          await (await other.request({ provider, userId: 'ada', path, headers: { authorization: 'Bearer mine' } })).json()
          return seen.at(-1)!
        }
        expect(await sent('keyed', '/a')).toEqual({ url: '/api/a', authorization: `Bearer ${apiKey}` })
        expect(await sent('queried', '/a?key=mine&b=1')).toEqual({
          url: `/api/a?b=1&key=${encodeURIComponent(apiKey)}`,
          authorization: undefined,
        })
        const basic = Buffer.from('ada:pässword', 'utf8').toString('base64')
        expect(await sent('named', '/a')).toEqual({ url: '/api/a', authorization: `Basic ${basic}` })
        expect(await sent('open', '/a')).toEqual({ url: '/api/a', authorization: undefined })
        expect(await other.disconnect({ provider: 'keyed', userId: 'ada' })).toEqual({ kind: 'impossible', reason: 'no_way' })
        await expect(sent('keyed', '/a')).rejects.toMatchObject({ code: 'credential_absent' })
        const wrong = async (provider: string, credential: object) =>
          expect(other.connect({ provider, userId: 'ada', credential } as never)).rejects
        await (await wrong('keyed', { apiKey: 'a\r\nb: c' })).toMatchObject({ code: 'argument_invalid' })
        await (await wrong('keyed', { username: 'a', password: 'b' })).toMatchObject({ code: 'scheme_mismatch' })
        await (await wrong('named', { username: 'a:b', password: 'c' })).toMatchObject({ code: 'argument_invalid' })
        await (await wrong('open', { apiKey })).toMatchObject({ code: 'scheme_mismatch' })
      },
    )
  })
})
