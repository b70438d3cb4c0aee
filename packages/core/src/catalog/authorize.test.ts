import { describe, expect, it } from 'vitest'
import { echoesOf } from '../http/inject.ts'
import { SecretMask } from '../http/mask.ts'
import { ManualClock, Secret } from '../kernel/index.ts'
import { createDpopNonces } from '../oauth/index.ts'
import type { TokenSet } from '../tokens/index.ts'
import { authorize } from './authorize.ts'
import type { OutgoingRequest } from './authorize.ts'
import { resolveProvider } from './catalog.ts'
import { providerRoute } from './route.ts'

const x = providerRoute(resolveProvider('x')!, { allowedPorts: [443], insecureAllowOrigins: [] })
const held = { refreshToken: null, expiresAt: null, scopes: [], extra: new Secret('{}') } as const
const request: OutgoingRequest = { method: 'GET', path: '/users/me?fields=a%20b' }
const clock = new ManualClock(1_700_000_000_000)
const client = { consumerKey: 'consumer', consumerSecret: new Secret('fake-consumer-secret'), signatureMethod: 'HMAC-SHA1' } as const
const by = { nonces: createDpopNonces(), clock, oauth1Client: client }

function sent(tokens: TokenSet | null, changes: Partial<OutgoingRequest> = {}): string[] {
  return authorize(x, tokens, { ...request, ...changes }, by).parts.inject.map(({ name, value }) => `${name}: ${value.reveal()}`)
}

describe('a credential in a request', () => {
  it('stands where the record says when it is a token or a key', () => {
    expect(sent({ ...held, tokenType: 'bearer', accessToken: new Secret('fake-token') })).toEqual(['authorization: Bearer fake-token'])
    const record = resolveProvider('x')!
    const queried = { ...record, api: { ...record.api, injection: { kind: 'query', name: 'api_key' } as const } }
    const route = providerRoute(queried, { allowedPorts: [443], insecureAllowOrigins: [] })
    const { parts } = authorize(route, { ...held, tokenType: 'api_key', accessToken: new Secret('fake key') }, request, by)
    expect(parts.inject).toMatchObject([{ kind: 'query', name: 'api_key' }])
    expect(parts.inject[0]!.value.reveal()).toBe('fake key')
  })

  it('is a name and a password in the spelling of RFC 7617, which is masked in answers in either form', () => {
    const pair = new Secret('Aladdin:open sesame')
    const { parts } = authorize(x, { ...held, tokenType: 'basic', accessToken: pair }, request, by)
    expect(parts.inject[0]!.value.reveal()).toBe('Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==')
    expect(parts.mask?.map((secret) => secret.reveal())).toEqual(['Aladdin:open sesame', 'open sesame'])
  })

  it('L-02 is masked in answers by itself: a password, a name that is the key, and a key within a template of any form', () => {
    const masked = (route: typeof x, tokenType: 'basic' | 'api_key', text: string): string => {
      const { inject, mask } = authorize(route, { ...held, tokenType, accessToken: new Secret(text) }, request, by).parts
      return new SecretMask(echoesOf(inject, mask)).text(`"${text.replace(/^[^:]*:(?=.)|:$/u, '')}"`)
    }
    expect(masked(x, 'basic', 'ada:fake-password')).toBe(`"${'*'.repeat(13)}"`)
    expect(masked(x, 'basic', 'fake-key-of-ada:')).toBe(`"${'*'.repeat(15)}"`)
    const record = resolveProvider('x')!
    for (const template of ['Token token="{token}"', 'Key {token}; v=1', 'key={token}', '{token}']) {
      const quoted = { ...record, api: { ...record.api, injection: { kind: 'header', name: 'authorization', template } as const } }
      const route = providerRoute(quoted, { allowedPorts: [443], insecureAllowOrigins: [] })
      expect(masked(route, 'api_key', 'fake key-0123')).toBe(`"${'*'.repeat(13)}"`)
    }
  })

  it('signs the request as it goes out, query and form included, anew each time', () => {
    const tokens: TokenSet = {
      ...held,
      tokenType: 'oauth1',
      accessToken: new Secret('fake-token'),
      tokenSecret: new Secret('fake-token-secret'),
    }
    const [first, second] = [sent(tokens)[0]!, sent(tokens)[0]!]
    expect(first).toMatch(/^authorization: OAuth .*oauth_token="fake-token".*oauth_timestamp="1700000000".*oauth_signature="[^"]+"$/u)
    expect(first).not.toContain('secret')
    expect(first).not.toBe(second)
    expect(authorize(x, tokens, request, by).parts.mask).toContain(tokens.tokenSecret)
  })

  it('is none where there is none, and refuses to send what it can’t sign', () => {
    expect(sent(null)).toEqual([])
    const tokens: TokenSet = { ...held, tokenType: 'oauth1', accessToken: new Secret('a'), tokenSecret: new Secret('b') }
    const nothing = { nonces: by.nonces, clock }
    expect(() => authorize(x, tokens, request, nothing)).toThrow(expect.objectContaining({ code: 'credential_malformed' }) as Error)
    expect(() => sent(tokens, { path: '/a?b=%zz' })).toThrow(expect.objectContaining({ code: 'request_unsignable' }) as Error)
  })
})
