import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createEgress, DEFAULT_EGRESS_POLICY } from '../../src/http/index.ts'
import type { Egress } from '../../src/http/index.ts'
import { Secret } from '../../src/kernel/index.ts'
import { revokeTokens } from '../../src/oauth/index.ts'
import type { RevocationWay, RevokeAnswer, Revoking } from '../../src/oauth/index.ts'

interface Asked {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  readonly body: string
}

type Answer = { readonly status: number; readonly body?: string; readonly headers?: Record<string, string> } | 'reset'

const NOW = Date.UTC(2026, 0, 1)
const client = { clientId: 'a client', clientSecret: new Secret('fake:secret') }
let server: Server
let egress: Egress
let origin: string
let asked: Asked[]
let answers: Answer[]

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '' } = request
      asked.push({ method, path: url, authorization: request.headers.authorization, body: Buffer.concat(chunks).toString('utf8') })
      const answer = answers.shift() ?? { status: 200 }
      if (answer === 'reset') request.socket.resetAndDestroy()
      else response.writeHead(answer.status, answer.headers).end(answer.body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  egress = createEgress({ ...DEFAULT_EGRESS_POLICY, insecureAllowOrigins: [origin] })
})
beforeEach(() => {
  asked = []
  answers = []
})
afterAll(async () => {
  await egress.close()
  await new Promise((resolve) => server.close(resolve))
})

const standard = (over: Partial<Extract<RevocationWay, { kind: 'rfc7009' }>> = {}): RevocationWay => ({
  kind: 'rfc7009',
  endpoint: `${origin}/revoke`,
  clientAuth: 'client_secret_post',
  reach: 'token',
  ...over,
})
const byDeletion = (): RevocationWay => ({
  kind: 'client_delete',
  grant: `${origin}/applications/{client_id}/grant`,
  token: `${origin}/applications/{client_id}/token`,
})

function revoke(way: RevocationWay, over: Partial<Revoking> = {}): Promise<RevokeAnswer> {
  return revokeTokens({
    way,
    client,
    refreshTokens: [new Secret('refresh-1')],
    accessTokens: [new Secret('access-1')],
    accountShared: false,
    fetch: (url, request) => egress.fetch(url, request),
    now: NOW,
    ...over,
  })
}

const forms = () => asked.map(({ body }) => Object.fromEntries(new URLSearchParams(body)))

