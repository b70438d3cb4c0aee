import { describe, expect, it } from 'vitest'
import { listModelProviders } from '../registry.ts'
import { TranslationError } from './translation-error.ts'
import { translationFor } from './translation-for.ts'
import type { Asked } from './translation.ts'

const stamps = { seconds: () => 1_800_000_000, id: () => 'stamp' }
const provider = listModelProviders().find(({ id }) => id === 'anthropic')!
const chat = translationFor(provider, { operation: 'chat', stamps })
const asked = (more: object): Asked => ({ model: 'claude-sonnet-5', messages: [{ role: 'user', content: 'hello' }], ...more })
const request = (more: object) => chat.request(asked(more)).body as Record<string, unknown>
const refusal = (more: object): unknown => {
  try {
    chat.request(asked(more))
    return undefined
  } catch (error) {
    return error instanceof TranslationError ? { param: error.param, reason: error.reason } : error
  }
}

const PIXEL = 'iVBORw0KGgo='
const call = (id: string, name: string, json: string) => ({ id, type: 'function', function: { name, arguments: json } })

describe('a chat completion request in Anthropic’s words', () => {
  it('keeps every turn, its pictures and documents, its calls and their results', () => {
    const body = request({
      max_completion_tokens: 100,
      user: 'u-1',
      stop: 'END',
      temperature: 0.5,
      messages: [
        { role: 'system', content: 'be brief' },
        {
          role: 'user',
          content: [{ type: 'text', text: 'what is this', cache_control: { type: 'ephemeral' } }, image(`data:image/png;base64,${PIXEL}`)],
        },
        { role: 'user', content: [image('https://pictures.example/a.png'), pdf()] },
        { role: 'assistant', content: null, refusal: null, tool_calls: [call('call.1', 'look', '{"x":1}'), call('call_2', 'wait', '')] },
        { role: 'tool', tool_call_id: 'call.1', content: 'a cat' },
        { role: 'tool', tool_call_id: 'call_2', content: [{ type: 'text', text: 'waited' }] },
        { role: 'developer', content: 'in English' },
        { role: 'user', content: 'so?' },
      ],
    })
    expect(body).toEqual({
      model: 'claude-sonnet-5',
      max_tokens: 100,
      metadata: { user_id: 'u-1' },
      stop_sequences: ['END'],
      temperature: 0.5,
      system: [
        { type: 'text', text: 'be brief' },
        { type: 'text', text: 'in English' },
      ],
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'what is this', cache_control: { type: 'ephemeral' } },
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PIXEL } },
            { type: 'image', source: { type: 'url', url: 'https://pictures.example/a.png' } },
            { type: 'document', title: 'a.pdf', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERg==' } },
          ],
        },
        {
          role: 'assistant',
          content: [
            { type: 'tool_use', id: 'call_1', name: 'look', input: { x: 1 } },
            { type: 'tool_use', id: 'call_2', name: 'wait', input: {} },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'call_1', content: [{ type: 'text', text: 'a cat' }] },
            { type: 'tool_result', tool_use_id: 'call_2', content: [{ type: 'text', text: 'waited' }] },
            { type: 'text', text: 'so?' },
          ],
        },
      ],
    })
  })

  it('has the limit that the API wants, where the caller gave none', () => {
    expect(chat.request(asked({}))).toMatchObject({ path: '/v1/messages', body: { max_tokens: 16_384 } })
    expect(request({ max_tokens: 7 })).toMatchObject({ max_tokens: 7 })
    expect(request({ stream: true })).toMatchObject({ stream: true })
  })

  const TOOLS = [
    {
      type: 'function',
      function: { name: 'f', description: 'does', parameters: { type: 'object', properties: { a: { type: 'string' } } }, strict: true },
    },
    { type: 'function', function: { name: 'g' } },
  ]

  it('says tools, and which of them to use', () => {
    expect(request({ tools: TOOLS })).toMatchObject({
      tools: [
        { name: 'f', description: 'does', strict: true, input_schema: { type: 'object', properties: { a: { type: 'string' } } } },
        { name: 'g', input_schema: { type: 'object', properties: {} } },
      ],
    })
    expect(request({ tools: TOOLS })['tool_choice']).toBeUndefined()
  })

  it.each([
    [{ tool_choice: 'auto' }, { type: 'auto' }],
    [{ tool_choice: 'none' }, { type: 'none' }],
    [{ tool_choice: 'required' }, { type: 'any' }],
    [{ tool_choice: { type: 'function', function: { name: 'f' } } }, { type: 'tool', name: 'f' }],
    [{ parallel_tool_calls: false }, { type: 'auto', disable_parallel_tool_use: true }],
    [
      { tool_choice: 'required', parallel_tool_calls: false },
      { type: 'any', disable_parallel_tool_use: true },
    ],
  ])('says %j as %j', (choice, said) => {
    expect(request({ tools: TOOLS, ...choice })['tool_choice']).toEqual(said)
  })

  it.each([
    ['claude-sonnet-5', 'high', { thinking: { type: 'adaptive' }, output_config: { effort: 'high' } }],
    ['claude-opus-4-6', 'minimal', { thinking: { type: 'adaptive' }, output_config: { effort: 'low' } }],
    ['claude-haiku-4-5-20251001', 'low', { thinking: { type: 'enabled', budget_tokens: 2048 } }],
    ['claude-3-7-sonnet-20250219', 'high', { thinking: { type: 'enabled', budget_tokens: 8192 } }],
    ['claude-sonnet-5', 'none', { thinking: { type: 'disabled' } }],
  ])('says to %s how hard to reason: %s', (model, effort, said) => {
    expect(request({ model, reasoning_effort: effort })).toMatchObject(said)
  })

  it('goes on without thoughts where a model that counts them stands before results', () => {
    const messages = [
      { role: 'user', content: 'x' },
      { role: 'assistant', tool_calls: [call('a', 'f', '{}')] },
      { role: 'tool', tool_call_id: 'a', content: '1' },
    ]
    expect(request({ model: 'claude-sonnet-4-5', reasoning_effort: 'low', messages })['thinking']).toBeUndefined()
  })

  it('says the schema of an answer', () => {
    const schema = { type: 'object', properties: {}, additionalProperties: false }
    const format = { type: 'json_schema', json_schema: { name: 'x', schema, strict: true } }
    expect(request({ response_format: format, reasoning_effort: 'low' })).toMatchObject({
      output_config: { effort: 'low', format: { type: 'json_schema', schema } },
    })
  })

  it.each([
    ['more than one answer', { n: 2 }, 'n', 'unsupported_parameter'],
    ['a seed', { seed: 1 }, 'seed', 'unsupported_parameter'],
    ['log probabilities', { logprobs: true }, 'logprobs', 'unsupported_parameter'],
    ['a penalty', { frequency_penalty: 0.5 }, 'frequency_penalty', 'unsupported_parameter'],
    ['a parameter that nobody knows', { sharpness: 1 }, 'sharpness', 'unsupported_parameter'],
    ['to be kept', { store: true }, 'store', 'unsupported_parameter'],
    ['the scale beyond its end', { temperature: 1.5 }, 'temperature', 'unsupported_value'],
    ['JSON without a schema', { response_format: { type: 'json_object' } }, 'response_format.type', 'unsupported_value'],
    [
      'sound',
      { messages: user({ type: 'input_audio', input_audio: { data: 'x', format: 'wav' } }) },
      'messages[0].content[0]',
      'unsupported_parameter',
    ],
    [
      'a file of OpenAI’s',
      { messages: user({ type: 'file', file: { file_id: 'x' } }) },
      'messages[0].content[0].file.file_id',
      'unsupported_parameter',
    ],
    ['a picture that is nowhere', { messages: user(image('cat.png')) }, 'messages[0].content[0].image_url.url', 'invalid_value'],
    [
      'an unknown field of a part',
      { messages: user({ type: 'text', text: 'x', colour: 1 }) },
      'messages[0].content[0].colour',
      'unsupported_parameter',
    ],
    ['an unknown role', { messages: [{ role: 'oracle', content: 'x' }] }, 'messages[0].role', 'invalid_value'],
    [
      'arguments that are no object',
      { messages: [{ role: 'assistant', tool_calls: [call('a', 'f', '[1]')] }] },
      'messages[0].tool_calls[0].function.arguments',
      'invalid_value',
    ],
    [
      'pictures that a model drew',
      { messages: [{ role: 'assistant', content: 'x', images: [image('https://a.example/a.png')] }] },
      'messages[0].images',
      'unsupported_parameter',
    ],
    [
      'a call of the old kind',
      { messages: [{ role: 'assistant', function_call: { name: 'f', arguments: '{}' } }] },
      'messages[0].function_call',
      'unsupported_parameter',
    ],
    ['instructions alone', { messages: [{ role: 'system', content: 'x' }] }, 'messages', 'invalid_value'],
    ['no messages', { messages: undefined }, 'messages', 'missing_required_parameter'],
    ['no model', { model: undefined }, 'model', 'missing_required_parameter'],
    [
      'a limit below the least thinking',
      { model: 'claude-haiku-4-5', max_tokens: 2000, reasoning_effort: 'low' },
      'reasoning_effort',
      'unsupported_value',
    ],
  ])('refuses %s by its name', (_what, more, param, reason) => {
    expect(refusal(more)).toEqual({ param, reason })
  })

  it('takes what asks for nothing, and notes that change no answer', () => {
    const notes = { metadata: { a: 'b' }, prompt_cache_key: 'k', safety_identifier: 's' }
    expect(refusal({ n: 1, logprobs: false, store: false, frequency_penalty: 0, logit_bias: {}, seed: null, ...notes })).toBeUndefined()
  })

  it('takes a message as OpenAI’s client hands it back', () => {
    const parsed = { ...call('a', 'f', '{}'), index: 0, function: { name: 'f', arguments: '{}', parsed_arguments: null } }
    const message = {
      role: 'assistant',
      content: 'x',
      refusal: null,
      audio: null,
      function_call: null,
      annotations: [],
      parsed: null,
      tool_calls: [parsed],
    }
    expect(refusal({ messages: [message] })).toBeUndefined()
  })

  it('takes messages as other vendors answer them', () => {
    const back = {
      role: 'assistant',
      content: 'x',
      reasoning: 'hm',
      reasoning_details: [{ type: 'reasoning.text' }],
      reasoning_content: 'hm',
    }
    expect(request({ messages: [back] })['messages']).toEqual([{ role: 'assistant', content: [{ type: 'text', text: 'x' }] }])
  })

  it('repeats nothing of the request in a refusal but names', () => {
    const planted = 'planted words of a prompt'
    const refused = new TranslationError('invalid_value', planted, 'x')
    expect(refused.body).toEqual({ error: { message: 'x', type: 'invalid_request_error', param: null, code: 'invalid_value' } })
    for (const messages of [[{ role: planted, content: planted }], [{ role: 'user', content: [{ type: planted }] }], planted]) {
      try {
        chat.request(asked({ messages }))
        expect.unreachable()
      } catch (error) {
        expect(JSON.stringify([error, (error as TranslationError).body, String(error)])).not.toContain('planted')
      }
    }
  })
})

