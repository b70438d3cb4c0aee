import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
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
