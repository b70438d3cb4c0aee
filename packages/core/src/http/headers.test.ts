import { describe, expect, it } from 'vitest'
import { Secret } from '../kernel/index.ts'
import { cleanRequestHeaders, cleanResponseHeaders as cleanParsedHeaders } from './headers.ts'
import type { ParsedHeaders, ResponseCleaning } from './headers.ts'
import { SecretMask } from './mask.ts'

const base = { origin: 'https://api.example', basePath: '/v3' }
const rewrite = { fromBase: base, toBase: 'https://gate.example/proxy/x' }

/** Parses as undici does, so that the cases can be written as they stand on the wire. */
function cleanResponseHeaders(raw: readonly string[], how: ResponseCleaning): string[] {
  const parsed: Record<string, string[]> = {}
  for (let i = 0; i < raw.length; i += 2) (parsed[raw[i]!.toLowerCase()] ??= []).push(raw[i + 1]!)
  const shaped: ParsedHeaders = Object.fromEntries(
    Object.entries(parsed).map(([name, values]) => [name, values.length === 1 ? values[0]! : values]),
  )
  return cleanParsedHeaders(shaped, how)
}

describe('cleanRequestHeaders', () => {
  it.each([
    'Authorization',
    'authorization',
    'AUTHORIZATION',
    'Proxy-Authorization',
    'Cookie',
    'Cookie2',
    'X-Api-Key',
    'X-Goog-Api-Key',
    'Api-Key', // credentials
    'Connection',
    'Keep-Alive',
    'Proxy-Connection',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Upgrade',
    'HTTP2-Settings', // hop by hop
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'X-Forwarded-Proto',
    'X-Forwarded-Anything',
    'Forwarded',
    'Via',
    'X-Real-IP',
    'CF-Connecting-IP',
    'CF-Ray',
    'True-Client-IP',
    'X-Client-IP',
    'X-Cluster-Client-IP',
    'Fastly-Client-IP', // the way here
    'X-HTTP-Method-Override',
    'X-Method-Override',
    'X-HTTP-Method',
    'X-Original-URL',
    'X-Rewrite-URL',
    'X-Original-Host',
    'X-Host', // another request than the judged one
    'Sallyport-Connection',
    'Sallyport-User',
    'Sallyport-Provider-Key',
    'Sallyport-Whatever',
    'Connection-Id',
    'Provider-Config-Key',
    'X-Provider-Key', // to the gateway
    'Range',
    'If-Range',
    'Request-Range',
    'X-MS-Range', // an answer in pieces
    'Host',
    'Expect',
    'Content-Length', // of this message only
    'X_Api_Key',
    'x_forwarded_for',
    'Proxy_Authorization', // read as the dashed name by some servers
  ])('S-16 drops %s', (name) => {
    expect(cleanRequestHeaders([name, 'canary', 'Accept', '*/*'])).toEqual(['accept', '*/*', 'accept-encoding', 'identity'])
  })

  it('S-16 drops what Connection lists, in any number, case and spacing', () => {
    const raw = ['Connection', 'close, X-One', 'connection', 'x-TWO ,accept', 'X-One', '1', 'x-two', '2', 'Accept', '*/*', 'X-Three', '3']
    expect(cleanRequestHeaders(raw)).toEqual(['x-three', '3', 'accept-encoding', 'identity'])
  })

  it('keeps what the provider needs, in order, duplicates included', () => {
    const raw = [
      'Accept',
      'a',
      'Content-Type',
      'application/json',
      'accept',
      'b',
      'If-None-Match',
      '"x"',
      'Anthropic-Version',
      '2023-06-01',
      'X-GitHub-Api-Version',
      '2022-11-28',
      'User-Agent',
      'octokit',
      'Accept-Encoding',
      'gzip, br',
    ]
    expect(cleanRequestHeaders(raw)).toEqual([
      'accept',
      'a',
      'content-type',
      'application/json',
      'accept',
      'b',
      'if-none-match',
      '"x"',
      'anthropic-version',
      '2023-06-01',
      'x-github-api-version',
      '2022-11-28',
      'user-agent',
      'octokit',
      'accept-encoding',
      'identity',
    ])
  })

  it('drops further names on request', () => {
    expect(cleanRequestHeaders(['X-Secret', '1', 'X-Kept', '2'], new Set(['x-secret']))).toEqual([
      'x-kept',
      '2',
      'accept-encoding',
      'identity',
    ])
  })

  it.each([
    'a\r\nX-Evil: 1',
    'a\nb',
    'a\rb',
    'a\0b',
    'a\r\n b',
    'a\u2028b',
    'a\u00c2\u0085b',
    '\u00e2\u0080\u00a8',
    '\u00e2\u0080\u00a9',
    'a\u0100',
    'a\x07',
    'a\x7f',
    '\u{1f511}',
  ])('I-03 refuses the value %j', (value) => {
    expect(() => cleanRequestHeaders(['X-Value', value])).toThrow(expect.objectContaining({ code: 'header_refused' }))
    expect(() => cleanRequestHeaders(['Authorization', value])).toThrow(expect.objectContaining({ code: 'header_refused' }))
  })

  it.each(['', 'a b', 'a:b', 'a\r\nb', 'é', 'a\0'])('I-03 refuses the name %j', (name) => {
    expect(() => cleanRequestHeaders([name, 'x'])).toThrow(expect.objectContaining({ code: 'header_refused' }))
  })
})

