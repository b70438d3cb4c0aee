import { describe, expect, it } from 'vitest'
import { parseApiBase } from './origin.ts'

const policy = { insecureAllowOrigins: ['http://127.0.0.1:7256', 'http://127.0.0.1:72'], allowedPorts: [443, 8443] }

describe('parseApiBase', () => {
  it.each([
    ['https://api.github.com', 'https://api.github.com', ''],
    ['https://api.github.com/', 'https://api.github.com', ''],
    ['https://api.github.com:443', 'https://api.github.com', ''],
    ['https://graph.example:8443/v3/', 'https://graph.example:8443', '/v3'],
    ['https://xn--bcher-kva.example/a/b', 'https://xn--bcher-kva.example', '/a/b'],
    ['http://127.0.0.1:7256', 'http://127.0.0.1:7256', ''],
    ['http://127.0.0.1:7256/api/v3', 'http://127.0.0.1:7256', '/api/v3'],
  ])('takes %s', (url, origin, basePath) => {
    expect(parseApiBase(url, policy)).toEqual({ origin, basePath })
  })

  it.each([
    'ftp://a.example',
    'file:///etc/passwd',
    'gopher://a.example',
    'data:,x',
    'unix:/run/x.sock',
    'http+unix://%2Frun/x',
    'javascript:1',
    'HTTPS://a.example',
    'ws://a.example',
    '//a.example',
    'a.example',
    '',
  ])('S-11 refuses the scheme of %j', (url) => {
    expect(() => parseApiBase(url, policy)).toThrow(expect.objectContaining({ code: 'egress_refused' }))
  })

  it.each([0, 1, 22, 25, 80, 5432, 6379, 7255, 8080, 65_535, 65_536, 99_999])('S-10 refuses port %i unless declared', (port) => {
    expect(() => parseApiBase(`https://a.example:${port}`, policy)).toThrow(expect.objectContaining({ code: 'egress_refused' }))
  })

  it.each([
    'http://api.github.com', // without TLS
    'https://user@a.example',
    'https://user:pw@a.example',
    'https://@a.example',
    'https://a.example@b.example',
    'https://a.example/@x?', // user, query
    'https://a.example?x',
    'https://a.example/?',
    'https://a.example#f',
    'https://a.example/#',
    'https://127.0.0.1',
    'https://8.8.8.8',
    'https://[::1]',
    'https://[2606:4700::1111]',
    'https://[::ffff:7f00:1]', // literals, even public ones
    'https://2130706433',
    'https://0x7f.1',
    'https://0177.0.0.1',
    'https://127.1',
    'https://0',
    'https://0x7f000001', // and in disguise
    'https://localhost',
    'https://LOCALHOST',
    'https://metadata',
    'https://localhost.',
    'https://a.example.',
    'https://.',
    'https://',
    'https://A.example',
    'https://ａ.example',
    'https://bücher.example',
    'https://%61.example',
    'https://a%2eexample',
    'https://a.example%00.evil.example',
    'https://a\u3002example',
    'https://a.example\\@b.example',
    'https:\\\\a.example',
    'https:/a.example',
    'https:a.example',
    'https:///a.example',
    ' https://a.example',
    'https://a.example ',
    'https://a.ex\tample',
    'https://a.ex\nample',
    'https://a.example/a b',
    'https://a.example:0443',
    'https://a.example:',
    'https://[::1%25eth0]',
    'https://[fe80::1%eth0]',
    'http://127.0.0.1:7257',
    'http://127.0.0.1',
    'https://127.0.0.1:7256',
    'http://localhost:7256',
    'http://127.0.0.1:7256@evil.example',
    'http://127.0.0.1:725',
    'http://127.1:7256',
    'http://2130706433:7256', // beside the insecure origin
    `https://${'a.'.repeat(1200)}example`,
  ])('S-02 S-07 refuses %j', (url) => {
    expect(() => parseApiBase(url, policy)).toThrow(expect.objectContaining({ code: 'egress_refused' }))
  })

  it.each(['https://a.example/a/../b', 'https://a.example/%2e%2e', 'https://a.example//x', 'https://a.example/a%2fb'])(
    'I-04 refuses the base path of %s',
    (url) => {
      expect(() => parseApiBase(url, policy)).toThrow(expect.objectContaining({ code: 'path_refused' }))
    },
  )
})
