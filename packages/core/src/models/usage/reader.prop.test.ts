import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { usageReader } from './reader.ts'

const SEED = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)

describe('reading of any answer', () => {
  it(`finds the figures wherever they stand among other members, however it is cut (seed ${SEED})`, () => {
    const other = fc.json({ depthSize: 'medium', maxDepth: 5 })
    const tokens = fc.integer({ min: 0, max: 10_000_000 })
    fc.assert(
      fc.property(
        other,
        other,
        tokens,
        tokens,
        fc.integer({ min: 1, max: 50 }),
        fc.boolean(),
        (before, after, input, output, size, streamed) => {
          const usage = JSON.stringify({ prompt_tokens: input, completion_tokens: output, total_tokens: input + output })
          const document = `{"before":${before},"usage":${usage},"after":[${after}]}`
          const text = streamed ? `: keep alive\n\ndata: ${document}\n\ndata: [DONE]\n\n` : document
          const type = streamed ? 'text/event-stream' : 'application/json'
          const reader = usageReader('openai', { method: 'POST', path: '/v1/chat/completions', status: 200, header: () => type })!
          const bytes = Buffer.from(text)
          for (let at = 0; at < bytes.length; at += size) reader.write(bytes.subarray(at, at + size))
          const read = reader.end({ whole: true, requestBytes: 1, maxOutput: 1 })
          expect(read.usage).toMatchObject({ source: 'measured', input, output })
        },
      ),
      { seed: SEED, numRuns: 500 },
    )
  })

  it(`says the same of an answer however it is cut, of names and texts of any length and letters (seed ${SEED})`, () => {
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 90 }), fc.string({ maxLength: 90 }), fc.constant('"\\'.repeat(40)))
    const other = fc.dictionary(text, fc.oneof(text, fc.integer(), fc.array(text, { maxLength: 3 })), { maxKeys: 4 })
    fc.assert(
      fc.property(
        fc.array(fc.tuple(other, text, text), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 40 }),
        (documents, size) => {
          const events = documents.map(([beside, model, content]) => ({ ...beside, model, choices: [{ delta: { content } }] }))
          const bytes = Buffer.from(events.map((event) => `data: ${JSON.stringify(event)}\r\n\r\n`).join(''))
          const [whole, cut] = [bytes.length, size].map((length) => {
            const call = { method: 'POST', path: '/v1/chat/completions', status: 200, header: () => 'text/event-stream' }
            const reader = usageReader('openai', call)!
            for (let at = 0; at < bytes.length; at += length) reader.write(bytes.subarray(at, at + length))
            return reader.end({ whole: true, requestBytes: 1, maxOutput: undefined })
          })
          expect(whole).toEqual(cut)
          // As it is written: four bytes are taken for a token.
          const written = documents.reduce((sum, [, , content]) => sum + Buffer.byteLength(JSON.stringify(content)) - 2, 0)
          expect(whole!.usage).toMatchObject({ source: 'estimated', output: Math.ceil(written / 4) })
        },
      ),
      { seed: SEED, numRuns: 100 },
    )
  })

  it(`survives bytes that are nothing at all (seed ${SEED})`, () => {
    const types = fc.constantFrom('application/json', 'text/event-stream', 'application/vnd.amazon.eventstream')
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), types, (chunks, type) => {
        const reader = usageReader('bedrock', { method: 'POST', path: '/model/m/converse', status: 200, header: () => type })!
        for (const chunk of chunks) reader.write(chunk)
        expect(() => reader.end({ whole: false, requestBytes: undefined, maxOutput: undefined })).not.toThrow()
      }),
      { seed: SEED, numRuns: 500 },
    )
  })
})
