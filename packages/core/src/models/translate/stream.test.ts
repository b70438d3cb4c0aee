import { describe, expect, it } from 'vitest'
import { listModelProviders } from '../registry.ts'
import { translationFor } from './translation-for.ts'
import { eventText } from './translation.ts'

const stamps = { seconds: () => 1_800_000_000, id: () => 'stamp' }
const at = (id: string) =>
  translationFor(
    listModelProviders().find((one) => one.id === id)!,
    { operation: 'chat', stamps },
  )
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const written = (events: readonly object[]): Uint8Array => bytes(events.map(eventText).join(''))

/** The whole of a stream, and what stands of it. */
function streamed(vendor: string, events: readonly object[], more: object = {}) {
  const stream = at(vendor).stream({ model: 'm', stream: true, ...more })
  const given = [...stream.push(written(events)), ...stream.end()]
  return { given, failure: stream.failure }
}

const chunk = (delta: object, finish: string | null = null, more: object = {}) => ({
  id: 'id-1',
  object: 'chat.completion.chunk',
  created: 1_800_000_000,
  model: 'model-1',
  choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
  ...more,
})

describe('Anthropic’s stream in OpenAI’s words', () => {
  const start = {
    type: 'message_start',
    message: { id: 'id-1', model: 'model-1', usage: { input_tokens: 3, cache_read_input_tokens: 7, output_tokens: 1 } },
  }
  const stop = (reason: string) => ({ type: 'message_delta', delta: { stop_reason: reason }, usage: { output_tokens: 9 } })
  const end = { type: 'message_stop' }
  const tool = (index: number, id: string, name: string) => ({
    type: 'content_block_start',
    index,
    content_block: { type: 'tool_use', id, name, input: {} },
  })
  const json = (index: number, fragment: string) => ({
    type: 'content_block_delta',
    index,
    delta: { type: 'input_json_delta', partial_json: fragment },
  })

  it('gives text, thoughts, the reason it ended, and the usage where it was asked for', () => {
    const events = [
      start,
      { type: 'ping' },
      { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'hm' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: 's' } },
      { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'Hi' } },
      { type: 'content_block_stop', index: 1 },
      { type: 'something_new' },
      stop('end_turn'),
      end,
    ]
    const plain = [
      chunk({ role: 'assistant', content: '' }),
      chunk({ reasoning_content: 'hm' }),
      chunk({ content: 'Hi' }),
      chunk({}, 'stop'),
    ]
    expect(streamed('anthropic', events).given).toEqual(plain)
    expect(streamed('anthropic', events, { stream_options: { include_usage: true } }).given).toEqual([
      ...plain.map((one) => ({ ...one, usage: null })),
      {
        ...chunk({}),
        choices: [],
        usage: {
          prompt_tokens: 10,
          completion_tokens: 9,
          total_tokens: 19,
          prompt_tokens_details: { cached_tokens: 7, cache_write_tokens: 0 },
        },
      },
    ])
  })

  it('keeps apart the fragments of calls that are made side by side', () => {
    const events = [
      start,
      tool(0, 'a', 'f'),
      json(0, '{"x"'),
      tool(1, 'b', 'g'),
      json(0, ':1}'),
      { type: 'content_block_stop', index: 1 },
      stop('tool_use'),
      end,
    ]
    const begins = (index: number, id: string, name: string) =>
      chunk({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] })
    const goesOn = (index: number, fragment: string) => chunk({ tool_calls: [{ index, function: { arguments: fragment } }] })
    expect(streamed('anthropic', events).given.slice(1)).toEqual([
      begins(0, 'a', 'f'),
      goesOn(0, '{"x"'),
      begins(1, 'b', 'g'),
      goesOn(0, ':1}'),
      // A call without arguments has those of an empty object.
      goesOn(1, '{}'),
      chunk({}, 'tool_calls'),
    ])
  })

  it('says an error in the middle as OpenAI does, and nothing after it', () => {
    const events = [start, { type: 'error', error: { type: 'overloaded_error', message: 'busy' } }, stop('end_turn'), end]
    const { given, failure } = streamed('anthropic', events)
    expect(given.slice(1)).toEqual([{ error: { message: 'busy', type: 'server_error', param: null, code: 'overloaded' } }])
    expect(failure).toMatchObject({ status: 503, code: 'overloaded' })
  })

  it('says a refusal, and that the answer was filtered', () => {
    const refused = { type: 'message_delta', delta: { stop_reason: 'refusal', stop_details: { explanation: 'no' } }, usage: {} }
    expect(streamed('anthropic', [start, refused, end]).given.slice(1)).toEqual([chunk({ refusal: 'no' }), chunk({}, 'content_filter')])
  })

  it('opens no more calls side by side than memory is for', () => {
    const many = Array.from({ length: 1025 }, (_, index) => tool(index, 'a', 'f'))
    expect(streamed('anthropic', [start, ...many]).failure).toMatchObject({ code: 'upstream_invalid' })
  })
})

