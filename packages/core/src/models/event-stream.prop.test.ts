import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { eventStream } from './event-stream.ts'
import type { ServerSentEvent } from './event-stream.ts'

const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`event-stream.prop seed ${seed}`)

/** One event's text, with one kind of line ending throughout. */
const written = ({ event, data }: ServerSentEvent, ending: string): string =>
  [...(event === undefined ? [] : [`event: ${event}`]), ...data.split('\n').map((line) => `data: ${line}`), '', ''].join(ending)

const text = fc.string({ unit: fc.constantFrom('a', ' ', ':', '"', '{', 'é', '→', '🙂', '\n'), maxLength: 12 })
const events = fc.array(fc.record({ event: fc.option(fc.constantFrom('message_start', 'ping'), { nil: undefined }), data: text }), {
  maxLength: 8,
})

function read(bytes: Uint8Array, cuts: readonly number[]): ServerSentEvent[] {
  const stream = eventStream()
  const found: ServerSentEvent[] = []
  let at = 0
  for (let turn = 0; at < bytes.length; turn++) {
    const size = cuts[turn % cuts.length]!
    found.push(...stream.push(bytes.subarray(at, at + size)))
    at += size
  }
  return found
}

describe('eventStream', () => {
  it('gives the events that were written, however the body is cut, with every line ending', () => {
    fc.assert(
      fc.property(
        events,
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.boolean(),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 12 }),
        (wanted, ending, mark, cuts) => {
          const body = (mark ? '\uFEFF' : '') + wanted.map((event) => `: a comment${ending}${written(event, ending)}`).join('')
          // A body that ends in a lone CR may go on with its LF: what ends is only known with the next byte.
          const bytes = new TextEncoder().encode(ending === '\r' ? `${body}:${ending}` : body)
          expect(read(bytes, cuts)).toEqual(wanted)
        },
      ),
      { seed, numRuns: 300 },
    )
  })
})
