import { describe, expect, it } from 'vitest'
import { mintGatewayKey, newId } from '@sallyport/core'
import { credentialOf } from './credentials.ts'

const key = mintGatewayKey('test', newId('key')).text.reveal()
const read = (headers: readonly string[], url = '/api/v1/whoami') => credentialOf(headers, url, 'sallyport_session')
const refusal = (headers: readonly string[], url?: string) => {
  try {
    return read(headers, url).kind
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('finding the credential', () => {
  it('reads a bearer key and a session, and hides both in their types', () => {
    const found = read(['Authorization', `Bearer ${key}`])
    expect(found.kind === 'key' && found.text.reveal()).toBe(key)
    expect(JSON.stringify(found)).not.toContain(key)
    expect(read(['Cookie', 'theme=dark; sallyport_session=token']).kind).toBe('session')
    expect(read(['Cookie', 'xsallyport_session=token; sallyport_session2=token']).kind).toBe('none')
    expect(read([]).kind).toBe('none')
  })

  it.each([
    ['two Authorization headers', ['authorization', `Bearer ${key}`, 'Authorization', `Bearer ${key}`]],
    ['a key and a session', ['authorization', `Bearer ${key}`, 'cookie', 'sallyport_session=token']],
    ['two sessions in one header', ['cookie', 'sallyport_session=a; sallyport_session=b']],
    ['two sessions in two headers', ['cookie', 'sallyport_session=a', 'cookie', 'sallyport_session=b']],
    ['a key twice, under two names', ['authorization', `Bearer ${key}`, 'x-api-key', key]],
    ['a session and a foreign key header', ['cookie', 'sallyport_session=a', 'Api-Key', 'x']],
  ])('K-07 refuses %s rather than prefer one', (_what, headers) => {
    expect(refusal(headers)).toBe('ambiguous_credentials')
  })

  it.each([
    ['the query', [], `/api/v1/whoami?key=${key}`],
    ['the query, percent-encoded', [], `/api/v1/whoami?key=${key.replaceAll('_', '%5F')}`],
    ['the path', [], `/api/v1/${key}`],
    ['a cookie', ['cookie', `key=${key}`], undefined],
    ['the session cookie', ['cookie', `sallyport_session=${key}`], undefined],
    ['the Referer', ['referer', `https://app.test/?k=${key}`], undefined],
    ['a header of another API', ['private-token', key], undefined],
  ])('K-06 refuses a key in %s', (_what, headers, url) => {
    expect(refusal(headers, url)).toBe('bad_request')
  })

  it.each([
    ['Basic user', `Basic ${Buffer.from(`${key}:`).toString('base64')}`],
    ['no scheme', key],
    ['two values', `Bearer ${key}, Bearer ${key}`],
    ['an empty token', 'Bearer '],
  ])('K-06 takes a key by no other scheme: %s', (_what, header) => {
    expect(refusal(['authorization', header])).toBe('unauthenticated')
  })
})
