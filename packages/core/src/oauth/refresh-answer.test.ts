import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { Secret } from '../kernel/index.ts'
import { MAX_LIFETIME_S } from '../tokens/index.ts'
import type { TokenSet } from '../tokens/index.ts'
import { MAX_RETRY_AFTER_MS, readRefreshAnswer } from './refresh-answer.ts'
import type { RefreshAnswer } from './refresh-answer.ts'
import type { TokenQuirk } from './token-answer.ts'

const NOW = 1_800_000_000_000
const HOUR_MS = 3_600_000

const parent: TokenSet = {
  accessToken: new Secret('old-access'),
  refreshToken: new Secret('old-refresh'),
  tokenType: 'bearer',
  expiresAt: NOW - 1,
  scopes: ['read', 'write'],
  extra: new Secret('{"team":"T1"}'),
}

interface Sent {
  readonly status?: number
  readonly type?: string
  readonly headers?: Record<string, string>
  readonly quirks?: readonly TokenQuirk[]
}

function read(text: string, { status = 200, type = 'application/json', headers = {}, quirks = [] }: Sent = {}): RefreshAnswer {
  const answer = { status, headers: new Headers({ 'content-type': type, ...headers }), text: new Secret(text) }
  return readRefreshAnswer(answer, { server: { tokenQuirks: quirks }, parent, lifetimeMs: HOUR_MS, now: NOW })
}

function tokensOf(members: object, sent?: Sent) {
  const answer = read(JSON.stringify({ access_token: 'new-access', token_type: 'bearer', ...members }), sent)
  if (answer.kind !== 'tokens') throw new Error(`expected tokens, got ${answer.kind}`)
  const { accessToken, refreshToken, expiresAt, scopes, extra } = answer.tokens
  return { access: accessToken.reveal(), refresh: refreshToken?.reveal(), expiresAt, scopes, extra: extra.reveal() }
}

describe('a renewed grant', () => {
  it('F-19 keeps what the answer leaves out: refresh token, scopes, lifetime and extras', () => {
    expect(tokensOf({})).toEqual({
      access: 'new-access',
      refresh: 'old-refresh',
      expiresAt: NOW + HOUR_MS,
      scopes: ['read', 'write'],
      extra: '{"team":"T1"}',
    })
  })

  it('F-19 takes what the answer brings', () => {
    expect(tokensOf({ refresh_token: 'new-refresh', scope: 'read', expires_in: 60, id_token: 'x.y.z', region: 'eu' })).toEqual({
      access: 'new-access',
      refresh: 'new-refresh',
      expiresAt: NOW + 60_000,
      scopes: ['read'],
      extra: '{"team":"T1","region":"eu"}',
    })
  })

  it.each([
    [0, HOUR_MS],
    [-1, HOUR_MS],
    [null, HOUR_MS],
    ['soon', HOUR_MS],
    ['1800', 1_800_000],
    [1e12, MAX_LIFETIME_S * 1000],
    [90, 90_000],
  ])('F-19 lives sanely when the provider says expires_in %j', (expires_in, lives) => {
    expect(tokensOf({ expires_in }).expiresAt).toBe(NOW + lives)
  })

  it.each([null, '', 7])('keeps its refresh token when the provider says refresh_token %j', (refresh_token) => {
    expect(tokensOf({ refresh_token }).refresh).toBe('old-refresh')
  })

  it('keeps its scopes when the provider names what no scopes are', () => {
    expect(tokensOf({ scope: 'a"b' }).scopes).toEqual(['read', 'write'])
    expect(tokensOf({ scope: '' }).scopes).toEqual(['read', 'write'])
  })

  it('keeps its extras when the new ones are too many to keep', () => {
    expect(tokensOf({ blob: 'x'.repeat(9000) }).extra).toBe('{"team":"T1"}')
  })

  // Under rotation a success that is thrown away ends the grant.
  it.each(['text/html', 'text/plain', ''])('is read under the content type %j too', (type) => {
    expect(tokensOf({}, { type }).access).toBe('new-access')
  })

  it.each(['Bearer', 'BEARER', 'user', undefined, null])('is a bearer when the provider calls it %j', (token_type) => {
    expect(tokensOf({ token_type }).access).toBe('new-access')
  })

  it('is read from a form where the provider sends forms', () => {
    const form = { type: 'application/x-www-form-urlencoded; charset=utf-8', quirks: ['form_answer'] } satisfies Sent
    expect(read('access_token=a&refresh_token=r&expires_in=60', form)).toMatchObject({ kind: 'tokens' })
  })

  it('has an expiry in whole milliseconds', () => {
    const answer = { status: 200, headers: new Headers(), text: new Secret('{"access_token":"a","expires_in":1.7}') }
    const read = readRefreshAnswer(answer, { server: { tokenQuirks: [] }, parent, lifetimeMs: null, now: NOW + 0.4 })
    expect(read).toMatchObject({ tokens: { expiresAt: NOW + 1000 } })
  })
})

