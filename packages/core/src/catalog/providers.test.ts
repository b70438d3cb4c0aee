import { describe, expect, it } from 'vitest'
import { Secret } from '../kernel/index.ts'
import { authorizationRequest, exchangeCode, judgeAnswer, missingScopes, refreshTokens, revokeTokens } from '../oauth/index.ts'
import type { OutboundFetch, OutboundRequest } from '../oauth/index.ts'
import type { TokenSet } from '../tokens/index.ts'
import { listProviders, resolveProvider } from './catalog.ts'
import type { Provider } from './schema.ts'

const NOW = 1_800_000_000_000
const client = { clientId: 'client', clientSecret: new Secret('notasecret') }
const BASIC = `Basic ${Buffer.from('client:notasecret').toString('base64')}`
const redirectUri = 'https://app.example/cb'

const record = (id: string): Provider => resolveProvider(id)!

/** A provider that answers every call the same, and keeps what it was sent. */
function answering(body: unknown, status = 200) {
  const sent: { url: string; request: OutboundRequest }[] = []
  const fetch: OutboundFetch = async (url, request) => {
    sent.push({ url, request })
    return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json; charset=utf-8' } })
  }
  return { sent, fetch }
}

function asked(id: string): URLSearchParams {
  return new URL(authorizationRequest({ server: record(id).oauth, clientId: 'client', redirectUri, scopes: ['a', 'b'] }).url).searchParams
}

async function exchanged(id: string, body: unknown) {
  const { sent, fetch } = answering(body)
  const server = record(id).oauth
  const state = new Secret('state-of-the-test')
  const answer = judgeAnswer(server, 'code=c&state=state-of-the-test', state)
  const exchange = { server, client, redirectUri, verifier: new Secret('v'.repeat(43)), answer, requestedScopes: ['a'], fetch, now: NOW }
  return { tokens: await exchangeCode(exchange), sent }
}

const parent: TokenSet = {
  accessToken: new Secret('old-access'),
  refreshToken: new Secret('old-refresh'),
  tokenType: 'bearer',
  expiresAt: 0,
  scopes: ['a'],
  extra: new Secret('{}'),
}

async function refreshed(id: string, body: unknown) {
  const { sent, fetch } = answering(body)
  const answer = await refreshTokens({
    server: record(id).oauth,
    client,
    parent,
    redirectUri,
    lifetimeMs: null,
    fetch,
    timeoutMs: 1000,
    now: NOW,
  })
  return { answer, sent }
}

async function revoked(id: string, body: unknown, tokens = { refreshTokens: [new Secret('r')], accessTokens: [new Secret('a')] }) {
  const { sent, fetch } = answering(body)
  const answer = await revokeTokens({ way: record(id).revocation, client, ...tokens, accountShared: false, fetch, now: NOW })
  return { answer, sent, shown: sent.map(({ request }) => new URLSearchParams(request.body).get('token')) }
}

describe('Reddit', () => {
  it('is asked for a lasting grant', () => {
    expect(asked('reddit').get('duration')).toBe('permanent')
  })

  it('is told the agent and the client by headers, at every endpoint', async () => {
    const agent = record('reddit').api.defaultHeaders['user-agent']
    expect(agent).toMatch(/^[a-z]+:[a-z]+:v\d+\.\d+\.\d+/)
    const body = { access_token: 't', token_type: 'bearer', expires_in: 3600, scope: 'identity', refresh_token: 'r' }
    const calls = [
      ...(await exchanged('reddit', body)).sent,
      ...(await refreshed('reddit', body)).sent,
      ...(await revoked('reddit', {})).sent,
    ]
    expect(calls).toHaveLength(4)
    for (const { request } of calls) {
      expect(request.headers).toMatchObject({ 'user-agent': agent, authorization: BASIC })
      expect(request.body).not.toContain('notasecret')
    }
    expect(record('reddit').userinfo.headers['user-agent']).toBe(agent)
  })

  it('reports failures with status 200, which are failures', async () => {
    await expect(exchanged('reddit', { error: 'invalid_grant' })).rejects.toMatchObject({ code: 'connect_exchange_failed' })
    expect((await refreshed('reddit', { error: 'invalid_grant' })).answer.kind).toBe('refused')
  })
})

