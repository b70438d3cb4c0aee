import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { csvRow } from './csv.ts'

/** A reader by RFC 4180 section 2, and nothing beyond. */
function parse(text: string): string[][] {
  const rows: string[][] = []
  let [row, cell, quoted]: [string[], string, boolean] = [[], '', false]
  for (let i = 0; i < text.length; i += 1) {
    const char = text[i]!
    if (quoted) {
      if (char !== '"') cell += char
      else if (text[i + 1] === '"') cell += text[(i += 1)]!
      else quoted = false
    } else if (char === '"') quoted = true
    else if (char === ',') [row, cell] = [[...row, cell], '']
    else if (char === '\r' && text[i + 1] === '\n') {
      rows.push([...row, cell])
      ;[row, cell, i] = [[], '', i + 1]
    } else cell += char
  }
  return rows
}

describe('csvRow', () => {
  it.each(['=1+1', '+1', '-1', '@SUM(A1)', '\tx', '\rx', '\n=x', ' =x', '|calc', '%x', '\uFF1Dx', '\uFF0Bx', '\uFF0Dx', '\uFF20x'])(
    'L-17 keeps %j from being computed',
    (text) => {
      const [[cell]] = parse(csvRow([text])) as [[string]]
      expect(cell).toBe(`'${text}`)
    },
  )

  it('L-17 leaves what no spreadsheet computes as it is', () => {
    for (const text of ['', 'key.created', 'a=b', '{"a":"=1"}', 'é, "x"\r\ny', '2026-01-01T00:00:00.000000Z', '😀']) {
      expect(parse(csvRow([text, 'end']))).toEqual([[text, 'end']])
    }
  })

  it('L-17 reads back cell by cell, whatever the texts', () => {
    const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
    console.info(`csv seed ${seed}`)
    const text = fc.string({ unit: fc.constantFrom('a', '=', '-', '"', ',', '\r', '\n', '\t', ' ', '\0', '😀') })
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 6 }), (cells) => {
        const [row] = parse(csvRow(cells))
        expect(row!.map((cell) => cell.replace(/^'/u, ''))).toEqual(cells.map((cell) => cell.replaceAll('\0', '')))
      }),
      { seed },
    )
  })
})
