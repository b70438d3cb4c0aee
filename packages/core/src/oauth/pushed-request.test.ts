import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { Secret } from '../kernel/index.ts'
import { startAuthorization } from './pushed-request.ts'
import type { AuthorizationServer, OutboundRequest } from './server.ts'

const PAR = 'https://id.example/par'
const NAME = 'urn:ietf:params:oauth:request_uri:abc'
const server: AuthorizationServer = {
  issuer: 'https://id.example',
  responseIssuer: 'checked',
  authorizationEndpoint: 'https://id.example/authorize?tenant=a',
  tokenEndpoint: 'https://id.example/token',
  tokenAuth: 'client_secret_basic',
  scopeSeparator: ' ',
  authorizationParams: { prompt: 'consent' },
  tokenQuirks: [],
  tokenBody: 'json',
  pushedAuthorizationRequestEndpoint: PAR,
}
const client = { clientId: 'client', clientSecret: new Secret('notasecret') }

function starting(changes: Partial<AuthorizationServer>, body: unknown, status = 201) {
  const sent: { url: string; request: OutboundRequest }[] = []
  const started = startAuthorization({
    server: { ...server, ...changes },
    client,
    redirectUri: 'https://app.example/cb',
    scopes: ['read', 'write'],
    extra: { login_hint: 'ada' },
    fetch: async (url, request) => {
      sent.push({ url, request })
      return new Response(typeof body === 'string' ? body : JSON.stringify(body), {
        status,
        headers: { 'content-type': 'application/json' },
      })
    },
  })
  return { sent, started }
}

describe('a pushed authorization request', () => {
  it('carries everything itself, with the proof of the client; the browser carries its name and the id of the client', async () => {
    const { sent, started } = starting({}, { request_uri: NAME, expires_in: 60 })
    const { url, state, verifier } = await started
    expect(url).toBe(`https://id.example/authorize?tenant=a&client_id=client&request_uri=${encodeURIComponent(NAME)}`)
    expect(sent).toHaveLength(1)
    const { headers, body, redirect } = sent[0]!.request
    expect(sent[0]!.url).toBe(PAR)
    expect(redirect).toBe('manual')
    expect(headers).toMatchObject({
      authorization: `Basic ${Buffer.from('client:notasecret').toString('base64')}`,
      'content-type': expect.stringContaining('application/x-www-form-urlencoded'),
    })
    const pushed = Object.fromEntries(new URLSearchParams(body))
    expect(pushed).toMatchObject({
      client_id: 'client',
      code_challenge_method: 'S256',
      login_hint: 'ada',
      prompt: 'consent',
      redirect_uri: 'https://app.example/cb',
      response_type: 'code',
      scope: 'read write',
      state: state.reveal(),
    })
    expect(pushed).not.toHaveProperty('tenant')
    expect(`${url}${body}`).not.toContain(verifier.reveal())
  })

  it('goes through the browser where the server has no endpoint for it, and nowhere where it takes no others', async () => {
    const open = starting({ pushedAuthorizationRequestEndpoint: undefined }, {})
    expect(new URL((await open.started).url).searchParams.get('code_challenge_method')).toBe('S256')
    const closed = starting({ pushedAuthorizationRequestEndpoint: undefined, requirePushedAuthorizationRequests: true }, {})
    await expect(closed.started).rejects.toMatchObject({ code: 'provider_misconfigured' })
    expect([...open.sent, ...closed.sent]).toEqual([])
  })

  it('that is refused says whose fault it is, and repeats nothing of the answer', async () => {
    const refused = starting({}, { error: 'invalid_client', error_description: 'canary' }, 401)
    await expect(refused.started).rejects.toMatchObject({ code: 'provider_misconfigured', providerError: 'invalid_client' })
    await expect(refused.started).rejects.toSatisfy((error: Error) => !inspect(error).includes('canary'))
  })

  it.each([
    ['that is no document', '<html>'],
    ['without a name', { expires_in: 60 }],
    ['without a life', { request_uri: NAME }],
    ['with a name that no address holds', { request_uri: 'a name\n', expires_in: 60 }],
    ['with an endless name', { request_uri: 'x'.repeat(3000), expires_in: 60 }],
  ])('takes no answer %s', async (_what, body) => {
    await expect(starting({}, body).started).rejects.toMatchObject({ code: 'connect_exchange_failed' })
  })

  it('takes no answer with another status than 201 (RFC 9126 section 2.2)', async () => {
    for (const status of [200, 302, 500])
      await expect(starting({}, { request_uri: NAME, expires_in: 60 }, status).started).rejects.toMatchObject({
        code: 'connect_exchange_failed',
      })
  })
})
