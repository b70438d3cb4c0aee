import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { listModelProviders } from '../registry.ts'
import { TranslationError } from './translation-error.ts'
import { translationFor } from './translation-for.ts'
import { eventText } from './translation.ts'
import type { ModelOperation } from './translation.ts'

const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`translate.prop seed ${seed}`)

const stamps = { seconds: () => 0, id: () => 'stamp' }
const of = (id: string, operation: ModelOperation) =>
  translationFor(
    listModelProviders().find((one) => one.id === id)!,
    { operation, stamps },
  )
const at = (id: string) => of(id, 'chat')
const VENDORS = ['anthropic', 'gemini', 'openai'] as const

const words = fc.string({ unit: fc.constantFrom('a', ' ', '"', '\\', '\n', 'é', '🙂', '}', ':'), maxLength: 10 })
const json = fc.jsonValue({ maxDepth: 3 })

/** One answer: what it says and what it calls, in the order in which it does. */
interface Said {
  readonly text: string
}
interface Called {
  readonly name: string
  readonly args: unknown
}
const answers: fc.Arbitrary<(Said | Called)[]> = fc.array(
  fc.oneof<fc.Arbitrary<Said | Called>[]>(
    fc.record({ text: words }),
    fc.record({ name: fc.constantFrom('f', 'g'), args: fc.dictionary(fc.constantFrom('a', 'b', 'é'), json, { maxKeys: 3 }) }),
  ),
  { maxLength: 6 },
)
const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 })

function pieces(text: string, sizes: readonly number[]): string[] {
  const all = []
  for (let from = 0, turn = 0; from < text.length; turn++) {
    const size = sizes[turn % sizes.length]!
    all.push(text.slice(from, from + size))
    from += size
  }
  return all
}

/** The same answer as each vendor would stream it. */
const STREAMED: Readonly<
  Record<'anthropic' | 'gemini', (answer: readonly (Said | Called)[], sizes: readonly number[]) => readonly object[]>
> = {
  anthropic: (answer, sizes) => [
    { type: 'message_start', message: { id: 'm', model: 'm', usage: {} } },
    ...answer.flatMap((part, index): object[] => {
      const block = 'text' in part ? { type: 'text', text: '' } : { type: 'tool_use', id: `t${index}`, name: part.name, input: {} }
      const whole = 'text' in part ? part.text : JSON.stringify(part.args)
      return [
        { type: 'content_block_start', index, content_block: block },
        ...pieces(whole, sizes).map((piece) => ({
          type: 'content_block_delta',
          index,
          delta: 'text' in part ? { type: 'text_delta', text: piece } : { type: 'input_json_delta', partial_json: piece },
        })),
        { type: 'content_block_stop', index },
      ]
    }),
    { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: {} },
    { type: 'message_stop' },
  ],
  gemini: (answer, sizes) => [
    ...answer.flatMap((part): object[] =>
      'text' in part
        ? pieces(part.text, sizes).map((text) => ({ candidates: [{ content: { parts: [{ text }] } }] }))
        : [{ candidates: [{ content: { parts: [{ functionCall: { name: part.name, args: part.args } }] } }] }],
    ),
    { candidates: [{ finishReason: 'STOP' }] },
  ],
}

function read(vendor: (typeof VENDORS)[number], bytes: Uint8Array, sizes: readonly number[]): object[] {
  const stream = at(vendor).stream({ model: 'm', stream: true })
  const given: object[] = []
  for (let from = 0, turn = 0; from < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!
    given.push(...stream.push(bytes.subarray(from, from + size)))
    from += size
  }
  return [...given, ...stream.end()]
}

interface Delta {
  readonly content?: string
  readonly tool_calls?: readonly { readonly index: number; readonly function: { readonly name?: string; readonly arguments: string } }[]
}
const deltasOf = (chunks: readonly object[]): Delta[] =>
  (chunks as { choices: { delta: Delta }[] }[]).map(({ choices }) => choices[0]!.delta)

const encoded = (events: readonly object[]): Uint8Array => new TextEncoder().encode(events.map(eventText).join(''))

describe.each(['anthropic', 'gemini'] as const)('an answer that %s streams', (vendor) => {
  it('is the same however it is cut, and says and calls what the vendor did', () => {
    fc.assert(
      fc.property(answers, cuts, cuts, (answer, fragments, sizes) => {
        const bytes = encoded(STREAMED[vendor](answer, fragments))
        const chunks = read(vendor, bytes, sizes)
        expect(chunks).toEqual(read(vendor, bytes, [bytes.length]))
        const deltas = deltasOf(chunks)
        expect(deltas.map(({ content = '' }) => content).join('')).toBe(answer.map((part) => ('text' in part ? part.text : '')).join(''))
        const calls: { name: string; json: string }[] = []
        for (const { index, function: part } of deltas.flatMap(({ tool_calls: all = [] }) => all)) {
          calls[index] ??= { name: part.name!, json: '' }
          calls[index].json += part.arguments
        }
        const called = answer.filter((part): part is Called => 'name' in part)
        expect(calls.map(({ name, json: args }) => ({ name, args: JSON.parse(args) as unknown }))).toEqual(
          // What JSON can't tell apart, as -0 and 0.
          called.map(({ name, args }) => ({ name, args: JSON.parse(JSON.stringify(args)) as unknown })),
        )
      }),
      { seed, numRuns: 100 },
    )
  })
})

