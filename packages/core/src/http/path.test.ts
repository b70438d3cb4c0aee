import { describe, expect, it } from 'vitest'
import { EgressError } from './egress-error.ts'
import { fillPath, judgePath } from './path.ts'

const accepted = [
  ['/', '/'],
  ['', '/'],
  ['?a=b', '/?a=b'],
  ['/user/repos?per_page=1&sort=%2F..%2f', '/user/repos?per_page=1&sort=%2F..%2f'],
  ['/repos/o/r/contents/a%20b.txt', '/repos/o/r/contents/a%20b.txt'],
  ['/calendars/someone@example.com/events', '/calendars/someone@example.com/events'],
  ['/v1beta/models/gemini-pro:generateContent', '/v1beta/models/gemini-pro:generateContent'],
  ['/files/100%25', '/files/100%25'],
  ['/files/100%2525', '/files/100%2525'],
  ['/caf%C3%A9', '/caf%C3%A9'],
  ['/a/...', '/a/...'],
  ['/.well-known/x', '/.well-known/x'],
  ['/a..b/c.', '/a..b/c.'],
  ['/a;v=1/b', '/a;v=1/b'],
  ["/odata/Users('x')", "/odata/Users('x')"],
  ['/q?x=//evil&y=\\', '/q?x=//evil&y=\\'],
  ['/trailing/', '/trailing/'],
] as const

const refused = [
  // another origin, or an empty segment
  'evil',
  '@evil',
  '.evil.example',
  ':8080/',
  '//evil',
  '///evil',
  '/a//b',
  '/a//',
  '/\\evil',
  '\\\\evil',
  '/a\\b',
  'http://evil/',
  '/?\u00e9',
  // dot segments, bare and dressed
  '/..',
  '/.',
  '/../x',
  '/a/..',
  '/a/../b',
  '/a/./b',
  '/..;/x',
  '/a/..;v=1/b',
  '/.;/x',
  '/a/..;',
  '/..?x',
  '/%2e%2e/x',
  '/%2E%2E/x',
  '/.%2e/x',
  '/%2e./x',
  '/%2e',
  '/a%2eb',
  // encoded twice and more, in mixed disguise
  '/%252e%252e/x',
  '/%25252e',
  '/%2525252e',
  '/%25%32%65',
  '/%%32%65',
  '/%252f',
  '/%255c',
  '/%2500',
  '/%25%35%63',
  '/..%3b/x',
  '/..%3Fx',
  '/..%23',
  '/..%20/x',
  '/..%253b',
  '/%25252525252541',
  // encoded slash, backslash and controls
  '/a%2fb',
  '/a%2Fb',
  '/a%5cb',
  '/a%5Cb',
  '/a%00b',
  '/a%0d%0ab',
  '/a%09',
  '/a%7f',
  '/a%1f',
  // overlong and broken
  '/%c0%ae%c0%ae/x',
  '/%C0%AF',
  '/%e0%80%ae',
  '/%f0%80%80%ae',
  '/%ff',
  '/%c3',
  '/%',
  '/%2',
  '/%zz',
  '/%u002e',
  '/a%2',
  // characters
  '/a b',
  '/a\tb',
  '/a\nb',
  '/a\r\nb',
  '/a\0b',
  '/a\u007f',
  '/a#b',
  '/a?b#c',
  '/a?b\nc',
  '/a?b c',
  '/a?b\0',
  '/\u00e9',
  '/\uff0e\uff0e/x',
  '/\u2028',
  '/a<b',
  '/a"b',
  '/a`b',
  '/a{b}',
  '/a^b',
  `/${'a'.repeat(16_384)}`,
] as const

describe('judgePath', () => {
  it.each(accepted)('passes %j on as it stands', (raw, path) => {
    expect(judgePath(raw)).toBe(path)
  })

  it.each(refused)('I-04 I-05 refuses %j', (raw) => {
    expect(() => judgePath(raw)).toThrow(expect.objectContaining({ code: 'path_refused' }))
  })

  it('L-02 says nothing of the path in its refusal', () => {
    let error: unknown
    try {
      judgePath('/canary-path/../x')
    } catch (caught) {
      error = caught
    }
    expect(error).toBeInstanceOf(EgressError)
    expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain('canary')
  })
})

describe('fillPath', () => {
  it.each([
    ['plain', 'plain'],
    ['a/b', 'a%2Fb'],
    ['../../admin', '..%2F..%2Fadmin'],
    ['a?b#c', 'a%3Fb%23c'],
    ['100%', '100%25'],
    ['%2e%2e', '%252e%252e'],
    ['naïve 日本', 'na%C3%AFve%20%E6%97%A5%E6%9C%AC'],
    ['a\r\nb', 'a%0D%0Ab'],
  ])('I-07 puts %j in as one segment', (id, segment) => {
    const path = fillPath('/v1/items/{id}/raw', { id })
    expect(path).toBe(`/v1/items/${segment}/raw`)
    expect(new URL(`https://api.example${path}`).pathname).toBe(path)
  })

  it.each(['', '.', '..', '\ud800'])('I-07 refuses %j, which no encoding can make a segment', (id) => {
    expect(() => fillPath('/v1/{id}', { id })).toThrow(expect.objectContaining({ code: 'path_refused' }))
  })

  it('refuses a template with a place that has no value, inherited ones included', () => {
    expect(() => fillPath('/v1/{id}', {})).toThrow(EgressError)
    expect(() => fillPath('/v1/{constructor}', {})).toThrow(EgressError)
  })
})