describe('names of headers', () => {
  const many = Array.from({ length: 1_200 }, (_, n) => `x-own-${n}`)

  it('S-15 are judged the same when they come again, also after more others than are remembered', () => {
    const sent = ['X-Kept', 'a', 'X_Api_Key', 'b', 'SALLYPORT-User', 'c', 'x-'.padEnd(90, 'y'), 'd']
    const clean = () => cleanRequestHeaders(sent)
    const first = clean()
    expect(first).toEqual(['x-kept', 'a', 'x-'.padEnd(90, 'y'), 'd', 'accept-encoding', 'identity'])
    expect(cleanRequestHeaders(many.flatMap((name) => [name, '1']))).toHaveLength(2 * many.length + 2)
    expect([clean(), clean()]).toEqual([first, first])
    const answer = { 'x-kept': 'a', 'proxy-own': 'b', nel: 'c' }
    expect(cleanParsedHeaders(answer, {})).toEqual(['x-kept', 'a'])
    cleanParsedHeaders(Object.fromEntries(many.map((name) => [name, '1'])), {})
    expect([cleanParsedHeaders(answer, {}), cleanParsedHeaders(answer, {})]).toEqual([
      ['x-kept', 'a'],
      ['x-kept', 'a'],
    ])
  })

  it('are refused each time where they are none, and values are looked at each time', () => {
    for (const _time of [1, 2]) {
      expect(() => cleanRequestHeaders(['bad name', 'a'])).toThrow(expect.objectContaining({ code: 'header_refused' }))
      expect(() => cleanRequestHeaders(['x-kept', 'a\nb'])).toThrow(expect.objectContaining({ code: 'header_refused' }))
      expect(() => cleanParsedHeaders({ 'bad name': 'a' }, {})).toThrow(expect.objectContaining({ code: 'upstream_invalid' }))
      expect(cleanRequestHeaders(['x-kept', 'a'], new Set(['x-kept']))).toEqual(['accept-encoding', 'identity'])
    }
  })
})

