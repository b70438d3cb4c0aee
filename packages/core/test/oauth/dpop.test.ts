/**
 * Tokens bound to a key, with an independent, certified server as the judge: it issues them, renews them, is the resource that they open,
 * asks for nonces, and refuses what RFC 9449 refuses.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generateProofKey, openProofKey } from '../../src/crypto/index.ts'
import { createEgress, DEFAULT_EGRESS_POLICY } from '../../src/http/index.ts'
import type { Egress } from '../../src/http/index.ts'
import { makeDpopProof } from '../../src/jwt/index.ts'
import { Secret } from '../../src/kernel/index.ts'
import {
  authorizationRequest,
  callbackState,
  createDpopNonces,
  exchangeCode,
  fetchAccount,
  judgeAnswer,
  provingFetch,
  refreshTokens,
} from '../../src/oauth/index.ts'
import type { AuthorizationServer, DpopSender, OutboundFetch } from '../../src/oauth/index.ts'
import type { TokenSet } from '../../src/tokens/index.ts'
import { startCertifiedServer } from './certified-server.ts'
import type { CertifiedServer } from './certified-server.ts'
import { signIn } from './sign-in.ts'

const redirectUri = 'https://gate.example/oauth/cb/bound'
const client = { clientId: 'bound-client', clientSecret: new Secret('not-a-secret-bound-client-of-a-test') }

let certified: CertifiedServer
let egress: Egress
let server: AuthorizationServer
let origin: string
/** Method and path of every request that reached the server, and whether it had a proof. */
const seen: { call: string; proof: boolean }[] = []