function user(part: object) {
  return [{ role: 'user', content: [part] }]
}
function image(url: string) {
  return { type: 'image_url', image_url: { url, detail: 'auto' } }
}
function pdf() {
  return { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERg==' } }
}

describe('Anthropic’s answer in OpenAI’s words', () => {
  const message = (more: object) => ({
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude-sonnet-5-20260101',
    content: [{ type: 'text', text: 'Hi' }],
    stop_reason: 'end_turn',
    usage: {
      input_tokens: 3,
      cache_read_input_tokens: 40,
      cache_creation_input_tokens: 5,
      output_tokens: 9,
      output_tokens_details: { thinking_tokens: 4 },
    },
    ...more,
  })

  it('is a chat completion with its usage', () => {
    expect(chat.answer(200, message({}), asked({}))).toEqual({
      status: 200,
      body: {
        id: 'msg_1',
        object: 'chat.completion',
        created: 1_800_000_000,
        model: 'claude-sonnet-5-20260101',
        choices: [{ index: 0, message: { role: 'assistant', content: 'Hi', refusal: null }, logprobs: null, finish_reason: 'stop' }],
        usage: {
          prompt_tokens: 48,
          completion_tokens: 9,
          total_tokens: 57,
          prompt_tokens_details: { cached_tokens: 40, cache_write_tokens: 5 },
          completion_tokens_details: { reasoning_tokens: 4 },
        },
      },
    })
  })

  it('holds thoughts and calls', () => {
    const content = [
      { type: 'thinking', thinking: 'hm', signature: 's' },
      { type: 'tool_use', id: 'toolu_1', name: 'f', input: { a: [1] } },
    ]
    expect(chat.answer(200, message({ content, stop_reason: 'tool_use' }), asked({}))).toMatchObject({
      body: {
        choices: [
          {
            finish_reason: 'tool_calls',
            message: { content: null, reasoning_content: 'hm', tool_calls: [call('toolu_1', 'f', '{"a":[1]}')] },
          },
        ],
      },
    })
  })

  it.each([
    ['max_tokens', 'length'],
    ['model_context_window_exceeded', 'length'],
    ['stop_sequence', 'stop'],
    ['pause_turn', 'stop'],
    ['refusal', 'content_filter'],
    ['something_new', 'stop'],
  ])('ends for %s as for %s', (reason, finish) => {
    expect(chat.answer(200, message({ stop_reason: reason }), asked({}))).toMatchObject({ body: { choices: [{ finish_reason: finish }] } })
  })

  it.each([
    [401, 'authentication_error', 401, 'authentication_error', 'invalid_api_key'],
    [400, 'invalid_request_error', 400, 'invalid_request_error', 'invalid_request_error'],
    [404, 'not_found_error', 404, 'not_found_error', 'model_not_found'],
    [429, 'rate_limit_error', 429, 'rate_limit_error', 'rate_limit_exceeded'],
    [529, 'overloaded_error', 503, 'server_error', 'overloaded'],
  ])('of status %i and type %s has OpenAI’s error shape', (status, type, said, saidType, code) => {
    const answer = chat.answer(status, { type: 'error', error: { type, message: 'why' } }, asked({}))
    expect(answer).toEqual({ status: said, body: { error: { message: 'why', type: saidType, param: null, code } } })
  })

  it('that is none is the provider’s failure', () => {
    for (const json of [undefined, null, 7, 'x', [], {}, { content: 'x' }]) {
      expect(chat.answer(200, json, asked({}))).toMatchObject({ status: 502, body: { error: { code: 'upstream_invalid' } } })
    }
    expect(chat.answer(302, undefined, asked({}))).toMatchObject({ status: 502 })
  })

  it('that is nested without end is the provider’s failure too', () => {
    const deep = JSON.parse(`${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`) as unknown
    const answer = chat.answer(200, message({ content: [{ type: 'tool_use', id: 'x', name: 'f', input: deep }] }), asked({}))
    expect(answer).toMatchObject({ status: 502, body: { error: { code: 'upstream_invalid' } } })
  })
})
