import fc from 'fast-check'
import { expect, it } from 'vitest'
import { judgeReturnTo, returnAddress } from './return-to.ts'

const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`return-to.prop seed ${seed}`)

const origins = ['https://app.test', 'http://127.0.0.1:3000']

/** Pieces that parsers have disagreed about, strung together. */
const pieces = [
  'https:',
  'http:',
  'javascript:',
  'HTTPS:',
  '//',
  '/',
  '\\',
  '@',
  ':',
  '?',
  '#',
  '.',
  '..',
  '%2f',
  '%40',
  '%00',
  '\t',
  '\n',
  ' ',
  'app.test',
  'evil.test',
  '127.0.0.1',
  ':3000',
  '[::1]',
  'user:pw',
  'ａpp.test',
  '。',
  '\u0000',
  '\u200b',
  'a',
  '&',
  ';',
  ',',
]
const spliced = fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 10 }).map((parts) => parts.join(''))
const near = fc.tuple(fc.constantFrom(...origins), spliced).map(([origin, rest]) => origin + rest)

it('O-19 whatever is accepted leads to a registered origin, also with our parameters added', () => {
  let accepted = 0
  fc.assert(
    fc.property(fc.oneof(spliced, near, fc.webUrl(), fc.string({ unit: 'binary' })), (text) => {
      if (!isAccepted(text)) return
      accepted += 1
      for (const address of [text, returnAddress(text, { connect_session: 'cs_1', connect_code: 'c' })]) {
        const { origin, username, password } = new URL(address)
        expect(origins).toContain(origin)
        expect(username + password).toBe('')
        // A browser resolves Location against the page it is on; for an absolute address that changes nothing.
        expect(new URL(address, 'https://gate.example/oauth/cb/x').origin).toBe(origin)
      }
    }),
    { seed, numRuns: 4_000 },
  )
  expect(accepted).toBeGreaterThan(20)
})

function isAccepted(text: string): boolean {
  try {
    judgeReturnTo(text, origins)
    return true
  } catch {
    return false
  }
}