/** Fields that the vendors have, with anything in them. */
const FIELDS = [
  'type',
  'message',
  'content',
  'content_block',
  'delta',
  'usage',
  'index',
  'error',
  'candidates',
  'parts',
  'text',
  'functionCall',
  'choices',
  'finishReason',
  'promptFeedback',
  'details',
]
const TYPES = [
  'message_start',
  'content_block_start',
  'content_block_delta',
  'content_block_stop',
  'message_delta',
  'message_stop',
  'tool_use',
  'error',
  'ping',
]
const { anything } = fc.letrec<{ anything: unknown }>((tie) => ({
  anything: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<unknown>(null, true, -1, 1.5, 1e300, '', 'x', ...TYPES),
    fc.array(tie('anything'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...FIELDS), tie('anything'), { maxKeys: 4 }),
  ),
}))

describe('whatever a vendor answers', () => {
  it.each(VENDORS)('from %s is read without a throw', (vendor) => {
    fc.assert(
      fc.property(anything, fc.constantFrom(200, 204, 400, 429, 500, 529, 999), (body, status) => {
        const { status: said, body: given } = at(vendor).answer(status, body, { model: 'm' })
        expect(said === 200 || (said >= 400 && said <= 599)).toBe(true)
        expect(typeof given).toBe('object')
      }),
      { seed, numRuns: 300 },
    )
  })

  it.each(VENDORS)('from %s is streamed without a throw, with at most one failure, the last', (vendor) => {
    fc.assert(
      fc.property(fc.array(anything, { maxLength: 6 }), (events) => {
        const bytes = new TextEncoder().encode(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''))
        const stream = at(vendor).stream({ model: 'm', stream_options: { include_usage: true } })
        const given = [...stream.push(bytes), ...stream.end()]
        const failed = stream.failure !== undefined
        expect(given.slice(0, -1).every((one) => vendor === 'openai' || !('error' in one))).toBe(true)
        if (failed) expect(given.at(-1)).toHaveProperty('error')
        given.forEach((one) => expect(eventText(one)).toMatch(/\n\n$/u))
      }),
      { seed, numRuns: 300 },
    )
  })
})

describe('whatever a vendor answers to a request for a response', () => {
  it.each(['anthropic', 'gemini', 'mistral'])('from %s is read and streamed without a throw, its events numbered in order', (vendor) => {
    fc.assert(
      fc.property(fc.array(anything, { maxLength: 6 }), (events) => {
        expect(of(vendor, 'responses').answer(200, events[0], { model: 'm' }).status).toBeOneOf([200, 502])
        const stream = of(vendor, 'responses').stream({ model: 'm' })
        const bytes = new TextEncoder().encode(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''))
        const given = [...stream.push(bytes), ...stream.end()] as { type: string; sequence_number: number }[]
        expect(given.map(({ sequence_number: number }) => number)).toEqual(given.map((_one, index) => index))
        expect(given.filter(({ type }) => ['error', 'response.completed', 'response.incomplete'].includes(type))).toEqual(given.slice(-1))
      }),
      { seed, numRuns: 200 },
    )
  })
})

describe('whatever a caller asks', () => {
  it.each(VENDORS)('of %s is said or refused by name', (vendor) => {
    fc.assert(
      fc.property(
        anything,
        anything,
        fc.constantFrom('tools', 'stop', 'response_format', 'stream_options', 'n'),
        (messages, more, param) => {
          try {
            expect(at(vendor).request({ model: 'm', messages, [param]: more }).path).toMatch(/^\//u)
          } catch (error) {
            expect(error).toBeInstanceOf(TranslationError)
          }
        },
      ),
      { seed, numRuns: 300 },
    )
  })

  it('of Anthropic keeps every text, call and result, in order', () => {
    const text = words.filter((one) => one !== '')
    const messages = fc.array(
      fc.oneof(
        fc.record({ role: fc.constant('user'), content: text }),
        fc.record({ role: fc.constant('assistant'), content: text }),
        fc.record({
          role: fc.constant('assistant'),
          tool_calls: fc.array(
            text.map((a) => called(a)),
            { minLength: 1, maxLength: 3 },
          ),
        }),
        fc.record({ role: fc.constant('tool'), tool_call_id: fc.constant('id'), content: text }),
      ),
      { minLength: 1, maxLength: 8 },
    )
    fc.assert(
      fc.property(messages, (asked) => {
        const body = at('anthropic').request({ model: 'm', messages: asked }).body as { messages: { role: string; content: Block[] }[] }
        const told = body.messages.flatMap(({ content }) => content.map(toldBy))
        expect(told).toEqual(
          asked.flatMap((one) => ('tool_calls' in one ? one.tool_calls.map((call) => call.function.arguments) : [one.content])),
        )
        // Turns by turns.
        expect(body.messages.every(({ role }, at_) => role !== body.messages[at_ + 1]?.role)).toBe(true)
      }),
      { seed, numRuns: 200 },
    )
  })
})

interface Block {
  readonly type: string
  readonly text?: string
  readonly input?: unknown
  readonly content?: readonly { readonly text: string }[]
}
const toldBy = ({ text, input, content }: Block): string => text ?? (input === undefined ? content![0]!.text : JSON.stringify(input))
const called = (a: string) => ({ id: 'id', type: 'function', function: { name: 'f', arguments: JSON.stringify({ a }) } })