describe('cleanResponseHeaders', () => {
  const clean = (name: string, value: string) => cleanResponseHeaders([name, value], { rewrite })[1]

  it.each([
    'Set-Cookie',
    'Set-Cookie2',
    'Authorization',
    'Proxy-Authorization',
    'Proxy-Authenticate',
    'Cookie',
    'X-Api-Key',
    'Via',
    'Connection',
    'Keep-Alive',
    'Transfer-Encoding',
    'Trailer',
    'Upgrade',
    'Proxy-Connection',
    'Sallyport-Request-Id',
    'Sallyport-Error-Source',
    'Alt-Svc',
    'Strict-Transport-Security',
    'Clear-Site-Data',
    'NEL',
    'Report-To',
    'Access-Control-Allow-Origin',
    'Access-Control-Allow-Credentials',
  ])('S-15 drops %s', (name) => {
    expect(cleanResponseHeaders([name, 'canary'], {})).toEqual([])
  })

  it('S-15 drops injected and replaced names and what Connection lists', () => {
    const raw = ['X-Injected', '1', 'X-Mine', '2', 'X-Hop', '3', 'Connection', 'X-Hop', 'X-RateLimit-Remaining', '59']
    expect(cleanResponseHeaders(raw, { injectedNames: new Set(['x-injected']), replacedNames: new Set(['x-mine']) })).toEqual([
      'x-ratelimit-remaining',
      '59',
    ])
  })

  it('keeps repetitions apart', () => {
    expect(cleanResponseHeaders(['WWW-Authenticate', 'a', 'www-authenticate', 'b'], {})).toEqual([
      'www-authenticate',
      'a',
      'www-authenticate',
      'b',
    ])
  })

  it('S-15 joins repeated Connection headers before reading them', () => {
    expect(cleanResponseHeaders(['Connection', 'X-A', 'X-A', '1', 'Connection', 'x-b', 'X-B', '2', 'X-C', '3'], {})).toEqual(['x-c', '3'])
  })

  it('drops a length that a change of the body or a transfer coding makes untrue', () => {
    const raw = ['Content-Length', '5', 'Content-Encoding', 'gzip', 'ETag', '"x"']
    expect(cleanResponseHeaders(raw, {})).toEqual(['content-length', '5', 'content-encoding', 'gzip', 'etag', '"x"'])
    expect(cleanResponseHeaders(raw, { decoded: true })).toEqual(['etag', '"x"'])
    expect(cleanResponseHeaders(raw, { lengthless: true })).toEqual(['content-encoding', 'gzip', 'etag', '"x"'])
  })

  it.each([
    ['https://api.example/v3/repos?page=2', 'https://gate.example/proxy/x/repos?page=2'],
    ['https://api.example/v3', 'https://gate.example/proxy/x'],
    ['https://api.example/v3?page=2', 'https://gate.example/proxy/x?page=2'],
    ['/v3/repos/1', 'https://gate.example/proxy/x/repos/1'],
    ['https://api.example/v3#part', 'https://gate.example/proxy/x#part'],
    ['https://api.example/v3/a#part', 'https://gate.example/proxy/x/a#part'],
    // beside the base: kept as text
    ['https://api.example/v33/x', 'https://api.example/v33/x'],
    ['https://api.example/', 'https://api.example/'],
    ['https://api.example', 'https://api.example'],
    ['https://api.example.evil/v3/x', 'https://api.example.evil/v3/x'],
    ['https://api.example@evil/v3/x', 'https://api.example@evil/v3/x'],
    ['https://api.example:444/v3/x', 'https://api.example:444/v3/x'],
    ['http://api.example/v3/x', 'http://api.example/v3/x'],
    ['//api.example/v3/x', '//api.example/v3/x'],
    ['//evil/v3/x', '//evil/v3/x'],
    ['https://evil/v3', 'https://evil/v3'],
    ['repos/2', 'repos/2'],
    ['', ''],
    // inside by text only: following it would leave the proxy's place
    ['https://api.example/v3/../admin', 'https://api.example/v3/../admin'],
    ['https://api.example/v3/%2e%2e/admin', 'https://api.example/v3/%2e%2e/admin'],
    ['https://api.example/v3//evil', 'https://api.example/v3//evil'],
  ])('I-13 S-05 Location %j becomes %j', (from, to) => {
    expect(clean('Location', from)).toBe(to)
    for (const name of ['Content-Location', 'Operation-Location', 'Azure-AsyncOperation', 'X-Goog-Upload-Url', 'X-Goog-Upload-Control-Url'])
      expect(clean(name, from)).toBe(to)
    // Where Google wants the bytes of an upload.
    expect(clean('X-Goog-Upload-URL', from)).toBe(to)
  })

  it('carries Link targets to the proxy, each by itself', () => {
    expect(
      clean(
        'Link',
        '<https://api.example/v3/r?page=2>; rel="next", <https://other.example/v3/r>; rel="x", </v3/r?page=9>; rel="last"; title="a <b>"',
      ),
    ).toBe(
      '<https://gate.example/proxy/x/r?page=2>; rel="next", <https://other.example/v3/r>; rel="x", <https://gate.example/proxy/x/r?page=9>; rel="last"; title="a <b>"',
    )
  })

  it('leaves URLs in other headers alone', () => {
    expect(clean('X-Self', 'https://api.example/v3/x')).toBe('https://api.example/v3/x')
  })

  it('hides secrets in any value, rewritten ones too', () => {
    const mask = new SecretMask([new Secret('fake-token-0123456789')])
    const raw = ['X-Echo', 'Bearer fake-token-0123456789', 'Link', '<https://api.example/v3/r?key=fake-token-0123456789>; rel="next"']
    expect(cleanResponseHeaders(raw, { mask, rewrite })).toEqual([
      'x-echo',
      `Bearer ${'*'.repeat(21)}`,
      'link',
      `<https://gate.example/proxy/x/r?key=${'*'.repeat(21)}>; rel="next"`,
    ])
  })

  it.each(['a\r\nSet-Cookie: x=1', 'a\nb', 'a\0b'])('I-13 refuses the value %j', (value) => {
    expect(() => cleanResponseHeaders(['Location', value], { rewrite })).toThrow(expect.objectContaining({ code: 'upstream_invalid' }))
  })
})