describe('Gemini’s stream in OpenAI’s words', () => {
  const event = (candidates: readonly object[], more: object = {}) => ({ responseId: 'id-1', modelVersion: 'model-1', candidates, ...more })
  const parts = (...all: readonly object[]) => ({ content: { parts: all } })

  it('gives text, thoughts, whole calls, the reason it ended, and the last usage', () => {
    const events = [
      event([parts({ text: 'hm', thought: true })], { usageMetadata: { promptTokenCount: 5 } }),
      event([parts({ text: 'Hi' })]),
      event([parts({ functionCall: { id: 'a', name: 'f', args: { x: 1 } } }, { functionCall: { name: 'g' } })]),
      event([{ ...parts({ text: '' }), finishReason: 'STOP' }], { usageMetadata: { promptTokenCount: 5, candidatesTokenCount: 2 } }),
    ]
    const called = (index: number, id: string, name: string, json: string) =>
      chunk({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: json } }] }, null, { usage: null })
    expect(streamed('gemini', events, { stream_options: { include_usage: true } }).given).toEqual([
      chunk({ role: 'assistant', content: '' }, null, { usage: null }),
      chunk({ reasoning_content: 'hm' }, null, { usage: null }),
      chunk({ content: 'Hi' }, null, { usage: null }),
      called(0, 'a', 'f', '{"x":1}'),
      called(1, 'call_stamp', 'g', '{}'),
      chunk({}, 'tool_calls', { usage: null }),
      {
        ...chunk({}),
        choices: [],
        usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7, prompt_tokens_details: { cached_tokens: 0 } },
      },
    ])
  })

  it('keeps several answers apart, and is whole when each is', () => {
    const events = [
      event([
        { index: 1, ...parts({ text: 'b' }), finishReason: 'STOP' },
        { index: 0, ...parts({ text: 'a' }) },
      ]),
    ]
    expect(streamed('gemini', events).failure).toMatchObject({ code: 'upstream_reset' })
    const { given, failure } = streamed('gemini', [...events, event([{ index: 0, finishReason: 'MAX_TOKENS' }])])
    expect(failure).toBeUndefined()
    expect(given).toEqual(
      [
        [1, { role: 'assistant', content: '' }, null],
        [1, { content: 'b' }, null],
        [1, {}, 'stop'],
        [0, { role: 'assistant', content: '' }, null],
        [0, { content: 'a' }, null],
        [0, {}, 'length'],
      ].map(([index, delta, finish]) => ({ ...chunk({}), choices: [{ index, delta, logprobs: null, finish_reason: finish }] })),
    )
  })

  it('says of a prompt that was blocked that it was filtered', () => {
    expect(streamed('gemini', [{ responseId: 'id-1', modelVersion: 'model-1', promptFeedback: { blockReason: 'OTHER' } }]).given).toEqual([
      chunk({ role: 'assistant', content: '' }),
      chunk({}, 'content_filter'),
    ])
  })

  it('says an error in the middle as OpenAI does', () => {
    const { given } = streamed('gemini', [
      event([parts({ text: 'Hi' })]),
      { error: { code: 429, message: 'slow', status: 'RESOURCE_EXHAUSTED' } },
    ])
    expect(given.at(-1)).toEqual({ error: { message: 'slow', type: 'rate_limit_error', param: null, code: 'rate_limit_exceeded' } })
  })
})

describe.each(['anthropic', 'gemini', 'openai'])('a stream of %s', (vendor) => {
  it('that ends in the middle says so', () => {
    const { given, failure } = streamed(vendor, [])
    expect(given).toEqual([{ error: { message: expect.any(String), type: 'server_error', param: null, code: 'upstream_reset' } }])
    expect(failure).toMatchObject({ status: 502 })
  })

  it('that is no JSON says so, once', () => {
    const stream = at(vendor).stream({ model: 'm' })
    expect([...stream.push(bytes('data: <html>\n\ndata: {}\n\n')), ...stream.push(bytes('data: {}\n\n')), ...stream.end()]).toEqual([
      { error: { message: expect.any(String), type: 'server_error', param: null, code: 'upstream_invalid' } },
    ])
  })

  it('whose event never ends says so', () => {
    const stream = at(vendor).stream({ model: 'm' })
    const piece = bytes(`data: ${'x'.repeat(1024 * 1024)}`)
    const given = Array.from({ length: 20 }, () => stream.push(piece)).flat()
    expect(given).toHaveLength(1)
    expect(stream.failure).toMatchObject({ code: 'upstream_invalid' })
  })
})

describe('a stream in OpenAI’s own words', () => {
  it('passes as it is', () => {
    const stream = at('openai').stream({ model: 'm' })
    expect(stream.push(bytes(`${eventText(chunk({ content: 'a' }))}data: [DONE]\n\n`))).toEqual([chunk({ content: 'a' })])
    expect(stream.end()).toEqual([])
    expect(stream.failure).toBeUndefined()
  })

  it('passes an error on, and ends', () => {
    const error = { error: { message: 'busy', type: 'server_error', code: null } }
    const { given, failure } = streamed('openai', [error, chunk({})])
    expect(given).toEqual([{ error: { message: 'busy', type: 'server_error', param: null, code: 'server_error' } }])
    expect(failure).toMatchObject({ status: 500 })
  })
})
