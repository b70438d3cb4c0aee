import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseJsonBody } from './json-body.ts'
import { ProblemError } from './problem.ts'

const seed = Date.now()

it(`gives every JSON text of bounded size what JSON.parse gives it, or refuses (seed ${seed})`, () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), (text) => {
      const outcome = settle(() => parseJsonBody(Buffer.from(text, 'utf8')))
      if (outcome instanceof ProblemError) return
      expect(outcome).toEqual(JSON.parse(text))
    }),
    { seed },
  )
})

it(`throws nothing but a problem, whatever the bytes (seed ${seed})`, () => {
  const fragments = fc.constantFrom('{', '}', '[', ']', '"', '\\', ':', ',', 'a', '\\u0061', '\\ud800', ' ', '\n', '1', 'null', '\0')
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.array(fragments, { maxLength: 60 }).map((parts) => Buffer.from(parts.join(''))),
  )
  fc.assert(
    fc.property(bytes, (input) => {
      settle(() => parseJsonBody(input))
    }),
    { seed },
  )
})

function settle(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    if (error instanceof ProblemError) return error
    throw error
  }
}
