import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { generateProofKey } from '../crypto/index.ts'
import { hasCode, Secret } from '../kernel/index.ts'
import { lifetimeSeconds, MAX_LIFETIME_S } from './lifetime.ts'
import { readTokenSet, writeTokenSet } from './token-set.ts'
import type { TokenSet } from './token-set.ts'

const tokens: TokenSet = {
  accessToken: new Secret('fake-access'),
  refreshToken: new Secret('fake-refresh'),
  tokenType: 'bearer',
  expiresAt: 1_800_000_000_000,
  scopes: ['repo', 'read:user'],
  extra: new Secret('{"team":{"id":"T1"}}'),
}

describe('the sealed text of a credential', () => {
  it('reads back as what was written', () => {
    const read = readTokenSet(writeTokenSet(tokens))
    expect(read.accessToken.reveal()).toBe('fake-access')
    expect(read.refreshToken?.reveal()).toBe('fake-refresh')
    expect(read.extra.reveal()).toBe('{"team":{"id":"T1"}}')
    expect(read).toMatchObject({ tokenType: 'bearer', expiresAt: 1_800_000_000_000, scopes: ['repo', 'read:user'] })
  })

  it('keeps the absence of a refresh token and of an expiry', () => {
    const read = readTokenSet(writeTokenSet({ ...tokens, refreshToken: null, expiresAt: null }))
    expect(read).toMatchObject({ refreshToken: null, expiresAt: null })
  })

  it('keeps bearer tokens in the form that every version reads', () => {
    const text = '{"v":1,"access_token":"a","refresh_token":null,"token_type":"bearer","expires_at":null,"scopes":[],"extra":{}}'
    expect(writeTokenSet(readTokenSet(new Secret(text))).reveal()).toBe(text)
  })

  it('keeps the key of bound tokens beside them, and shows it nowhere', () => {
    const dpopKey = generateProofKey()
    const bound: TokenSet = { ...tokens, tokenType: 'dpop', dpopKey }
    const written = writeTokenSet(bound)
    const read = readTokenSet(written)
    expect(JSON.parse(written.reveal())).toMatchObject({ v: 2, token_type: 'dpop', dpop_key: { kty: 'EC', crv: 'P-256' } })
    expect(read).toMatchObject({ tokenType: 'dpop', expiresAt: tokens.expiresAt, scopes: tokens.scopes })
    expect(read.dpopKey?.reveal()).toBe(dpopKey.reveal())
    expect(writeTokenSet(read).reveal()).toBe(written.reveal())
    const { d } = JSON.parse(dpopKey.reveal()) as { d: string }
    expect(inspect(read, { depth: 9 }) + JSON.stringify(read)).not.toContain(d)
  })

  it.each<TokenSet>([
    { ...tokens, refreshToken: null, tokenType: 'oauth1', tokenSecret: new Secret('fake-signing-secret') },
    { ...tokens, refreshToken: null, tokenType: 'api_key' },
    { ...tokens, refreshToken: null, tokenType: 'basic', accessToken: new Secret('name:fake-password') },
  ])('keeps a credential of the kind $tokenType as it is, and shows none of it', (credential) => {
    const written = writeTokenSet(credential)
    const read = readTokenSet(written)
    expect(read.tokenType).toBe(credential.tokenType)
    expect(read.accessToken.reveal()).toBe(credential.accessToken.reveal())
    expect(read.tokenType === 'oauth1' && read.tokenSecret.reveal()).toBe(credential.tokenType === 'oauth1' && 'fake-signing-secret')
    expect(writeTokenSet(read).reveal()).toBe(written.reveal())
    expect(inspect(read, { depth: 9 }) + JSON.stringify(read)).not.toContain('fake-')
  })

  it.each([
    ['an API key in the form of bearers', { v: 1 }],
    ['a kind that nobody knows', { token_type: 'mac' }],
    ['a key with a refresh token', { refresh_token: 'fake' }],
    ['a secret beside a key', { token_secret: 'fake' }],
    ['a signing token without its secret', { v: 3, token_type: 'oauth1' }],
    ['a signing token whose secret is no text', { v: 3, token_type: 'oauth1', token_secret: null }],
  ])('refuses %s', (_what, change) => {
    const written = writeTokenSet({ ...tokens, refreshToken: null, tokenType: 'api_key' }).reveal()
    const text = JSON.stringify({ ...(JSON.parse(written) as object), ...change })
    expect(() => readTokenSet(new Secret(text))).toThrow(expect.objectContaining({ code: 'credential_malformed' }) as Error)
  })

  it.each([
    ['a bearer in the form of bound tokens', { v: 2, token_type: 'bearer' }],
    ['a key beside a bearer', { v: 1, token_type: 'bearer' }],
    ['bound tokens in the form of bearers', { v: 1 }],
    ['no key', { dpop_key: null }],
    ['a key of another kind', { dpop_key: { kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43), d: 'A'.repeat(43) } }],
    ['a public key', { dpop_key: { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) } }],
    ['a key with more to it', { dpop_key: { ...(JSON.parse(generateProofKey().reveal()) as object), kid: 'a' } }],
  ])('refuses %s', (_what, change) => {
    const written = writeTokenSet({ ...tokens, tokenType: 'dpop', dpopKey: generateProofKey() }).reveal()
    const text = JSON.stringify({ ...(JSON.parse(written) as object), ...change })
    expect(
      hasCode(
        thrownBy(() => readTokenSet(new Secret(text))),
        'credential_malformed',
      ),
    ).toBe(true)
  })

  it.each(['', 'not json', '[]', '{}', '{"v":2}', JSON.stringify({ v: 1, access_token: 'canary-7f3a' })])(
    'refuses %j without quoting it',
    (text) => {
      const failure = thrownBy(() => readTokenSet(new Secret(text)))
      expect(hasCode(failure, 'credential_malformed')).toBe(true)
      expect(inspect(failure, { depth: 9 })).not.toContain('canary-7f3a')
    },
  )

  it('shows no token when a credential is logged or serialised', () => {
    expect(inspect(tokens, { depth: 9 }) + JSON.stringify(tokens)).not.toMatch(/fake-access|fake-refresh|T1/u)
  })
})

describe('the lifetime of a token', () => {
  // Zero and negative lifetimes taken literally would refresh on every call.
  it.each([
    [3600, 3600],
    ['3600', 3600],
    [3599.9, 3599],
    [1, 1],
    [1e12, MAX_LIFETIME_S],
    [0, null],
    [-1, null],
    ['0', null],
    ['-5', null],
    ['1e9', null],
    ['soon', null],
    [Number.NaN, null],
    [Number.POSITIVE_INFINITY, null],
    [null, null],
    [undefined, null],
    [{}, null],
    [true, null],
  ])('F-19 reads %j as %j', (given, seconds) => {
    expect(lifetimeSeconds(given)).toBe(seconds)
  })
})

function thrownBy(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  return undefined
}
