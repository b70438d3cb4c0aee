/**
 * A provider that binds its tokens to keys (RFC 9449), played by an independent, certified server that is authorization server and API at once:
 * an account is connected through the hosted page, and calls go through a gateway process.
 */
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Provider } from 'oidc-provider'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { submitFirstForm } from '@sallyport/sandbox'
import { createKey, signInOwner, SLUG, startGatewayProcess } from '@sallyport/testkit'
import type { GatewayProcess, Owner } from '@sallyport/testkit'
import { signIn } from '../../packages/core/test/oauth/sign-in.ts'
import { serverUnderTest } from './server-under-test.ts'

const client = { id: 'gateway', secret: 'not-a-secret-gateway-of-a-test' }

let http: Server
let gateway: GatewayProcess
let owner: Owner
let connection: string
let key: string
let api: string
/** The next request is refused as if its nonce were over. */
let outdated = false
/** Every request that reached the server. */
const seen: { call: string; authorization: string; proof: string | undefined }[] = []

beforeAll(async () => {
  http = createServer()
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const { port } = http.address() as AddressInfo
  const origin = `http://127.0.0.1:${port}`
  // The API is another origin to the gateway, so that it has to learn that one's nonce too.
  api = `http://localhost:${port}`
  gateway = await startGatewayProcess({
    postgresUrl: serverUnderTest(inject('postgresUrl')),
    file: {
      egress: { insecureAllowOrigins: [origin, api] },
      providers: {
        github: {
          authorizationEndpoint: `${origin}/auth`,
          tokenEndpoint: `${origin}/token`,
          userinfoEndpoint: `${origin}/me`,
          apiBase: api,
          tokenBinding: 'dpop',
        },
      },
    },
  })
  owner = await signInOwner(gateway)
  const { redirect_uri } = await owner.client.call('integrationCreate', {
    params: owner.place,
    body: { slug: SLUG, provider: 'github', client_id: client.id, client_secret: client.secret, scopes: ['openid'] },
  })
  serve(origin, redirect_uri)
  connection = await connectAccount(redirect_uri)
  key = await createKey(owner, ['proxy:call'])
})

afterAll(async () => {
  await gateway?.stop()
  http.closeAllConnections()
  await new Promise((resolve) => http.close(resolve))
})

function serve(origin: string, redirectUri: string): void {
  const provider = new Provider(origin, {
    clients: [
      {
        client_id: client.id,
        client_secret: client.secret,
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        token_endpoint_auth_method: 'client_secret_post',
        dpop_bound_access_tokens: true,
      },
    ],
    features: { dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true } },
    pkce: { required: () => true },
    claims: { openid: ['sub', 'id', 'login'] },
    scopes: ['openid'],
    cookies: { keys: ['a-key-of-a-test'] },
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, id: `account-${id}`, login: id }) }),
    issueRefreshToken: async () => true,
    ttl: { AccessToken: 3600, AuthorizationCode: 60, Grant: 3600, IdToken: 3600, Interaction: 600, RefreshToken: 3600, Session: 3600 },
  })
  const handle = provider.callback()
  http.on('request', (request, response) => {
    const { authorization = '', dpop } = request.headers
    seen.push({ call: `${request.method} ${request.url}`, authorization, proof: typeof dpop === 'string' ? dpop : undefined })
    if (outdated) {
      outdated = false
      response.writeHead(401, { 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': 'another' }).end()
      return
    }
    void handle(request, response)
  })
}

async function connectAccount(redirectUri: string): Promise<string> {
  const { session, link } = await owner.client.call('connectSessionCreate', {
    params: owner.place,
    body: { integration: SLUG, end_user_id: 'user-1' },
  })
  const query = await signIn(await submitFirstForm(owner.browser, link), redirectUri)
  await owner.browser(`${redirectUri}?${query}`)
  const {
    status,
    failure,
    connection: made,
  } = await owner.client.call('connectSessionGet', {
    params: { ...owner.place, session: session.id },
  })
  if (status !== 'completed' || made === null) throw new Error(`connecting ended as ${failure ?? status}`)
  return made
}

const call = (
  path: string,
  init: { readonly method?: string; readonly body?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Response> =>
  fetch(`${gateway.url}/proxy/${SLUG}${path}`, {
    ...init,
    headers: { authorization: `Bearer ${key}`, 'sallyport-connection': connection, ...init.headers },
  })

describe('S74 a connection whose token is bound to a key', () => {
  it('is called although its API wants a nonce that nobody knows yet: the call is made again by itself', async () => {
    seen.length = 0
    expect((await call('/me')).status).toBe(200)
    expect(seen.map((request) => request.call)).toEqual(['GET /me', 'GET /me'])
  })

  it('gets the refusal of a call with a body for want of a nonce, and the next goes through', async () => {
    outdated = true
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const refused = await call('/me', { method: 'POST', body: 'a=b', headers })
    expect([refused.status, refused.headers.get('sallyport-error-source')]).toEqual([401, 'provider'])
    expect(seen.at(-1)!.call).toBe('POST /me')
    expect((await call('/me')).status).toBe(200)
    expect((await call('/me', { method: 'POST', body: 'a=b', headers })).status).toBe(200)
  })

  it('is called like any other, and goes out with a proof for each request', async () => {
    seen.length = 0
    const answers = [await call('/me'), await call('/me?fields=all')]
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(await answers[0]!.json()).toMatchObject({ login: 'grace' })
    expect(seen.map((request) => request.call)).toEqual(['GET /me', 'GET /me?fields=all'])
    expect(new Set(seen.map(({ proof }) => proof)).size).toBe(2)
    expect(seen.every(({ authorization, proof }) => authorization.startsWith('DPoP ') && proof !== undefined)).toBe(true)
  })

  it('its token is of no use to whoever reads it from a call: without a proof, and with one that was used', async () => {
    await call('/me')
    const { authorization, proof = '' } = seen.at(-1)!
    const token = authorization.slice('DPoP '.length)
    const stolen = await Promise.all([
      fetch(`${api}/me`, { headers: { authorization: `Bearer ${token}` } }),
      fetch(`${api}/me`, { headers: { authorization, dpop: proof } }),
    ])
    expect(stolen.map(({ status }) => status)).toEqual([401, 401])
  })

  it('is renewed with a proof of its key, and called with what came of it', async () => {
    seen.length = 0
    await owner.client.call('connectionRefresh', { params: { ...owner.place, connection } })
    expect(seen.map((request) => [request.call, request.proof !== undefined])).toEqual([['POST /token', true]])
    expect((await call('/me')).status).toBe(200)
  })

  it('takes no proof from the caller, and shows none', async () => {
    seen.length = 0
    const answer = await call('/me', { headers: { dpop: 'the-callers-own', 'client-cert': ':AAAA:' } })
    expect(answer.status).toBe(200)
    expect(seen.map(({ proof }) => proof)).not.toContain('the-callers-own')
    expect(answer.headers.get('dpop-nonce')).toBeNull()
  })
})