describe('X', () => {
  it('is asked with a proof key, and shown the client by Basic credentials', async () => {
    expect(asked('x').get('code_challenge_method')).toBe('S256')
    const { sent } = await exchanged('x', { access_token: 't', token_type: 'bearer', expires_in: 7200, scope: 'tweet.read' })
    expect(sent[0]!.request.headers['authorization']).toBe(BASIC)
    expect(new URLSearchParams(sent[0]!.request.body).get('code_verifier')).toBe('v'.repeat(43))
  })

  it('has its three addresses of OAuth 1.0a at one origin', () => {
    const { temporaryCredentialEndpoint, authorizationEndpoint, tokenEndpoint } = record('x').oauth1!
    const endpoints = [temporaryCredentialEndpoint, authorizationEndpoint, tokenEndpoint]
    expect(endpoints.map((url) => new URL(url).origin)).toEqual(Array(3).fill('https://api.x.com'))
  })
})

describe('Slack', () => {
  const both = {
    ok: true,
    access_token: 'of-the-bot',
    token_type: 'bot',
    scope: 'channels:read,chat:write',
    refresh_token: 'refresh-of-the-bot',
    expires_in: 43_200,
    authed_user: { id: 'U1', access_token: 'of-the-person', token_type: 'user', scope: 'channels:history', expires_in: 43_200 },
  }

  it('gives the bot its token', async () => {
    const { tokens } = await exchanged('slack', both)
    expect(tokens.accessToken.reveal()).toBe('of-the-bot')
    expect(tokens).toMatchObject({ tokenType: 'bearer', scopes: ['channels:read', 'chat:write'], expiresAt: NOW + 43_200_000 })
  })

  it("gives the person theirs, with nothing of the bot's", async () => {
    const { tokens } = await exchanged('slack-user', both)
    expect(tokens.accessToken.reveal()).toBe('of-the-person')
    expect(tokens).toMatchObject({ scopes: ['channels:history'], refreshToken: null })
    const { authed_user: _none, ...bot } = both
    for (const body of [bot, { ...bot, authed_user: null }, { ...bot, authed_user: { id: 'U1' } }, { ...bot, authed_user: 'U1' }])
      await expect(exchanged('slack-user', body)).rejects.toMatchObject({ code: 'connect_exchange_failed' })
  })

  it("asks for a person's scopes apart from a bot's", () => {
    expect([asked('slack').get('scope'), asked('slack').get('user_scope')]).toEqual(['a,b', null])
    expect([asked('slack-user').get('scope'), asked('slack-user').get('user_scope')]).toEqual([null, 'a,b'])
  })

  it('says ok: false in a 200, which is no success at any endpoint', async () => {
    for (const id of ['slack', 'slack-user']) {
      for (const body of [{ ok: false, error: 'invalid_code' }, { ok: false }])
        await expect(exchanged(id, body)).rejects.toMatchObject({ code: 'connect_exchange_failed' })
      expect((await refreshed(id, { ok: false, error: 'invalid_refresh_token' })).answer.kind).toBe('refused')
      expect((await revoked(id, { ok: false, error: 'invalid_auth' })).answer).toEqual({ kind: 'impossible', reason: 'refused' })
    }
  })

  it('renews either token from the top of its answer', async () => {
    for (const [id, type] of [
      ['slack', 'bot'],
      ['slack-user', 'user'],
    ] as const) {
      const { answer } = await refreshed(id, { ok: true, access_token: 'new', refresh_token: 'next', token_type: type, expires_in: 43_200 })
      expect(answer.kind === 'tokens' && answer.tokens.accessToken.reveal()).toBe('new')
    }
  })

  it('is shown access tokens alone to take back', async () => {
    expect((await revoked('slack', { ok: true, revoked: true })).shown).toEqual(['a'])
  })
})

