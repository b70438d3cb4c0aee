import { describe, expect, it, vi } from 'vitest'
import { asked } from './asked-body.ts'
import { readAsked } from './compatible-request.ts'
import { excessOf, MOST_DEPTH, MOST_MADE, MOST_VALUES } from './json-shape.ts'

const of = (text: string) => excessOf(Buffer.from(text))
const list = (entry: string, count: number): string => `[${`${entry},`.repeat(count - 1)}${entry}]`

describe('the structure of a text', () => {
  it.each([['', '{}', '"', '"\\', '"\\"', '{"a":"\\\\"}', '"\\u0041"', '\\', '\u00ff', ']]]', ':'].map((text) => [text] as const)].flat())(
    'is modest: %j',
    (text) => expect(of(text)).toBeUndefined(),
  )

  it('is counted to the last that is taken, and the next is too much', () => {
    expect(of('['.repeat(MOST_DEPTH) + ']'.repeat(MOST_DEPTH))).toBeUndefined()
    expect(of('['.repeat(MOST_DEPTH + 1))).toBe('is nested deeper than 200')
    expect(of(list('[]', MOST_MADE - 1))).toBeUndefined()
    expect(of(list('[]', MOST_MADE))).toBe('holds more than 100000 objects, lists and names')
    expect(of(list('1', MOST_VALUES + 1))).toBeUndefined()
    expect(of(list('1', MOST_VALUES + 2))).toBe('holds more than 1000000 values')
  })

  it('is none inside of strings, however their ends are hidden', () => {
    const inside = '[{:,'.repeat(MOST_MADE)
    for (const slashes of [0, 1, 2, 3, 61, 62, 63, 64, 65, 66, 127, 128, 129]) {
      for (const before of [0, 1, 62, 63, 64, 65]) {
        const escapes = 'x'.repeat(before) + '\\'.repeat(slashes)
        // The quote ends the string where the slashes before it are even in number: then what follows is outside.
        const outside = slashes % 2 === 0
        expect(of(`["${escapes}"${inside}`) !== undefined, `${slashes} after ${before}`).toBe(outside)
        expect(of(`["${inside}${escapes}"]`), `${slashes} after ${before}`).toBeUndefined()
      }
    }
  })
})

const MOST = 10 * 1024 * 1024
const filled = (start: string, unit: string): string => start + unit.repeat(Math.floor((MOST - start.length) / unit.length))
const names = (): string => {
  const pieces = ['{"model":"a/b"']
  for (let [n, length] = [0, 14]; length < MOST - 20; n++) length += pieces[pieces.push(`,"k${n}":1`) - 1]!.length
  return `${pieces.join('')}}`
}
const bombs: readonly (readonly [string, () => string])[] = [
  ['lists in lists', () => filled('{"model":"a/b","x":', '[')],
  ['objects in objects', () => filled('{"model":"a/b","x":', '{"a":')],
  ['names', names],
  ['empty lists', () => `${filled('{"model":"a/b","x":[', '[],')}1]}`],
  ['empty objects', () => `${filled('{"model":"a/b","x":[', '{},')}1]}`],
  ['small objects', () => `${filled('{"model":"a/b","x":[', '{"a":1},')}1]}`],
  ['numbers', () => `${filled('{"model":"a/b","x":[', '1,')}1]}`],
  ['empty strings', () => `${filled('{"model":"a/b","x":[', '"",')}1]}`],
]

describe('ten megabytes', () => {
  // The bound is on work, not on time: nothing is built of them, and each byte is looked at once. How long it takes stands in docs/benchmarks.md.
  it.each(bombs)('D-07 of %s are refused before anything is made of them', (_what, text) => {
    const body = Buffer.from(text())
    const made = vi.spyOn(JSON, 'parse')
    try {
      expect(() => readAsked(body)).toThrow(expect.objectContaining({ code: 'bad_request' }))
      expect(() => asked(Buffer.concat([Buffer.alloc(5_000, 0x20), body]), '/v1/messages')).toThrow(
        expect.objectContaining({ code: 'bad_request' }),
      )
      expect(made).not.toHaveBeenCalled()
    } finally {
      made.mockRestore()
    }
  })

  it.each([
    ['one text', () => `${filled('{"model":"a/b","x":"', 'a')}"}`],
    ['a text of quotes', () => `${filled('{"model":"a/b","x":"', '\\"')}"}`],
    ['a text of brackets', () => `${filled('{"model":"a/b","x":"', '[{')}"}`],
    ['a million numbers', () => `{"model":"a/b","x":${list('12345', 1_000_000)}}`],
  ] as const)('of %s are a call like any other', (_what, text) => {
    const body = Buffer.from(text())
    expect(readAsked(body)).toMatchObject({ model: 'a/b' })
    expect(asked(body, '/v1/messages')).toMatchObject({ model: 'a/b' })
  })

  it('that are an upload are nothing that is read, whatever they hold', () => {
    const body = Buffer.from(`--form\r\n${'['.repeat(1_000)}`)
    expect(asked(body, '/v1/messages')).toEqual({ bytes: body.length, opaque: true })
  })
})