beforeAll(async () => {
  certified = await startCertifiedServer({
    clients: [
      {
        client_id: client.clientId,
        client_secret: client.clientSecret.reveal(),
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        dpop_bound_access_tokens: true,
      },
    ],
    features: { dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true } },
    before: ({ method, url, headers }) => {
      seen.push({ call: `${method} ${url}`, proof: headers['dpop'] !== undefined })
      return false
    },
  })
  origin = certified.origin
  egress = createEgress({ ...DEFAULT_EGRESS_POLICY, insecureAllowOrigins: [origin] })
  server = {
    issuer: origin,
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

const outbound: OutboundFetch = (url, init) => egress.fetch(url, init)
const freshSender = (): DpopSender => ({ key: generateProofKey(), nonces: createDpopNonces(), now: () => Date.now() })
const account = () => ({ url: `${origin}/me`, method: 'GET', idPath: ['sub'], labelPath: ['email'], headers: {} }) as const

describe('S74 a token that is bound to a key', () => {
  it('is got with a proof, and with the nonce that the server asks for at the first try, at the cost of one request more', async () => {
    seen.length = 0
    const tokens = await connect(freshSender())
    expect(tokens.tokenType).toBe('dpop')
    expect(tokens.refreshToken).not.toBeNull()
    expect(seen.filter(({ call }) => call === 'POST /token')).toEqual([
      { call: 'POST /token', proof: true },
      { call: 'POST /token', proof: true },
    ])
  })

  it('opens the account with a proof of the same key, and with nobody else’s', async () => {
    const sender = freshSender()
    const { accessToken } = await connect(sender)
    expect(await fetchAccount(account(), accessToken, outbound, sender)).toEqual({ id: 'grace', label: 'grace@test.example' })
    const thief = { ...sender, key: generateProofKey() }
    await expect(fetchAccount(account(), accessToken, outbound, thief)).rejects.toMatchObject({ code: 'connect_exchange_failed' })
    await expect(fetchAccount(account(), accessToken, outbound)).rejects.toMatchObject({ code: 'connect_exchange_failed' })
  })

  it('is renewed with a proof, into one that is bound to the same key', async () => {
    const sender = freshSender()
    const parent = await connect(sender)
    // Another process: it knows no nonce yet.
    const dpop = { nonces: createDpopNonces(), now: () => Date.now() }
    const limits = { lifetimeMs: null, timeoutMs: 5000, now: Date.now() }
    const answer = await refreshTokens({ server, client, parent, fetch: outbound, dpop, ...limits })
    if (answer.kind !== 'tokens') throw new Error(`the refresh ended as ${answer.kind}`)
    expect([answer.tokens.tokenType, answer.tokens.dpopKey?.reveal()]).toEqual(['dpop', sender.key.reveal()])
    expect(answer.tokens.accessToken.reveal()).not.toBe(parent.accessToken.reveal())
    expect(await fetchAccount(account(), answer.tokens.accessToken, outbound, sender)).toMatchObject({ id: 'grace' })
  })

  it('is not renewed without a proof', async () => {
    const { refreshToken } = await connect(freshSender())
    expect(await refresh(refreshToken!, outbound)).toMatchObject({ error: expect.stringMatching(/^invalid/u) })
  })

  it('is refused with a proof that was used before', async () => {
    const sender = freshSender()
    const { accessToken } = await connect(sender)
    await fetchAccount(account(), accessToken, outbound, sender)
    const request = { method: 'GET', url: account().url, now: Date.now(), accessToken, nonce: sender.nonces.get(origin) }
    const headers = { authorization: `DPoP ${accessToken.reveal()}`, dpop: makeDpopProof(openProofKey(sender.key), request) }
    const [first, second] = [await fetch(account().url, { headers }), await fetch(account().url, { headers })]
    expect([first.status, second.status]).toEqual([200, 401])
  })

  it('is refused where a bearer token was asked for', async () => {
    const { query, verifier } = await authorized()
    await expect(exchanged(query, verifier, undefined)).rejects.toMatchObject({ code: 'connect_exchange_failed' })
  })

  it('remembers nonces, so that the next request needs no second', async () => {
    const sender = freshSender()
    const { accessToken } = await connect(sender)
    seen.length = 0
    await fetchAccount(account(), accessToken, outbound, sender)
    expect(seen).toEqual([{ call: 'GET /me', proof: true }])
  })
})

describe('a proving fetch', () => {
  const request = { method: 'POST', headers: {}, redirect: 'manual', totalTimeoutMs: 1000, maxBytes: 1000 } as const

  /** Answers each request by the next of `answers`, and keeps what it was sent. */
  function scripted(...answers: Response[]): { fetch: OutboundFetch; proofs: Record<string, unknown>[] } {
    const proofs: Record<string, unknown>[] = []
    return {
      proofs,
      fetch: async (_url, { headers }) => {
        proofs.push(JSON.parse(Buffer.from(headers['dpop']!.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>)
        return answers.shift()!
      },
    }
  }
  const nonceWanted = (nonce: string) => new Response('{"error":"use_dpop_nonce"}', { status: 400, headers: { 'dpop-nonce': nonce } })

  it('repeats a request once for want of a nonce, with a proof of its own, and no more', async () => {
    const { fetch, proofs } = scripted(nonceWanted('n-1'), nonceWanted('n-2'))
    const answer = await provingFetch(fetch, freshSender())('https://as.example/token', request)
    expect(await answer.json()).toEqual({ error: 'use_dpop_nonce' })
    expect(proofs.map(({ nonce }) => nonce)).toEqual([undefined, 'n-1'])
    expect(new Set(proofs.map(({ jti }) => jti)).size).toBe(2)
  })

  it('F-17 repeats nothing that was answered otherwise, whatever nonce comes with it', async () => {
    for (const [status, body] of [
      [400, '{"error":"invalid_grant"}'],
      [500, '{"error":"use_dpop_nonce"}'],
      [200, '{"error":"use_dpop_nonce"}'],
      [429, ''],
    ] as const) {
      const { fetch, proofs } = scripted(new Response(body, { status, headers: { 'dpop-nonce': 'n-1' } }))
      await provingFetch(fetch, freshSender())('https://as.example/token', request)
      expect(proofs).toHaveLength(1)
    }
  })

  it('does not repeat with the nonce that was just refused, nor with what can be none', async () => {
    const sender = freshSender()
    sender.nonces.put('https://as.example', 'n-1')
    for (const nonce of ['n-1', 'a b', 'x'.repeat(600)]) {
      const { fetch, proofs } = scripted(nonceWanted(nonce))
      await provingFetch(fetch, sender)('https://as.example/token', request)
      expect(proofs.map((proof) => proof['nonce'])).toEqual(['n-1'])
    }
  })

  it('is not longer under way for the second request than it may be for one', async () => {
    const { fetch } = scripted(nonceWanted('n-1'), new Response('{}'))
    const times: number[] = []
    const timed: OutboundFetch = async (url, sent) => {
      times.push(sent.totalTimeoutMs)
      return fetch(url, sent)
    }
    await provingFetch(timed, freshSender())('https://as.example/token', request)
    expect(times[0]).toBe(1000)
    expect(times[1]).toBeLessThan(1000)
  })

  it('gives no server the nonce of another', async () => {
    const sender = freshSender()
    const first = scripted(new Response('{}', { headers: { 'dpop-nonce': 'n-1' } }))
    await provingFetch(first.fetch, sender)('https://as.example/token', request)
    const second = scripted(new Response('{}'))
    await provingFetch(second.fetch, sender)('https://api.example/me', request)
    expect(second.proofs[0]!['nonce']).toBeUndefined()
  })
})

async function authorized(): Promise<{ query: string; verifier: Secret }> {
  const scopes = ['openid', 'email', 'offline_access']
  const request = authorizationRequest({ server, clientId: client.clientId, redirectUri, scopes })
  return { query: await signIn(request.url, redirectUri), verifier: request.verifier }
}

async function connect(dpop: DpopSender): Promise<TokenSet> {
  const { query, verifier } = await authorized()
  return exchanged(query, verifier, dpop)
}

function exchanged(query: string, verifier: Secret, dpop: DpopSender | undefined): Promise<TokenSet> {
  return exchangeCode({
    server,
    client,
    redirectUri,
    verifier,
    answer: judgeAnswer(server, query, callbackState(query)),
    requestedScopes: ['openid', 'email'],
    fetch: outbound,
    now: Date.now(),
    ...(dpop === undefined ? {} : { dpop }),
  })
}

async function refresh(refreshToken: Secret, fetch: OutboundFetch): Promise<Record<string, unknown>> {
  const basic = Buffer.from(`${client.clientId}:${client.clientSecret.reveal()}`).toString('base64')
  const response = await fetch(server.tokenEndpoint, {
    method: 'POST',
    headers: { authorization: `Basic ${basic}`, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken.reveal() }).toString(),
    redirect: 'manual',
    totalTimeoutMs: 5000,
    maxBytes: 65_536,
  })
  return (await response.json()) as Record<string, unknown>
}
