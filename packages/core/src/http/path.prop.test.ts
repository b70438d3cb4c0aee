import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EgressError } from './egress-error.ts'
import { fillPath, judgePath } from './path.ts'

const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`path.prop seed ${seed}`)

/** Pieces out of which traversal is built; random text alone seldom meets a rule. */
const piece = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '/',
      '.',
      '..',
      '%2e',
      '%2E',
      '%252e',
      '%2f',
      '%5c',
      '%00',
      ';',
      ';v=1',
      '?',
      '#',
      '\\',
      '//',
      '@',
      ':',
      '%',
      '%25',
      'a',
      'admin',
      '%41',
      '%c3%a9',
      '\t',
      '\u00e9',
      '&',
      '=',
    ),
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 6 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 3 }) },
)
const raw = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`)
const bases = ['https://api.example', 'https://api.example:8443/v3', 'https://api.example/a/b'] as const

function tryJudge(path: string): string | undefined {
  try {
    return judgePath(path)
  } catch (error) {
    expect(error).toBeInstanceOf(EgressError)
    return undefined
  }
}

describe('judgePath', () => {
  it('I-04 accepts only what a URL parser leaves on the same origin, under the same prefix, as the same text', () => {
    let accepted = 0
    fc.assert(
      fc.property(raw, fc.constantFrom(...bases), (text, base) => {
        const path = tryJudge(text)
        if (path === undefined) return
        accepted += 1
        const parsed = new URL(base + path)
        const prefix = new URL(base)
        expect(parsed.origin).toBe(prefix.origin)
        expect(parsed.hash).toBe('')
        const textPath = (base + path).slice(prefix.origin.length).split('?', 1)[0]
        expect(parsed.pathname).toBe(textPath)
        expect(parsed.pathname.startsWith(prefix.pathname)).toBe(true)
      }),
      { seed, numRuns: 20_000 },
    )
    // The guard has a test that it is exercised: an all-refusing judge would pass otherwise.
    expect(accepted).toBeGreaterThan(500)
  })

  it('I-05 accepts only what stays under its prefix however often a server decodes it', () => {
    fc.assert(
      fc.property(raw, (text) => {
        const path = tryJudge(text)?.split('?', 1)[0]
        if (path === undefined) return
        let seen = path
        for (let round = 0; round < 6; round++) {
          expect(new URL(`https://api.example${seen.replaceAll('\\', '/')}`).pathname.split('/').length).toBe(path.split('/').length)
          expect(Array.from(seen).every((character) => character > '\x1f' && character !== '\\')).toBe(true)
          seen = seen.replace(/%([0-9a-f]{2})/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
          seen = seen.split(/[?#]/, 1)[0]!
        }
      }),
      { seed, numRuns: 20_000 },
    )
  })

  it('never alters what it accepts', () => {
    fc.assert(
      fc.property(raw, (text) => {
        const path = tryJudge(text)
        if (path !== undefined) expect(path).toBe(text)
      }),
      { seed, numRuns: 5_000 },
    )
  })
})

describe('fillPath', () => {
  it('I-07 gives exactly as many segments as its template, and the value back when decoded once', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }), (id) => {
        fc.pre(!/^\.{1,2}$/.test(id))
        const parsed = new URL(`https://api.example${fillPath('/v1/{id}/x', { id })}`)
        const segments = parsed.pathname.split('/')
        expect(segments.length).toBe(4)
        expect(decodeURIComponent(segments[2]!)).toBe(id)
      }),
      { seed, numRuns: 2_000 },
    )
  })
})
