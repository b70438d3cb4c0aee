/** An independent, certified authorization server as the judge of our requests: it refuses what RFC 6749, 7636 and 9207 refuse. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEgress, DEFAULT_EGRESS_POLICY } from '../../src/http/index.ts'
import type { Egress } from '../../src/http/index.ts'
import { Secret } from '../../src/kernel/index.ts'
import { authorizationRequest, callbackState, exchangeCode, fetchAccount, judgeAnswer, revokeTokens } from '../../src/oauth/index.ts'
import type { AuthorizationRequest, AuthorizationServer } from '../../src/oauth/index.ts'
import type { TokenSet } from '../../src/tokens/index.ts'
import { startCertifiedServer } from './certified-server.ts'
import type { CertifiedServer } from './certified-server.ts'
import { signIn } from './sign-in.ts'

const redirectUri = 'https://gate.example/oauth/cb/strict'
const client = { clientId: 'strict-client', clientSecret: new Secret('not-a-secret-strict-client-of-a-test') }

let certified: CertifiedServer
let egress: Egress
let server: AuthorizationServer
let origin: string

beforeAll(async () => {
  certified = await startCertifiedServer({
    clients: [
      {
        client_id: client.clientId,
        client_secret: client.clientSecret.reveal(),
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
      },
    ],
    features: { revocation: { enabled: true } },
  })
  origin = certified.origin
  egress = createEgress({ ...DEFAULT_EGRESS_POLICY, insecureAllowOrigins: [origin] })
  server = {
    issuer: origin,
    // It advertises authorization_response_iss_parameter_supported.
    responseIssuer: 'required',
    authorizationEndpoint: `${origin}/auth`,
    tokenEndpoint: `${origin}/token`,
    tokenAuth: 'client_secret_basic',
    scopeSeparator: ' ',
    authorizationParams: { prompt: 'consent' },
    tokenQuirks: [],
  }
})

afterAll(async () => {
  await egress.close()
  await certified.close()
})

describe('a strict authorization server', () => {
  it('O-07 O-14 accepts our request, names itself, verifies our proof key and gives tokens for the account', async () => {
    const request = requested()
    const query = await signIn(request.url, redirectUri)
    expect(new URLSearchParams(query).get('iss')).toBe(origin)
    const tokens = await exchanged(query, request.verifier)
    expect(tokens.expiresAt).toBeGreaterThan(0)
    expect(tokens.refreshToken).not.toBeNull()
    const endpoint = { url: `${origin}/me`, method: 'GET', idPath: ['sub'], labelPath: ['email'], headers: {} } as const
    expect(await fetchAccount(endpoint, tokens.accessToken, (url, init) => egress.fetch(url, init))).toEqual({
      id: 'grace',
      label: 'grace@test.example',
    })
  })

  it('O-14 refuses the verifier of another flow', async () => {
    const query = await signIn(requested().url, redirectUri)
    await expect(exchanged(query, requested().verifier)).rejects.toMatchObject({
      code: 'connect_exchange_failed',
      providerError: 'invalid_grant',
    })
  })

  it('O-14 refuses a request without a proof key, so that the acceptance above says something', async () => {
    const url = new URL(requested().url)
    url.searchParams.delete('code_challenge')
    url.searchParams.delete('code_challenge_method')
    const answer = await fetch(url, { redirect: 'manual' })
    expect(new URL(answer.headers.get('location')!).searchParams.get('error')).toBe('invalid_request')
  })

  it('V-08 takes both tokens back when we ask, and says so the second time too', async () => {
    const request = requested()
    const tokens = await exchanged(await signIn(request.url, redirectUri), request.verifier)
    const endpoint = { url: `${origin}/me`, method: 'GET', idPath: ['sub'], labelPath: ['email'], headers: {} } as const
    const account = () => fetchAccount(endpoint, tokens.accessToken, (url, init) => egress.fetch(url, init))
    expect(await account()).toMatchObject({ id: 'grace' })
    const revoke = () =>
      revokeTokens({
        way: { kind: 'rfc7009', endpoint: `${origin}/token/revocation`, clientAuth: 'client_secret_basic', reach: 'token' },
        client,
        refreshTokens: [tokens.refreshToken!],
        accessTokens: [tokens.accessToken],
        accountShared: false,
        fetch: (url, init) => egress.fetch(url, init),
        now: Date.now(),
      })
    expect(await revoke()).toEqual({ kind: 'done' })
    await expect(account()).rejects.toMatchObject({ code: 'connect_exchange_failed' })
    const again = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: tokens.refreshToken!.reveal() })
    const authorization = `Basic ${Buffer.from(`${client.clientId}:${client.clientSecret.reveal()}`).toString('base64')}`
    const refused = await fetch(`${origin}/token`, { method: 'POST', body: again, headers: { authorization } })
    expect(await refused.json()).toMatchObject({ error: 'invalid_grant' })
    expect(await revoke()).toEqual({ kind: 'done' })
  })

  it('O-04 exchanges a code once', async () => {
    const request = requested()
    const query = await signIn(request.url, redirectUri)
    await exchanged(query, request.verifier)
    await expect(exchanged(query, request.verifier)).rejects.toMatchObject({
      code: 'connect_exchange_failed',
      providerError: 'invalid_grant',
    })
  })
})

function requested(): AuthorizationRequest {
  return authorizationRequest({ server, clientId: client.clientId, redirectUri, scopes: ['openid', 'email', 'offline_access'] })
}

function exchanged(query: string, verifier: Secret): Promise<TokenSet> {
  return exchangeCode({
    server,
    client,
    redirectUri,
    verifier,
    answer: judgeAnswer(server, query, callbackState(query)),
    requestedScopes: ['openid', 'email'],
    fetch: (url, init) => egress.fetch(url, init),
    now: Date.now(),
  })
}
