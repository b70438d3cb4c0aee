import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { listModelProviders, Secret } from '@sallyport/core'
import { nativePath, ownKeyFor, presentedModelKey, providerIn, readModelHeaders } from './call.ts'
import { requireMayCall } from './native.ts'

const provider = (id: string) => listModelProviders().find((one) => one.id === id)!
const read = (headers: Record<string, string>, url = '/llm/openai/v1/x') => readModelHeaders(Object.entries(headers).flat(), url)

describe('the key of a model call', () => {
  it.each([
    [['Authorization', 'Bearer a-key'], 'a-key'],
    [['authorization', 'bearer   a-key'], 'a-key'],
    [['X-Api-Key', 'a-key'], 'a-key'],
    [['x-goog-api-key', 'a-key'], 'a-key'],
    [['Api-Key', 'a-key'], 'a-key'],
  ])('is read from %j', (headers, text) => {
    expect(presentedModelKey(headers)).toEqual({ text, asBound: false })
  })

  it.each([
    [[]],
    [['authorization', 'Basic YTpi']],
    [['authorization', 'AWS4-HMAC-SHA256 Credential=x, SignedHeaders=host, Signature=y']],
    [['proxy-authorization', 'Bearer a-key']],
  ])('is none in %j', (headers) => {
    expect(() => presentedModelKey(headers)).toThrow(expect.objectContaining({ code: 'unauthenticated' }))
  })

  it.each([
    [['authorization', 'Bearer a', 'authorization', 'Bearer a']],
    [['authorization', 'Bearer a', 'x-api-key', 'b']],
    [['x-api-key', 'a', 'X-API-KEY', 'a']],
    [['x-goog-api-key', 'a', 'api-key', 'b']],
  ])('K-07 is one: %j', (headers) => {
    expect(() => presentedModelKey(headers)).toThrow(expect.objectContaining({ code: 'ambiguous_credentials' }))
  })
})

describe('what a model call says in its headers', () => {
  it('has its usual values where nothing is said', () => {
    expect(read({})).toEqual({ endUser: null, keyName: 'default', own: undefined, keepaliveMs: undefined, contentLength: 0 })
    expect(read({ 'transfer-encoding': 'chunked' }).contentLength).toBeUndefined()
  })

  it.each([
    ['a repeated name of a key', ['sallyport-provider-key-name', 'a', 'sallyport-provider-key-name', 'b']],
    ['an empty name of a key', ['sallyport-provider-key-name', '']],
    ['a long name of a key', ['sallyport-provider-key-name', 'a'.repeat(121)]],
    ['a long end user', ['sallyport-user', 'a'.repeat(256)]],
    ['settings without a key', ['sallyport-provider-settings', 'region=eu']],
    ['two keys of one’s own', ['sallyport-provider-key', 'a', 'x-provider-key', 'a']],
  ])('is refused with %s', (_what, headers) => {
    expect(() => readModelHeaders(headers, '/llm/openai/x')).toThrow(expect.objectContaining({ code: 'bad_request' }))
  })
})

