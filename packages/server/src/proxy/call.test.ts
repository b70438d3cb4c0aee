import { describe, expect, it } from 'vitest'
import { formatId, newId } from '@sallyport/core'
import { presentedKey, readCall } from './call.ts'

const connection = newId('conn')
const key = ['authorization', 'Bearer sp_test_not-a-key']
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
    expect(presentedKey(['Authorization', value])).toBe('k')
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
