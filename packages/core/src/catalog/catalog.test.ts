import { describe, expect, it } from 'vitest'
import { checkedRecord, idleRenewalMs, listProviders, resolveProvider } from './catalog.ts'
import { CatalogError } from './errors.ts'
import { github } from './providers/github.ts'

const overlay = {
  authorizationEndpoint: 'http://127.0.0.1:7256/login/oauth/authorize',
  tokenEndpoint: 'http://127.0.0.1:7256/login/oauth/access_token',
  userinfoEndpoint: 'http://127.0.0.1:7256/user',
  apiBase: 'http://127.0.0.1:7256',
}
const allowed = ['http://127.0.0.1:7256']

describe('the catalog', () => {
  it('knows its providers, each over https alone and frozen', () => {
    const ids = listProviders().map(({ id }) => id)
    expect(ids).toEqual(ids.toSorted())
    expect(ids).toEqual(expect.arrayContaining(['github', 'google', 'microsoft', 'reddit', 'slack', 'slack-user', 'x']))
    expect(ids.length).toBeGreaterThanOrEqual(17)
    for (const provider of listProviders()) {
      expect(provider.origins.every((origin) => origin.startsWith('https://'))).toBe(true)
      expect(Object.isFrozen(provider.oauth.authorizationParams)).toBe(true)
    }
  })

  it('F-01 has grants renewed well before the most impatient provider lets them die of disuse', () => {
    const days = 24 * 60 * 60 * 1000
    expect(idleRenewalMs([])).toBe(30 * days)
    expect(idleRenewalMs()).toBe(20 * days)
    expect(idleRenewalMs([checkedRecord({ ...github, grant: { idleDays: 14 } }), ...listProviders()])).toBeCloseTo((14 / 3) * days)
    for (const { grant } of listProviders()) expect(idleRenewalMs()).toBeLessThanOrEqual(((grant?.idleDays ?? 365) / 3) * days)
  })

  it('does not know others, nor names of object members', () => {
    for (const id of ['', 'GitHub', 'constructor', '__proto__', 'toString']) expect(resolveProvider(id)).toBeUndefined()
  })

  it('lays an overlay over every endpoint at once, and over what the server calls itself', () => {
    const provider = resolveProvider('github', overlay, allowed)!
    expect(provider.oauth).toMatchObject({
      ...pick('authorizationEndpoint', 'tokenEndpoint'),
      issuer: 'http://127.0.0.1:7256',
      responseIssuer: 'checked',
    })
    expect(provider.userinfo.url).toBe(overlay.userinfoEndpoint)
    expect(provider.api.base).toBe(overlay.apiBase)
    expect(JSON.stringify(provider)).not.toContain('https://api.github.com')
    expect(resolveProvider('github')!.api.base).toBe('https://api.github.com')
  })

  // A sandbox's token must not be shown to the real provider, nor its client secret.
  it('moves the way of taking tokens back with the overlay, or leaves none', () => {
    expect(resolveProvider('github', overlay, allowed)!.revocation).toEqual({
      kind: 'client_delete',
      grant: 'http://127.0.0.1:7256/applications/{client_id}/grant',
      token: 'http://127.0.0.1:7256/applications/{client_id}/token',
    })
    expect(resolveProvider('google', overlay, allowed)!.revocation).toEqual({ kind: 'none' })
    const named = { ...overlay, revocationEndpoint: 'http://127.0.0.1:7256/revoke' }
    expect(resolveProvider('google', named, allowed)!.revocation).toEqual({
      kind: 'rfc7009',
      endpoint: named.revocationEndpoint,
      clientAuth: 'none',
      reach: 'account',
    })
    expect(resolveProvider('github', named, allowed)!.revocation).toMatchObject({ kind: 'rfc7009', clientAuth: 'client_secret_post' })
  })

  it('knows no endpoints of OAuth 1.0a under an overlay, which names none', () => {
    expect(resolveProvider('x')!.oauth1?.tokenEndpoint).toBe('https://api.x.com/oauth/access_token')
    expect(resolveProvider('x', overlay, allowed)!.oauth1).toBeUndefined()
  })

  it('lets an overlay name the issuer', () => {
    expect(resolveProvider('google', { ...overlay, issuer: 'http://127.0.0.1:7256/realm' }, allowed)!.oauth.issuer).toBe(
      'http://127.0.0.1:7256/realm',
    )
  })

  // Half an overlay would send real codes, or a real client secret, to the other server.
  it.each(['authorizationEndpoint', 'tokenEndpoint', 'userinfoEndpoint', 'apiBase'] as const)(
    'O-16 refuses an overlay without %s',
    (name) => {
      expect(() => resolveProvider('github', { ...overlay, [name]: undefined }, allowed)).toThrow(CatalogError)
      expect(() => resolveProvider('github', { [name]: overlay[name] }, allowed)).toThrow(CatalogError)
    },
  )

  it.each([
    ['plain http where it was not allowed', overlay, []],
    ['plain http on another port than was allowed', { ...overlay, apiBase: 'http://127.0.0.1:7299' }, allowed],
    ['a token endpoint on another host', { ...overlay, tokenEndpoint: 'https://other.example/token' }, allowed],
    ['a revocation endpoint on another host', { ...overlay, revocationEndpoint: 'https://other.example/revoke' }, allowed],
    ['a revocation endpoint alone', { revocationEndpoint: 'https://other.example/revoke' }, allowed],
    ['an endpoint with user info', { ...overlay, userinfoEndpoint: 'http://a:b@127.0.0.1:7256/user' }, allowed],
    ['an endpoint with a fragment', { ...overlay, apiBase: 'http://127.0.0.1:7256/#' }, allowed],
    ['an endpoint that is no URL', { ...overlay, apiBase: '/api' }, allowed],
    ['an endpoint of another scheme', { ...overlay, apiBase: 'file:///etc/passwd' }, allowed],
  ])('O-16 refuses %s', (_what, given, origins) => {
    expect(() => resolveProvider('github', given, origins)).toThrow(CatalogError)
  })

  it.each([
    [
      'O-05 a parameter of the protocol',
      { ...github, oauth: { ...github.oauth, authorizationParams: { redirect_uri: 'https://x.example' } } },
    ],
    [
      'O-16 an endpoint on an origin it does not list',
      { ...github, oauth: { ...github.oauth, tokenEndpoint: 'https://evil.example/token' } },
    ],
    [
      'an injection without a place for the token',
      { ...github, api: { ...github.api, injection: { kind: 'header', name: 'authorization', template: 'Bearer' } } },
    ],
    [
      'O-16 a grant deleted elsewhere than at its API',
      { ...github, revocation: { ...github.revocation, grant: 'https://github.com/applications/{client_id}/grant' } },
    ],
    [
      'a deletion that does not name the client',
      { ...github, revocation: { ...github.revocation, grant: 'https://api.github.com/grant' } },
    ],
    ['a header value with a line break', { ...github, api: { ...github.api, defaultHeaders: { 'user-agent': 'a\r\nb: c' } } }],
    [
      "O-05 a header at the token endpoint that is the protocol's",
      { ...github, oauth: { ...github.oauth, tokenHeaders: { authorization: 'Basic eA==' } } },
    ],
    ['a feature of a name of its own', { ...github, features: { 'everything.read': [] } }],
    [
      'O-16 an endpoint of OAuth 1.0a on an origin it does not list',
      {
        ...github,
        oauth1: {
          temporaryCredentialEndpoint: 'https://evil.example/a',
          authorizationEndpoint: 'https://github.com/b',
          tokenEndpoint: 'https://github.com/c',
        },
      },
    ],
    ['an unknown field', { ...github, secret: 'x' }],
    ['nothing at all', undefined],
  ])('refuses a record with %s', (_what, record) => {
    expect(() => checkedRecord(record)).toThrow(CatalogError)
  })

  it('reports every fault of a record together', () => {
    const broken = {
      ...github,
      oauth: { ...github.oauth, tokenEndpoint: 'https://evil.example/token', authorizationEndpoint: 'http://github.com/x' },
    }
    expect(faultsOf(() => checkedRecord(broken))).toHaveLength(2)
  })
})

function pick(...names: readonly (keyof typeof overlay)[]): Partial<typeof overlay> {
  return Object.fromEntries(names.map((name) => [name, overlay[name]]))
}

function faultsOf(work: () => unknown): readonly string[] {
  try {
    work()
  } catch (error) {
    if (error instanceof CatalogError) return error.faults
  }
  return []
}