describe('taking tokens back', () => {
  it('V-08 asks for the refresh token first and then for the access token, each with its hint', async () => {
    expect(await revoke(standard())).toEqual({ kind: 'done' })
    const proof = { client_id: 'a client', client_secret: 'fake:secret' }
    expect(forms()).toEqual([
      { token: 'refresh-1', token_type_hint: 'refresh_token', ...proof },
      { token: 'access-1', token_type_hint: 'access_token', ...proof },
    ])
  })

  it('V-08 takes back tokens that never expire: without a refresh token the access token goes alone', async () => {
    expect(await revoke(standard(), { refreshTokens: [] })).toEqual({ kind: 'done' })
    expect(forms()).toMatchObject([{ token: 'access-1', token_type_hint: 'access_token' }])
  })

  it('V-08 lets the access token take itself back where that is the way, and shows nobody the refresh token or the client', async () => {
    const way = { kind: 'own_token', endpoint: `${origin}/own` } as const
    expect(await revoke(way, { accessTokens: [new Secret('access-2'), new Secret('access-1')] })).toEqual({ kind: 'done' })
    const own = (token: string) => ({ method: 'POST', path: '/own', authorization: `Bearer ${token}`, body: '' })
    expect(asked).toEqual([own('access-2'), own('access-1')])
  })

  it('V-08 is no success where the token can no longer take itself back: its refresh token may live', async () => {
    const way = { kind: 'own_token', endpoint: `${origin}/own` } as const
    answers = [{ status: 401, body: '{"error":{".tag":"expired_access_token"}}' }]
    expect(await revoke(way)).toEqual({ kind: 'impossible', reason: 'refused' })
    expect(await revoke(way, { accessTokens: [] })).toEqual({ kind: 'impossible', reason: 'no_way' })
    answers = [{ status: 429, headers: { 'retry-after': '7' } }]
    expect(await revoke(way)).toEqual({ kind: 'retry', reason: 'rate_limited', afterMs: 7_000 })
  })

  it('proves the client in the header, form-encoded, where the record says so', async () => {
    await revoke(standard({ clientAuth: 'client_secret_basic' }))
    expect(asked[0]!.authorization).toBe(`Basic ${Buffer.from('a+client:fake%3Asecret').toString('base64')}`)
    expect(forms()[0]).not.toHaveProperty('client_secret')
  })

  it('shows the client secret to nobody who does not ask for it', async () => {
    await revoke(standard({ clientAuth: 'none', reach: 'account' }))
    expect(forms()).toEqual([
      { token: 'refresh-1', token_type_hint: 'refresh_token' },
      { token: 'access-1', token_type_hint: 'access_token' },
    ])
    expect(asked.every(({ authorization }) => authorization === undefined)).toBe(true)
  })

  it('deletes the whole grant by an access token where the provider has a way of its own', async () => {
    answers = [{ status: 204 }]
    expect(await revoke(byDeletion())).toEqual({ kind: 'done' })
    expect(asked).toEqual([
      {
        method: 'DELETE',
        path: '/applications/a%20client/grant',
        authorization: `Basic ${Buffer.from('a client:fake:secret').toString('base64')}`,
        body: '{"access_token":"access-1"}',
      },
    ])
  })

  // One call that ends every grant of an account would end what the same person has connected again since.
  it('spares other connections of the account: one token where it can be told apart, and nothing where it cannot', async () => {
    expect(await revoke(byDeletion(), { accountShared: true })).toEqual({ kind: 'done' })
    expect(asked.map(({ path }) => path)).toEqual(['/applications/a%20client/token'])
    expect(await revoke(standard({ reach: 'account' }), { accountShared: true })).toEqual({ kind: 'impossible', reason: 'shared_account' })
    expect(asked).toHaveLength(1)
  })

  it.each([
    ['503 with seconds', { status: 503, headers: { 'retry-after': '120' } }, 'provider_down', 120_000],
    ['503 with a date', { status: 503, headers: { 'retry-after': new Date(NOW + 60_000).toUTCString() } }, 'provider_down', 60_000],
    ['a date that is past', { status: 503, headers: { 'retry-after': new Date(NOW - 60_000).toUTCString() } }, 'provider_down', 0],
    ['a year', { status: 503, headers: { 'retry-after': '31536000' } }, 'provider_down', 86_400_000],
    ['nonsense', { status: 503, headers: { 'retry-after': 'soon' } }, 'provider_down', null],
    ['429', { status: 429 }, 'rate_limited', null],
    ['500 and a page', { status: 500, body: '<h1>Sorry</h1>' }, 'provider_down', null],
    ['a rejected client', { status: 401, body: '{"error":"invalid_client"}' }, 'client_rejected', null],
    ['a rejected client with 400', { status: 400, body: '{"error":"invalid_client"}' }, 'client_rejected', null],
    ['a redirect', { status: 302, headers: { location: 'https://elsewhere.example/' } }, 'unreadable', null],
    ['an answer without end', { status: 200, body: 'x'.repeat(300 * 1024) }, 'unreadable', null],
    ['a reset', 'reset', 'unreachable', null],
  ] as [string, Answer, string, number | null][])(
    'V-08 wants another try after %s, and asks no further',
    async (_what, answer, reason, afterMs) => {
      answers = [answer]
      expect(await revoke(standard())).toEqual({ kind: 'retry', reason, afterMs })
      expect(asked).toHaveLength(1)
    },
  )

  it.each([
    ['invalid_token, as Google answers for one that is over', { status: 400, body: '{"error":"invalid_token"}' }],
    ['200 and nothing', { status: 200 }],
    ['200 and a page', { status: 200, body: '<h1>Bye</h1>' }],
    ['204', { status: 204 }],
  ] as [string, Answer][])('takes %s for over', async (_what, answer) => {
    answers = [answer, answer]
    expect(await revoke(standard())).toEqual({ kind: 'done' })
    expect(asked).toHaveLength(2)
  })

  it('goes on with the access token when the server does not revoke refresh tokens, and says that one was left', async () => {
    answers = [{ status: 400, body: '{"error":"unsupported_token_type"}' }]
    expect(await revoke(standard())).toEqual({ kind: 'impossible', reason: 'unsupported' })
    expect(forms().map(({ token }) => token)).toEqual(['refresh-1', 'access-1'])
  })

  it('does not take a refusal in a 200 for success', async () => {
    answers = [{ status: 200, body: '{"error":"access_denied"}' }]
    expect(await revoke(standard(), { refreshTokens: [] })).toEqual({ kind: 'impossible', reason: 'refused' })
  })

  it('has no way where the record has none, and none to delete a grant without an access token', async () => {
    expect(await revoke({ kind: 'none' })).toEqual({ kind: 'impossible', reason: 'no_way' })
    expect(await revoke(byDeletion(), { accessTokens: [] })).toEqual({ kind: 'impossible', reason: 'no_way' })
    expect(asked).toHaveLength(0)
  })

  it('does not go where the policy lets nobody go', async () => {
    const answer = await revoke(standard({ endpoint: 'http://127.0.0.1:1/revoke' }))
    expect(answer).toEqual({ kind: 'impossible', reason: 'destination_refused' })
  })

  it('carries nothing of the tokens or of what the provider wrote in its answers', async () => {
    answers = [{ status: 400, body: JSON.stringify({ error: 'refresh-1 canary-body', error_description: 'canary-body' }) }]
    expect(inspect(await revoke(standard()), { depth: 9 })).not.toMatch(/refresh-1|access-1|canary-body|fake:secret/u)
  })
})