describe('a caller’s own key', () => {
  it('is no text from the line on that reads it', () => {
    const said = read({ 'sallyport-provider-key': 'not-a-real-key' })
    expect(JSON.stringify(said)).not.toContain('not-a-real-key')
    expect(said.own?.secret.reveal()).toBe('not-a-real-key')
  })

  const own = (text: string, settings?: string) => ({ secret: new Secret(text), settings })

  it('is held against what its provider takes, and never repeated', () => {
    expect(ownKeyFor(provider('openai'), own('not-a-real-key'))?.secret.reveal()).toBe('not-a-real-key')
    expect(ownKeyFor(provider('openai'), undefined)).toBeUndefined()
    for (const text of ['short', 'has a space in it', 'ünïcode-key-text']) {
      const thrown = (() => {
        try {
          return ownKeyFor(provider('openai'), own(text))
        } catch (error) {
          return error as { code: string; message: string; publicDetail: string }
        }
      })()
      expect(thrown).toMatchObject({ code: 'bad_request' })
      expect(JSON.stringify(Object.values(thrown ?? {}))).not.toContain(text)
    }
  })

  it.each([
    ['bedrock', 'not-json', 'region=eu-west-1'],
    ['azure-openai', 'not-a-real-key', undefined],
    ['azure-openai', 'not-a-real-key', 'resource=a.evil.example'],
    ['azure-openai', 'not-a-real-key', 'resource=a/b'],
    ['azure-openai', 'not-a-real-key', 'resource'],
    ['azure-openai', 'not-a-real-key', 'resource=a, other=b'],
    ['openai', 'not-a-real-key', 'resource=a'],
  ])('S-02 of %s leads nowhere but to its provider: %j with %j', (id, text, settings) => {
    expect(() => ownKeyFor(provider(id), own(text, settings))).toThrow(expect.objectContaining({ code: 'bad_request' }))
  })

  it('of a service account comes as its file', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const file = { type: 'service_account', client_email: 'a@b.example', private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }) }
    expect(ownKeyFor(provider('vertex'), own(JSON.stringify(file), 'location=europe-west4'))?.settings).toEqual({
      location: 'europe-west4',
    })
  })
})

describe('where a native call goes', () => {
  it.each([
    ['/llm/openai/v1/models', 'openai', '/v1/models'],
    ['/llm/openai/v1/models?limit=2', 'openai', '/v1/models?limit=2'],
    ['/llm/openai', 'openai', '/'],
    ['/llm/openai?x=1', 'openai', '/?x=1'],
    [
      '/llm/azure-openai/openai/deployments/d/chat/completions?api-version=1',
      'azure-openai',
      '/openai/deployments/d/chat/completions?api-version=1',
    ],
    ['/llm/gemini/v1beta/models/m:generateContent?alt=sse', 'gemini', '/v1beta/models/m:generateContent?alt=sse'],
  ])('%s', (url, id, path) => {
    const named = providerIn(url)
    expect([named.id, nativePath(url, named)]).toEqual([id, path])
  })

  it.each(['/llm/', '/llm//v1', '/llm/OpenAI/v1', '/llm/open_ai/v1', '/llm/..%2f/v1', `/llm/${'a'.repeat(32)}/v1`])(
    'names no provider in %s',
    (url) => {
      expect(providerIn(url).id).toBeUndefined()
    },
  )

  it.each(['?key=x', '?a=1&KEY=x', '?%6bey=x', '?$key=x', '?access_token=x', '?api_key', '?oauth_token='])(
    'K-06 takes no key in %s',
    (query) => {
      const url = `/llm/gemini/v1beta/models${query}`
      expect(() => nativePath(url, providerIn(url))).toThrow(expect.objectContaining({ code: 'bad_request' }))
    },
  )

  it.each(['?$httpMethod=POST', '?alt=sse&%24httpHeaders=x-http-method-override:POST', '?$HTTPMETHOD', '?_method=DELETE'])(
    'S-18 takes no method and no headers in %s',
    (query) => {
      const url = `/llm/gemini/v1beta/models${query}`
      expect(() => nativePath(url, providerIn(url))).toThrow(expect.objectContaining({ code: 'bad_request' }))
    },
  )

  it.each(['?pageToken=key', '?keyword=x', '?monkey=x'])('takes %s for what it is', (query) => {
    const url = `/llm/gemini/v1beta/models${query}`
    expect(nativePath(url, providerIn(url))).toBe(`/v1beta/models${query}`)
  })
})

describe('who may call models', () => {
  const principal = (scopes: string[], connection: string | null) =>
    ({ scopes: new Set(scopes), connection }) as unknown as Parameters<typeof requireMayCall>[0]

  it('holds llm:call, and is bound to no connection', () => {
    expect(requireMayCall(principal(['llm:call'], null))).toBeUndefined()
    expect(() => requireMayCall(principal(['proxy:call'], null))).toThrow(expect.objectContaining({ code: 'insufficient_scope' }))
    expect(() => requireMayCall(principal(['llm:call'], 'conn'))).toThrow(expect.objectContaining({ code: 'forbidden' }))
  })
})