describe('a refusal', () => {
  it.each(['invalid_grant', 'bad_refresh_token', 'invalid_refresh_token', 'token_expired'])(
    'of the token is told from others: %s',
    (error) => {
      expect(read(JSON.stringify({ error }), { status: 400 })).toEqual({ kind: 'refused', trouble: 'grant_expired' })
    },
  )

  it.each([{ error: 'token_revoked' }, { error: 'account_inactive' }, { error: 'invalid_grant', error_codes: [50_173] }])(
    'says that the grant was taken back where the provider says so by a code: %j',
    (body) => {
      expect(read(JSON.stringify(body), { status: 400 })).toEqual({ kind: 'refused', trouble: 'revoked' })
    },
  )

  it('is not read out of prose', () => {
    const body = { error: 'invalid_grant', error_description: 'Token has been revoked, account deleted' }
    expect(read(JSON.stringify(body), { status: 400 })).toEqual({ kind: 'refused', trouble: 'grant_expired' })
  })

  // Otherwise the owner of the integration would be told to correct what is right.
  it.each(['interaction_required', 'consent_required', 'login_required'])(
    'O-21 that only the person can answer is one of the grant: %s',
    (error) => {
      expect(read(JSON.stringify({ error, error_codes: [50_076] }), { status: 400 })).toEqual({ kind: 'refused', trouble: 'grant_expired' })
    },
  )

  it('F-17 with status 200 is a refusal', () => {
    expect(read('{"error":"invalid_grant"}')).toEqual({ kind: 'refused', trouble: 'grant_expired' })
    expect(read('{"ok":false,"error":"ratelimited"}', { headers: { 'retry-after': '7' } })).toEqual({
      kind: 'limited',
      retryAfterMs: 7_000,
    })
  })

  it.each(['invalid_client', 'unauthorized_client', 'invalid_scope', 'unsupported_grant_type', 'incorrect_client_credentials'])(
    'of the client is told from one of the token: %s',
    (error) => {
      expect(read(JSON.stringify({ error }), { status: 401 })).toEqual({ kind: 'misconfigured', providerError: error })
    },
  )

  it('in words that no standard names does not repeat them', () => {
    expect(read('{"error":"canary-91ac"}', { status: 400 })).toEqual({ kind: 'misconfigured', providerError: undefined })
    expect(read('{"error":"constructor"}', { status: 400 })).toEqual({ kind: 'misconfigured', providerError: undefined })
  })

  it('that is no OAuth answer spent nothing', () => {
    expect(read('<html>forbidden</html>', { status: 403, type: 'text/html' })).toEqual({ kind: 'misconfigured', providerError: undefined })
  })
})

describe('being told to wait', () => {
  const limited = (value: string | undefined) => read('', { status: 429, headers: value === undefined ? {} : { 'retry-after': value } })
  it.each([
    ['30', 30_000],
    [new Date(NOW + 45_000).toUTCString(), 45_000],
    [new Date(NOW - 45_000).toUTCString(), 0],
    ['99999999', MAX_RETRY_AFTER_MS],
    ['-5', 0],
    ['soon', 0],
    [undefined, 0],
  ])('F-17 for %j is believed within bounds', (value, ms) => {
    expect(limited(value)).toEqual({ kind: 'limited', retryAfterMs: ms })
  })
})

describe('an answer that says nothing of the token', () => {
  it.each([
    [500, '{}'],
    [503, '<html>down</html>'],
    [502, '{"error":"whatever"}'],
    [400, '{"error":"server_error"}'],
    [400, '{"error":"temporarily_unavailable"}'],
    [302, ''],
  ])('F-17 is an unknown outcome: %s %j', (status, body) => {
    expect(read(body, { status })).toEqual({ kind: 'unknown', why: 'server_error' })
  })

  it.each(['<html>welcome</html>', '{"access_token":"a', '[]', 'null', '', '{"access_token":""}', '{"token_type":"bearer"}'])(
    'F-17 is kept when it was a success: %j',
    (body) => {
      const answer = read(body)
      expect(answer).toMatchObject({ kind: 'unknown', why: 'malformed' })
      expect('raw' in answer && answer.raw?.reveal()).toBe(body)
    },
  )

  it.each(['DPoP', 'mac'])('is a success of another kind than the grant: %s', (token_type) => {
    const body = JSON.stringify({ access_token: 'a', token_type })
    expect(read(body)).toMatchObject({ kind: 'unknown', why: 'malformed' })
  })

  it('shows no token to whoever logs it', () => {
    const body = '{"access_token":"canary-52fe","token_type":"mac"}'
    const answers = [read(body), read('{"access_token":"canary-52fe"}'), read('{"access_token":"canary-52fe')]
    expect(inspect(answers, { depth: 9, showHidden: true }) + JSON.stringify(answers)).not.toContain('canary-52fe')
  })

  it('takes an invalid request for a token that is over only where the provider says it so', () => {
    const answer = '{"error":"invalid_request"}'
    expect(read(answer, { status: 400 })).toEqual({ kind: 'misconfigured', providerError: 'invalid_request' })
    const said = read(answer, { status: 400, quirks: ['spent_is_invalid_request'] })
    expect(said).toEqual({ kind: 'refused', trouble: 'grant_expired' })
  })
})
