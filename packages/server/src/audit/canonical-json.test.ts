import { describe, expect, it } from 'vitest'
import { canonicalJson } from './canonical-json.ts'
import type { JsonValue } from './canonical-json.ts'

const double = (hex: string): number => Buffer.from(hex, 'hex').readDoubleBE()

describe('canonicalJson', () => {
  it('writes every character as ECMAScript does, alone and in between', () => {
    for (let code = 1; code < 0x300; code++) {
      const character = String.fromCharCode(code)
      for (const value of [character, `a${character}b`]) expect(canonicalJson({ [value]: value })).toBe(JSON.stringify({ [value]: value }))
    }
  })

  it('orders, escapes and rounds as the example of RFC 8785 section 3.2', () => {
    const input = String.raw`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`
    const output = String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`
    expect(canonicalJson(JSON.parse(input) as JsonValue)).toBe(output)
  })

  it('orders names by UTF-16 code units (RFC 8785 section 3.2.3), not by code points', () => {
    const names = ['\u20ac', '\r', '\ufb33', '1', '\ud83d\ude00', '\u0080', '\u00f6']
    const canonical = canonicalJson(Object.fromEntries(names.map((name) => [name, true])))
    const inOrder = ['\r', '1', '\u0080', '\u00f6', '\u20ac', '\ud83d\ude00', '\ufb33']
    expect(canonical).toBe(`{${inOrder.map((name) => `${JSON.stringify(name)}:true`).join(',')}}`)
  })

  it.each([
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['8000000000000001', '-5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['4430000000000000', '295147905179352830000'],
    ['44b52d02c7e14af5', '9.999999999999997e+22'],
    ['44b52d02c7e14af6', '1e+23'],
    ['44b52d02c7e14af7', '1.0000000000000001e+23'],
    ['444b1ae4d6e2ef4e', '999999999999999700000'],
    ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555555', '333333333.3333333'],
    ['becbf647612f3696', '-0.0000033333333333333333'],
    ['43143ff3c1cb0959', '1424953923781206.2'],
  ])('writes the double %s as %s (RFC 8785 appendix B)', (hex, text) => {
    expect(canonicalJson(double(hex))).toBe(text)
  })

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['an undefined member', { a: undefined }],
    ['a hole in an array', Array(2)],
    ['NaN', { a: Number.NaN }],
    ['an infinity', [Number.NEGATIVE_INFINITY]],
    ['a bigint', { a: 1n }],
    ['a symbol', { a: Symbol('a') }],
    ['a function', { a: () => 1 }],
    ['a lone high surrogate', 'a\ud83d'],
    ['a lone low surrogate in a name', { '\ude00': 1 }],
    ['NUL', 'a\0b'],
    ['NUL in a name', { '\0': 1 }],
    ['a date', { a: new Date(0) }],
    ['a buffer', { a: Buffer.from('x') }],
    ['a map', new Map()],
    ['a boxed string', Object('text')],
  ])('refuses %s instead of dropping or replacing it', (_name, value) => {
    expect(() => canonicalJson(value as JsonValue)).toThrow(TypeError)
  })

  it('refuses a cycle and nesting without end, and says where without quoting', () => {
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    expect(() => canonicalJson(cycle as JsonValue)).toThrow('nested too deep')
    expect(() => canonicalJson({ outer: [{ inner: 'canary\0' }] })).toThrow('$.outer[0].inner holds NUL')
  })
})
