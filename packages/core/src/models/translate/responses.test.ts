import { describe, expect, it } from 'vitest'
import { listModelProviders } from '../registry.ts'
import { translationFor } from './translation-for.ts'
import type { Asked } from './translation.ts'
import { eventText } from './translation.ts'

let stamped = 0
const stamps = { seconds: () => 1_800_000_000, id: () => String(++stamped) }
const at = (id: string) =>
  translationFor(
    listModelProviders().find((one) => one.id === id)!,
    { operation: 'responses', stamps },
  )
const anthropic = at('anthropic')
const asked = (more: object): Asked => ({ model: 'claude-sonnet-5', input: 'hello', ...more })

describe('a request for a response, of a provider that has chat completions alone', () => {
  it('keeps instructions, messages, pictures, files, calls and their results', () => {
    const input = [
      {
        role: 'user',
        content: [
          { type: 'input_text', text: 'look' },
          { type: 'input_image', image_url: 'https://pictures.example/a.png', detail: 'auto' },
        ],
      },
      {
        type: 'message',
        id: 'msg_1',
        status: 'completed',
        role: 'assistant',
        content: [{ type: 'output_text', text: 'wait', annotations: [] }],
      },
      { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'x' },
      { type: 'function_call', id: 'fc_1', call_id: 'c1', name: 'f', arguments: '{"a":1}', status: 'completed' },
      { type: 'function_call', call_id: 'c2', name: 'g', arguments: '{}' },
      { type: 'function_call_output', call_id: 'c1', output: 'one' },
      { type: 'function_call_output', call_id: 'c2', output: [{ type: 'input_text', text: 'two' }] },
    ]
    const tools = [{ type: 'function', name: 'f', description: null, parameters: { type: 'object', properties: {} }, strict: true }]
    expect(
      anthropic.request(
        asked({
          input,
          tools,
          instructions: 'be brief',
          max_output_tokens: 50,
          tool_choice: { type: 'function', name: 'f' },
          store: false,
        }),
      ).body,
    ).toEqual({
      model: 'claude-sonnet-5',
      max_tokens: 50,
      system: [{ type: 'text', text: 'be brief' }],
      tools: [{ name: 'f', input_schema: { type: 'object', properties: {} }, strict: true }],
      tool_choice: { type: 'tool', name: 'f' },
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'look' },
            { type: 'image', source: { type: 'url', url: 'https://pictures.example/a.png' } },
          ],
        },
        {
          role: 'assistant',
          content: [
            { type: 'text', text: 'wait' },
            { type: 'tool_use', id: 'c1', name: 'f', input: { a: 1 } },
            { type: 'tool_use', id: 'c2', name: 'g', input: {} },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'c1', content: [{ type: 'text', text: 'one' }] },
            { type: 'tool_result', tool_use_id: 'c2', content: [{ type: 'text', text: 'two' }] },
          ],
        },
      ],
    })
  })

  it('leaves out thoughts, also where a client refers to them', () => {
    const input = [
      { type: 'item_reference', id: 'rs_1' },
      { role: 'user', content: 'hello' },
    ]
    expect(anthropic.request(asked({ input })).body).toMatchObject({
      messages: [{ role: 'user', content: [{ type: 'text', text: 'hello' }] }],
    })
  })

  it('says the form of the answer and how hard to reason', () => {
    const schema = { type: 'object', properties: {} }
    expect(
      anthropic.request(
        asked({
          text: { format: { type: 'json_schema', name: 'x', schema, strict: true } },
          reasoning: { effort: 'low', summary: 'auto' },
        }),
      ).body,
    ).toMatchObject({
      output_config: { effort: 'low', format: { type: 'json_schema', schema } },
    })
  })

  it('goes to a provider that speaks like OpenAI as its chat completions, usage included', () => {
    expect(at('together').request({ model: 'm', input: 'hello', stream: true })).toEqual({
      path: '/v1/chat/completions',
      headers: {},
      body: {
        model: 'm',
        messages: [{ role: 'user', content: [{ type: 'text', text: 'hello' }] }],
        stream: true,
        stream_options: { include_usage: true },
      },
    })
    for (const vendor of ['cohere', 'mistral'])
      expect(at(vendor).request({ model: 'm', input: 'hello', stream: true }).body).not.toHaveProperty('stream_options')
    expect(at('mistral').request({ model: 'm', input: 'hello', max_output_tokens: 9 }).body).toMatchObject({ max_tokens: 9 })
  })

  it('goes to a provider that has responses as it is', () => {
    expect(at('openai')).toMatchObject({ native: true })
    expect(at('openai').request({ model: 'm', previous_response_id: 'r' })).toMatchObject({
      path: '/v1/responses',
      body: { previous_response_id: 'r' },
    })
  })

  it.each([
    ['what came before', { previous_response_id: 'resp_1' }, 'previous_response_id', 'unsupported_parameter'],
    ['a conversation', { conversation: 'conv_1' }, 'conversation', 'unsupported_parameter'],
    ['to be kept', { store: true }, 'store', 'unsupported_parameter'],
    ['to go on behind', { background: true }, 'background', 'unsupported_parameter'],
    ['a kept prompt', { prompt: { id: 'x' } }, 'prompt', 'unsupported_parameter'],
    ['sources', { include: ['web_search_call.action.sources'] }, 'include', 'unsupported_parameter'],
    ['a tool that OpenAI runs', { tools: [{ type: 'web_search' }] }, 'tools[0].type', 'invalid_value'],
    ['an item that OpenAI keeps', { input: [{ type: 'item_reference', id: 'msg_1' }] }, 'input[0]', 'unsupported_parameter'],
    ['more than the scale', { temperature: 2 }, 'temperature', 'unsupported_value'],
    ['a limit that is none', { max_output_tokens: 0 }, 'max_output_tokens', 'invalid_value'],
    [
      'a picture that is nowhere',
      { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'cat.png' }] }] },
      'input',
      'invalid_value',
    ],
  ])('is refused for %s, by its name', (_what, more, param, reason) => {
    expect(() => anthropic.request(asked(more))).toThrow(expect.objectContaining({ param, reason }))
  })
})

