import { describe, expect, it } from 'vitest'
import { generateProofKey } from '../crypto/index.ts'
import { EgressError } from '../http/index.ts'
import { Secret } from '../kernel/index.ts'
import type { TokenSet } from '../tokens/index.ts'
import { createDpopNonces } from './dpop.ts'
import { refreshTokens } from './refresh-grant.ts'
import type { RefreshGrant } from './refresh-grant.ts'
import type { OutboundRequest } from './server.ts'

const parent: TokenSet = {
  accessToken: new Secret('old-access'),
  refreshToken: new Secret('old refresh+token'),
  tokenType: 'bearer',
  expiresAt: 0,
  scopes: ['read'],
  extra: new Secret('{}'),
}

const server: RefreshGrant['server'] = {
  issuer: 'https://issuer.example',
  tokenEndpoint: 'https://issuer.example/token',
  tokenAuth: 'client_secret_post',
  scopeSeparator: ' ',
  tokenQuirks: [],
}

function grant(answer: () => Response | Error, changes: Partial<RefreshGrant> = {}) {
  const sent: { url: string; request: OutboundRequest }[] = []
  const made: RefreshGrant = {
    server,
    client: { clientId: 'a-client', clientSecret: new Secret('a-secret') },
    parent,
    lifetimeMs: null,
    timeoutMs: 1234,
    now: 1_800_000_000_000,
    fetch: async (url, request) => {
      sent.push({ url, request })
      const given = answer()
      if (given instanceof Error) throw given
      return given
    },
    ...changes,
  }
  return { sent, made }
}

const good = () => Response.json({ access_token: 'new-access', token_type: 'bearer', expires_in: 60 })

describe('a refresh', () => {
  it('is one POST with the token in its body, bounded in time and never redirected', async () => {
    const { sent, made } = grant(good)
    expect(await refreshTokens(made)).toMatchObject({ kind: 'tokens', tokens: { expiresAt: made.now + 60_000 } })
    expect(sent).toHaveLength(1)
    const { url, request } = sent[0]!
    expect([url, request.method, request.redirect, request.totalTimeoutMs]).toEqual([
      'https://issuer.example/token',
      'POST',
      'manual',
      1234,
    ])
    expect(Object.fromEntries(new URLSearchParams(request.body))).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'old refresh+token',
      client_id: 'a-client',
      client_secret: 'a-secret',
    })
  })

  it('proves the client in the header where the provider wants it there', async () => {
    const { sent, made } = grant(good, { server: { ...server, tokenAuth: 'client_secret_basic' } })
    await refreshTokens(made)
    expect(sent[0]!.request.headers['authorization']).toMatch(/^Basic /)
    expect(sent[0]!.request.body).not.toContain('a-secret')
  })

  it.each([
    [new EgressError('upstream_unreachable', 'ECONNREFUSED', false), { kind: 'unsent' }],
    [new EgressError('upstream_timeout', 'UND_ERR_CONNECT_TIMEOUT', false), { kind: 'unsent' }],
    [new EgressError('upstream_tls', 'CERT_HAS_EXPIRED', false), { kind: 'unsent' }],
    [new EgressError('egress_refused', 'address', false), { kind: 'misconfigured', providerError: undefined }],
    [new EgressError('upstream_timeout', 'total', true), { kind: 'unknown', why: 'timeout' }],
    [new EgressError('upstream_reset', 'ECONNRESET', true), { kind: 'unknown', why: 'reset' }],
    [new EgressError('upstream_invalid', 'redirect', true), { kind: 'unknown', why: 'malformed' }],
    [new EgressError('upstream_too_large', 'body', true), { kind: 'unknown', why: 'malformed' }],
    [new TypeError('a bug'), { kind: 'unknown', why: 'reset' }],
  ])('F-17 that failed on its way says whether anything left: %s', async (error, answer) => {
    const { sent, made } = grant(() => error)
    expect(await refreshTokens(made)).toEqual(answer)
    expect(sent).toHaveLength(1)
  })

  it('whose client can not be one is not sent', async () => {
    const { sent, made } = grant(good, { client: { clientId: '', clientSecret: new Secret('x') } })
    expect(await refreshTokens(made)).toMatchObject({ kind: 'misconfigured' })
    expect(sent).toEqual([])
  })

  it('S74 proves the key that the tokens are bound to, keeps it, and answers a demand for a nonce once', async () => {
    const key = generateProofKey()
    const bound: TokenSet = { ...parent, tokenType: 'dpop', dpopKey: key }
    const answers = [
      () => Response.json({ error: 'use_dpop_nonce' }, { status: 400, headers: { 'dpop-nonce': 'n-1' } }),
      () => Response.json({ access_token: 'new-access', token_type: 'DPoP', refresh_token: 'new-refresh' }),
    ]
    const dpop = { nonces: createDpopNonces(), now: () => 1_800_000_000_000 }
    const { sent, made } = grant(() => answers.shift()!(), { parent: bound, dpop })
    const answer = await refreshTokens(made)
    expect(answer).toMatchObject({ kind: 'tokens', tokens: { tokenType: 'dpop' } })
    expect(answer.kind === 'tokens' && answer.tokens.dpopKey?.reveal() === key.reveal()).toBe(true)
    expect(sent.map(({ request }) => typeof request.headers['dpop'])).toEqual(['string', 'string'])
  })

  it('S74 of bound tokens without a way to prove the key is not sent', async () => {
    const bound: TokenSet = { ...parent, tokenType: 'dpop', dpopKey: new Secret('{}') }
    const { sent, made } = grant(good, { parent: bound })
    expect(await refreshTokens(made)).toMatchObject({ kind: 'misconfigured' })
    expect(sent).toEqual([])
  })
})
