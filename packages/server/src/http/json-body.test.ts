import { describe, expect, it } from 'vitest'
import { MAX_JSON_DEPTH, MAX_JSON_TOKENS, parseJsonBody } from './json-body.ts'

const parse = (text: string | Uint8Array) => parseJsonBody(typeof text === 'string' ? Buffer.from(text, 'utf8') : text)
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

describe('reading a JSON body', () => {
  it.each([
    '{}',
    '[]',
    '1',
    '"x"',
    'null',
    ' { "a" : [1, {"a": "{\\"a\\":1}"}], "b": "a" } ',
    '{"a":{"a":1},"b":{"a":1}}',
    '["a","a"]',
    nested(MAX_JSON_DEPTH),
  ])('gives what JSON.parse gives: %s', (text) => {
    expect(parse(text)).toEqual(JSON.parse(text))
  })

  it('takes no bytes as no body', () => {
    expect(parse('')).toBeUndefined()
  })

  it.each([
    ['a doubled name', '{"a":1,"a":2}'],
    ['a doubled name, once escaped', '{"a":1,"\\u0061":2}'],
    ['a doubled name behind much space', `{"a":1,"a"${' '.repeat(500)}:2}`],
    ['a doubled name deep inside', '{"x":[{"a":1,"b":{},"a":2}]}'],
    ['__proto__', '{"__proto__":{"role":"OWNER"}}'],
    ['__proto__, escaped', '{"\\u005f_proto__":{}}'],
    ['constructor', '{"a":{"constructor":{"prototype":{}}}}'],
    ['depth 10,000', nested(10_000)],
    ['one level too many', nested(MAX_JSON_DEPTH + 1)],
    ['a million names', `{${Array.from({ length: 1_000_000 }, (_, index) => `"k${index}":1`).join(',')}}`],
    ['too many values', `[${'1,'.repeat(MAX_JSON_TOKENS)}1]`],
    ['a lone surrogate', '{"a":"\\ud800"}'],
    ['a lone surrogate as a name', '{"\\udc00":1}'],
    ['NUL', '{"a":"\\u0000"}'],
    ['a byte order mark', '\ufeff{}'],
    ['half an object', '{"a":'],
    ['an open string', '{"a'],
    ['a bad escape', '{"\\x":1}'],
    ['two values', '{}{}'],
    ['a trailing comma', '{"a":1,}'],
    ['a comment', '{/**/}'],
    ['closing what is not open', ']'],
  ])('I-09 D-07 refuses %s', (_what, text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'bad_request' }))
  })

  it.each([
    ['UTF-16', Buffer.from('{"a":1}', 'utf16le')],
    ['an overlong byte', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
    ['an encoded surrogate', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['a cut character', Buffer.from([0x22, 0xe2, 0x82, 0x22])],
  ])('I-09 refuses bytes that are no UTF-8: %s', (_what, bytes) => {
    expect(() => parse(bytes)).toThrow(expect.objectContaining({ code: 'bad_request' }))
  })
})
