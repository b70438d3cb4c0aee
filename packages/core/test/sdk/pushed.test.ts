/** A certified server that is known by its issuer: it takes pushed requests alone, and binds tokens to keys. What it wants is found out from it. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { discoverConnector, Sallyport } from '../../src/index.ts'
import { startCertifiedServer } from '../oauth/certified-server.ts'
import type { CertifiedServer } from '../oauth/certified-server.ts'
import { signIn } from '../oauth/sign-in.ts'
import { CLIENT_SECRET, recordAt, REDIRECT_URI } from './ground.ts'

let server: CertifiedServer
/** Method, path and proof of what reached the server. */
const seen: { readonly call: string; readonly proof: boolean }[] = []

beforeAll(async () => {
  server = await startCertifiedServer({
    clients: [
      {
        client_id: 'pushing',
        client_secret: CLIENT_SECRET,
        redirect_uris: [REDIRECT_URI],
        grant_types: ['authorization_code', 'refresh_token'],
        dpop_bound_access_tokens: true,
      },
    ],
    features: {
      revocation: { enabled: true },
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => false },
    },
    before: ({ method, url = '', headers }) => {
      seen.push({ call: `${method} ${url.split('?', 1)[0]!}`, proof: headers['dpop'] !== undefined })
      return false
    },
  })
})
afterAll(() => server.close())

const client = () => ({ clientId: 'pushing', clientSecret: CLIENT_SECRET, redirectUri: REDIRECT_URI })

async function program(record: object): Promise<Sallyport> {
  return Sallyport.init({
    mode: 'development',
    tokenStore: { backend: 'memory' },
    connectors: [record],
    providers: { strict: client() },
    insecureAllowOrigins: [server.origin],
    logging: { level: 'silent' },
  })
}

function recorded(changes: object): { readonly oauth: object } {
  const record = recordAt(server.origin) as { readonly oauth: object }
  return { ...record, oauth: { ...record.oauth, ...changes } }
}

describe('a server that takes pushed requests alone', () => {
  it('O-16 turns a request away that comes through the browser, so that the rest says something', async () => {
    const sallyport = await program(recorded({}))
    const { url } = await sallyport.connect({ provider: 'strict', userId: 'ada' })
    await expect(signIn(url, REDIRECT_URI)).resolves.toContain('error=')
    await sallyport.close()
  })

  it('is signed in at by a record that says where, and no browser sees the request', async () => {
    const endpoint = `${server.origin}/request`
    const sallyport = await program(recorded({ pushedAuthorizationRequestEndpoint: endpoint, tokenBinding: 'dpop' }))
    const { url } = await sallyport.connect({ provider: 'strict', userId: 'ada' })
    expect([...new URL(url).searchParams.keys()]).toEqual(['client_id', 'request_uri'])
    const connected = await sallyport.handleCallback(await signIn(url, REDIRECT_URI), { userId: 'ada' })
    expect(connected).toMatchObject({ account: { id: 'grace' }, missingScopes: [] })
    await sallyport.close()
  })

  it('is found out by its issuer: endpoints, pushed requests, bound tokens, its name in its answers', async () => {
    seen.length = 0
    const { origin } = server
    const record = await discoverConnector(
      {
        id: 'strict',
        name: 'A strict server',
        docs: 'https://docs.example/',
        oauth: { issuer: origin, tokenBinding: 'offered', authorizationParams: { prompt: 'consent' } },
        api: { base: origin, injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' }, defaultHeaders: {} },
        defaultScopes: ['openid', 'email', 'offline_access'],
      },
      { insecureAllowOrigins: [origin] },
    )
    expect(record).toMatchObject({
      oauth: { discovery: true, responseIssuer: 'required', authorizationEndpoint: `${origin}/auth`, tokenEndpoint: `${origin}/token` },
      userinfo: { url: `${origin}/me`, idPath: ['sub'] },
      revocation: { kind: 'rfc7009', endpoint: `${origin}/token/revocation` },
    })
    const sallyport = await program(record)
    const { url } = await sallyport.connect({ provider: 'strict', userId: 'ada' })
    const query = await signIn(url, REDIRECT_URI)
    expect(await sallyport.handleCallback(query, { userId: 'ada' })).toMatchObject({ account: { id: 'grace' } })
    const answer = await sallyport.request({ provider: 'strict', userId: 'ada', path: '/me' })
    expect(answer.status).toBe(200)
    expect(await sallyport.disconnect({ provider: 'strict', userId: 'ada' })).toMatchObject({ kind: 'done' })
    expect(seen.filter(({ call }) => call === 'POST /request')).toHaveLength(1)
    expect(seen.filter(({ call }) => call === 'GET /me').every(({ proof }) => proof)).toBe(true)
    await sallyport.close()
  })

  it('O-07 is believed in its answers only by the name that it publishes', async () => {
    const sallyport = await program(recorded({ discovery: true, tokenBinding: 'offered', responseIssuer: 'checked' }))
    const { url } = await sallyport.connect({ provider: 'strict', userId: 'ada' })
    const query = new URLSearchParams(await signIn(url, REDIRECT_URI))
    query.delete('iss')
    await expect(sallyport.handleCallback(query, { userId: 'ada' })).rejects.toMatchObject({ code: 'connect_issuer_mismatch' })
    await sallyport.close()
  })
})