const message = {
  id: 'msg_1',
  model: 'model-1',
  content: [
    { type: 'thinking', thinking: 'hm' },
    { type: 'text', text: 'Hi' },
    { type: 'tool_use', id: 'c1', name: 'f', input: { a: 1 } },
  ],
  stop_reason: 'tool_use',
  usage: { input_tokens: 3, cache_read_input_tokens: 7, output_tokens: 9 },
}
const USAGE = {
  input_tokens: 10,
  input_tokens_details: { cached_tokens: 7 },
  output_tokens: 9,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: 19,
}
const OUTPUT = [
  {
    type: 'reasoning',
    id: expect.stringMatching(/^rs_/u),
    status: 'completed',
    summary: [],
    content: [{ type: 'reasoning_text', text: 'hm' }],
  },
  {
    type: 'message',
    id: expect.stringMatching(/^msg_/u),
    status: 'completed',
    role: 'assistant',
    content: [{ type: 'output_text', text: 'Hi', annotations: [], logprobs: [] }],
  },
  { type: 'function_call', id: expect.stringMatching(/^fc_/u), status: 'completed', call_id: 'c1', name: 'f', arguments: '{"a":1}' },
]

describe('an answer as a response', () => {
  it('holds what was thought, said and called, and is kept nowhere', () => {
    expect(anthropic.answer(200, message, asked({ instructions: 'be brief' }))).toMatchObject({
      status: 200,
      body: {
        object: 'response',
        status: 'completed',
        store: false,
        instructions: 'be brief',
        model: 'model-1',
        error: null,
        output: OUTPUT,
        usage: USAGE,
      },
    })
  })

  it('says why it is not whole', () => {
    expect(anthropic.answer(200, { ...message, stop_reason: 'max_tokens' }, asked({}))).toMatchObject({
      body: { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } },
    })
  })

  it('is the provider’s error where that is what came', () => {
    expect(anthropic.answer(529, { error: { type: 'overloaded_error', message: 'busy' } }, asked({}))).toMatchObject({
      status: 503,
      body: { error: { message: 'busy' } },
    })
    expect(at('mistral').answer(200, {}, asked({}))).toMatchObject({ status: 502 })
  })
})

const EVENTS = [
  { type: 'message_start', message: { id: 'msg_1', model: 'model-1', usage: { input_tokens: 3, cache_read_input_tokens: 7 } } },
  { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'hm' } },
  { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'H' } },
  { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'i' } },
  { type: 'content_block_start', index: 2, content_block: { type: 'tool_use', id: 'c1', name: 'f', input: {} } },
  { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: '{"a":1}' } },
  { type: 'content_block_stop', index: 2 },
  { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 9 } },
  { type: 'message_stop' },
]

function streamed(events: readonly object[]) {
  const stream = anthropic.stream(asked({ stream: true }))
  const given = [...stream.push(new TextEncoder().encode(events.map(eventText).join(''))), ...stream.end()]
  return { given: given as { type: string; sequence_number: number; response?: object }[], failure: stream.failure }
}

describe('a streamed answer as the events of a response', () => {
  it('opens, fills and closes each item, and ends with the whole', () => {
    const { given, failure } = streamed(EVENTS)
    expect(failure).toBeUndefined()
    expect(given.map(({ sequence_number: at_ }) => at_)).toEqual(given.map((_one, index) => index))
    expect(given.map(({ type }) => type.replace('response.', ''))).toEqual([
      'created',
      'in_progress',
      'output_item.added',
      'content_part.added',
      'reasoning_text.delta',
      'reasoning_text.done',
      'content_part.done',
      'output_item.done',
      'output_item.added',
      'content_part.added',
      'output_text.delta',
      'output_text.delta',
      'output_text.done',
      'content_part.done',
      'output_item.done',
      'output_item.added',
      'function_call_arguments.delta',
      'function_call_arguments.done',
      'output_item.done',
      'completed',
    ])
    expect(given.at(-1)?.response).toMatchObject({ status: 'completed', model: 'model-1', output: OUTPUT, usage: USAGE })
    expect(eventText(given[0]!)).toMatch(/^event: response.created\ndata: \{/u)
  })

  it('says an error in the middle, and nothing after it', () => {
    const { given, failure } = streamed([
      ...EVENTS.slice(0, 3),
      { type: 'error', error: { type: 'overloaded_error', message: 'busy' } },
      ...EVENTS.slice(3),
    ])
    expect(given.at(-1)).toEqual({ type: 'error', sequence_number: given.length - 1, code: 'overloaded', message: 'busy', param: null })
    expect(failure).toMatchObject({ status: 503 })
  })

  it('that ends in the middle says so', () => {
    expect(streamed(EVENTS.slice(0, 3)).given.at(-1)).toMatchObject({ type: 'error', code: 'upstream_reset' })
    expect(streamed([]).given.map(({ type }) => type)).toEqual(['response.created', 'response.in_progress', 'error'])
  })

  it('that would fill memory is ended', () => {
    const piece = { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'x'.repeat(1024 * 1024) } }
    const { given, failure } = streamed([EVENTS[0]!, ...Array.from({ length: 20 }, () => piece)])
    expect(failure).toMatchObject({ status: 502 })
    expect(given.at(-1)).toMatchObject({ type: 'error' })
  })
})