describe('Microsoft', () => {
  it('O-21 is not held to name `offline_access`, and may name the rest in full', () => {
    const { defaultScopes, scopeContents } = record('microsoft')
    expect(missingScopes(defaultScopes, ['User.Read', 'profile', 'openid'], scopeContents)).toEqual([])
    expect(missingScopes(defaultScopes, ['https://graph.microsoft.com/User.Read'], scopeContents)).toEqual([])
    expect(missingScopes(defaultScopes, ['openid'], scopeContents)).toEqual(defaultScopes)
  })

  it('gives a new refresh token each time, which takes the place of the old', async () => {
    const { answer } = await refreshed('microsoft', { access_token: 'n', token_type: 'Bearer', expires_in: 3599, refresh_token: 'next' })
    expect(answer.kind === 'tokens' && answer.tokens.refreshToken?.reveal()).toBe('next')
    expect(record('microsoft').rotation).toEqual({ kind: 'none' })
  })
})

describe('taking tokens back', () => {
  it('shows only the kind of token that the provider takes there', async () => {
    expect((await revoked('asana', {})).shown).toEqual(['r'])
    expect((await revoked('zoom', { status: 'success' })).shown).toEqual(['a'])
    expect((await revoked('gitlab', {})).shown).toEqual(['r', 'a'])
  })

  it('is no success when there is no token of that kind', async () => {
    const { answer, sent } = await revoked('asana', {}, { refreshTokens: [], accessTokens: [new Secret('a')] })
    expect([answer, sent]).toEqual([{ kind: 'impossible', reason: 'no_way' }, []])
  })
})

describe('every record', () => {
  it('asks for a grant that can be renewed where that has to be asked for', () => {
    expect(asked('google').get('access_type')).toBe('offline')
    expect(asked('dropbox').get('token_access_type')).toBe('offline')
    expect(asked('atlassian').get('audience')).toBe('api.atlassian.com')
    for (const [id, scope] of [
      ['microsoft', 'offline_access'],
      ['atlassian', 'offline_access'],
      ['x', 'offline.access'],
    ] as const)
      expect(record(id).defaultScopes).toContain(scope)
  })

  it('is renewed as its reference shows: Atlassian with an object, GitLab and Asana with the redirect URI of the sign-in', async () => {
    const body = { access_token: 't', refresh_token: 'r2', token_type: 'Bearer', expires_in: 3600, scope: 'read:me' }
    for (const { sent } of [await exchanged('atlassian', body), await refreshed('atlassian', body)]) {
      const { headers, body: text } = sent[0]!.request
      expect(headers['content-type']).toBe('application/json')
      expect(JSON.parse(text!)).toMatchObject({ client_id: 'client', client_secret: 'notasecret' })
    }
    for (const id of ['gitlab', 'asana']) {
      const { sent, answer } = await refreshed(id, body)
      expect(answer.kind).toBe('tokens')
      expect(Object.fromEntries(new URLSearchParams(sent[0]!.request.body))).toEqual({
        grant_type: 'refresh_token',
        refresh_token: 'old-refresh',
        redirect_uri: redirectUri,
        client_id: 'client',
        client_secret: 'notasecret',
      })
    }
    const other = await refreshed('github', body)
    expect(new URLSearchParams(other.sent[0]!.request.body).has('redirect_uri')).toBe(false)
  })

  it('names the page of its own documentation, and no two share an id or a name', () => {
    const providers = listProviders()
    expect(new Set(providers.map(({ name }) => name)).size).toBe(providers.length)
    for (const { docs } of providers) expect(docs).toMatch(/^https:\/\//)
  })
})
