import { describe, expect, it } from 'vitest'
import { formatId, mintGatewayKey, newId } from '@sallyport/core'
import { presentedKey, readCall } from './call.ts'

const connection = newId('conn')
const key = ['authorization', 'Bearer sp_test_not-a-key']
const real = mintGatewayKey('test', newId('key')).text.reveal()
const encoded = real.replace(/[a-z_]/gu, (letter) => `%${letter.charCodeAt(0).toString(16)}`)
const code = (url: string, headers: string[]): string => {
  try {
    presentedKey(headers)
    readCall(url, headers)
    return 'read'
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('reading a data-plane call', () => {
  it('takes integration, path with its query, and the connection', () => {
    const call = readCall('/proxy/github/user/repos?page=2', [...key, 'Sallyport-Connection', formatId('conn', connection)])
    expect(call).toEqual({
      integration: 'github',
      path: '/user/repos?page=2',
      selector: { connection, endUser: undefined },
      contentLength: 0,
    })
  })

  it.each([['Bearer k'], ['bearer k'], ['token k'], ['TOKEN   k']])('takes a key as %s', (value) => {
    expect(presentedKey(['Authorization', value]).text).toBe('k')
  })

  it.each([
    ['K-06 no key at all', [], 'unauthenticated'],
    ['K-06 a key as Basic user', ['authorization', 'Basic c3BfdGVzdA=='], 'unauthenticated'],
    ['K-06 a key in a cookie', ['cookie', 'key=sp_test_x'], 'unauthenticated'],
    ['K-07 two Authorization headers', [...key, ...key], 'ambiguous_credentials'],
    ['two values in one header', ['authorization', 'Bearer a b'], 'unauthenticated'],
    ['a repeated connection', [...key, 'sallyport-connection', 'a', 'sallyport-connection', 'a'], 'bad_request'],
    ['two different connections', [...key, 'sallyport-connection', 'a', 'connection-id', 'b'], 'bad_request'],
    ['a connection and a user', [...key, 'sallyport-connection', 'a', 'sallyport-user', 'u'], 'bad_request'],
    ['another integration by header', [...key, 'provider-config-key', 'google'], 'bad_request'],
    ['an id of the wrong form', [...key, 'sallyport-connection', '1 or 1=1'], 'not_found'],
  ])('refuses %s', (_what, headers, expected) => {
    expect(code('/proxy/github/user', headers)).toBe(expected)
  })

  it.each(['/proxy/github/user?key=sp_live_abc', '/proxy/sp_test_abc/user', '/proxy/github/sp_live_abc'])(
    'K-06 refuses a key in the URL %s',
    (url) => {
      expect(code(url, key)).toBe('bad_request')
    },
  )

  it.each([
    ['from its first letter', `/proxy/github/user?k=%73${real.slice(1)}`],
    ['at its underscores', `/proxy/github/user?k=${real.replaceAll('_', '%5F')}`],
    ['wherever it can', `/proxy/github/user?k=${encoded}`],
    ['in part', '/proxy/github/user?k=%73p_test_abc'],
    ['as the name of a parameter', `/proxy/github/user?${encoded}`],
    ['as a segment', `/proxy/github/${encoded}/x`],
  ])('K-06 refuses a key in the URL, percent-encoded %s', (_what, url) => {
    expect(code(url, key)).toBe('bad_request')
  })

  it.each(['cookie', 'Referer', 'PRIVATE-TOKEN', 'x-custom', 'x_api_key', 'sallyport-user'])(
    'K-06 refuses a key in the header %s',
    (name) => {
      for (const value of [real, `k=${real}`, `https://app.test/?k=${encoded}`])
        expect(code('/proxy/github/user', [...key, name, value])).toBe('bad_request')
    },
  )

  it.each(['x-api-key', 'Api-Key', 'X-Goog-Api-Key', 'Proxy-Authorization'])(
    'K-07 refuses a second key in %s, whichever comes first',
    (name) => {
      expect(code('/proxy/github/user', [...key, name, real])).toBe('ambiguous_credentials')
      expect(code('/proxy/github/user', [name, `Bearer ${real}`, ...key])).toBe('ambiguous_credentials')
      expect(code('/proxy/github/user', [name, real])).toBe('unauthenticated')
    },
  )

  it('takes texts that are no gateway keys in headers of other APIs', () => {
    const connectionNamed = [...key, 'sallyport-connection', formatId('conn', connection)]
    expect(code('/proxy/github/user', [...connectionNamed, 'x-api-key', 'placeholder', 'private-token', 'x'.repeat(100)])).toBe('read')
  })

  it.each(['/proxy/', '/proxy//user', '/proxy/Git%48ub/user', '/proxy/git_hub/user', '/proxy/@evil/user', '/proxy/github@evil.test/user'])(
    'S-02 knows no integration in %s',
    (url) => {
      expect(code(url, key)).toBe('not_found')
    },
  )

  it('tells a chunked body from none', () => {
    expect(readCall('/proxy/github/x', [...key, 'transfer-encoding', 'chunked']).contentLength).toBeUndefined()
    expect(readCall('/proxy/github/x', [...key, 'content-length', '12']).contentLength).toBe(12)
  })
})
