import { describe, expect, it } from 'vitest'
import { listModelProviders } from '../registry.ts'
import { TranslationError } from './translation-error.ts'
import { translationFor } from './translation-for.ts'
import type { Asked } from './translation.ts'

const stamps = { seconds: () => 1_800_000_000, id: () => 'stamp' }
const provider = (id: string) => listModelProviders().find((one) => one.id === id)!
const chat = translationFor(provider('gemini'), { operation: 'chat', stamps })
const asked = (more: object): Asked => ({ model: 'gemini-3-flash', messages: [{ role: 'user', content: 'hello' }], ...more })
const request = (more: object) => chat.request(asked(more)).body as Record<string, unknown>
const refusal = (more: object, by = chat): unknown => {
  try {
    by.request(asked(more))
    return undefined
  } catch (error) {
    return error instanceof TranslationError ? { param: error.param, reason: error.reason } : error
  }
}
const call = (id: string, name: string, json: string, more: object = {}) => ({
  id,
  type: 'function',
  function: { name, arguments: json },
  ...more,
})
const image = (url: string) => ({ type: 'image_url', image_url: { url } })
const user = (part: object) => [{ role: 'user', content: [part] }]
const TOOL = {
  type: 'function',
  function: { name: 'f', description: 'does', parameters: { type: 'object', properties: { a: { type: 'string' } } } },
}

describe('a chat completion request in Gemini’s words', () => {
  it('keeps every message, its pictures and sounds, its calls and their results', () => {
    const body = request({
      messages: [
        { role: 'system', content: 'be brief' },
        {
          role: 'user',
          content: [{ type: 'text', text: 'look' }, image('data:image/png;base64,AAAA'), image('https://pictures.example/a.JPG?x=1')],
        },
        { role: 'user', content: [{ type: 'input_audio', input_audio: { data: 'BBBB', format: 'wav' } }] },
        {
          role: 'assistant',
          content: 'wait',
          tool_calls: [
            call('id-1', 'f', '{"a":"x"}', { extra_content: { google: { thought_signature: 'sig' } } }),
            call('call_2', 'g', '{}'),
          ],
        },
        { role: 'tool', tool_call_id: 'id-1', content: 'one' },
        { role: 'tool', tool_call_id: 'call_2', content: 'two' },
        { role: 'user', content: 'so?' },
      ],
    })
    expect(body).toEqual({
      systemInstruction: { parts: [{ text: 'be brief' }] },
      contents: [
        {
          role: 'user',
          parts: [
            { text: 'look' },
            { inlineData: { mimeType: 'image/png', data: 'AAAA' } },
            { fileData: { mimeType: 'image/jpeg', fileUri: 'https://pictures.example/a.JPG?x=1' } },
          ],
        },
        { role: 'user', parts: [{ inlineData: { mimeType: 'audio/wav', data: 'BBBB' } }] },
        {
          role: 'model',
          parts: [
            { text: 'wait' },
            { functionCall: { id: 'id-1', name: 'f', args: { a: 'x' } }, thoughtSignature: 'sig' },
            { functionCall: { name: 'g', args: {} } },
          ],
        },
        {
          role: 'user',
          parts: [
            { functionResponse: { id: 'id-1', name: 'f', response: { output: 'one' } } },
            { functionResponse: { name: 'g', response: { output: 'two' } } },
          ],
        },
        { role: 'user', parts: [{ text: 'so?' }] },
      ],
    })
  })

  it('stands in for a signature that was lost, where the model wants one', () => {
    const messages = [
      { role: 'user', content: 'x' },
      { role: 'assistant', tool_calls: [call('a', 'f', '{}'), call('b', 'f', '{}')] },
    ]
    const parts = (model: string) => (request({ model, messages })['contents'] as { parts: object[] }[])[1]!.parts
    expect(parts('gemini-3-flash').map((part) => 'thoughtSignature' in part)).toEqual([true, false])
    expect(parts('gemini-2.5-flash').map((part) => 'thoughtSignature' in part)).toEqual([false, false])
  })

  it('says how to answer', () => {
    expect(
      request({
        max_tokens: 9,
        temperature: 2,
        top_p: 0.5,
        stop: ['A'],
        n: 2,
        seed: 7,
        frequency_penalty: 1,
        presence_penalty: -1,
        user: 'u',
      })['generationConfig'],
    ).toEqual({
      maxOutputTokens: 9,
      temperature: 2,
      topP: 0.5,
      stopSequences: ['A'],
      candidateCount: 2,
      seed: 7,
      frequencyPenalty: 1,
      presencePenalty: -1,
    })
    expect(request({ response_format: { type: 'json_object' } })).toMatchObject({
      generationConfig: { responseMimeType: 'application/json' },
    })
    const schema = { type: 'object', properties: {} }
    expect(request({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema } } })).toMatchObject({
      generationConfig: { responseMimeType: 'application/json', responseJsonSchema: schema },
    })
  })

  it.each([
    [{}, undefined],
    [{ tool_choice: 'auto' }, { mode: 'AUTO' }],
    [{ tool_choice: 'none' }, { mode: 'NONE' }],
    [{ tool_choice: 'required' }, { mode: 'ANY' }],
    [{ tool_choice: { type: 'function', function: { name: 'f' } } }, { mode: 'ANY', allowedFunctionNames: ['f'] }],
    [{ tools: [{ ...TOOL, function: { ...TOOL.function, strict: true } }] }, { mode: 'VALIDATED' }],
  ])('says tools, and with %j to use them as %j', (more, calling) => {
    const body = request({ tools: [TOOL], ...more })
    expect(body['tools']).toEqual([
      { functionDeclarations: [{ name: 'f', description: 'does', parametersJsonSchema: TOOL.function.parameters }] },
    ])
    expect(body['toolConfig']).toEqual(calling === undefined ? undefined : { functionCallingConfig: calling })
  })

  it.each([
    ['gemini-2.5-flash', 'none', { thinkingBudget: 0 }],
    ['gemini-2.5-pro', 'medium', { thinkingBudget: 8192 }],
    ['gemini-3-pro', 'low', { thinkingLevel: 'LOW' }],
    ['gemini-3-pro', 'max', { thinkingLevel: 'HIGH' }],
  ])('says to %s how hard to reason: %s', (model, effort, said) => {
    expect(request({ model, reasoning_effort: effort })).toMatchObject({ generationConfig: { thinkingConfig: said } })
  })

  it.each([
    ['log probabilities', { logprobs: true }, 'logprobs', 'unsupported_parameter'],
    ['one call at a time', { parallel_tool_calls: false }, 'parallel_tool_calls', 'unsupported_parameter'],
    ['no reasoning where it can’t be left out', { reasoning_effort: 'none' }, 'reasoning_effort', 'unsupported_value'],
    [
      'a file of OpenAI’s',
      { messages: user({ type: 'file', file: { file_id: 'x' } }) },
      'messages[0].content[0].file.file_id',
      'unsupported_parameter',
    ],
    [
      'a picture of no kind',
      { messages: user(image('https://pictures.example/a')) },
      'messages[0].content[0].image_url.url',
      'unsupported_value',
    ],
    ['a result of no call', { messages: [{ role: 'tool', tool_call_id: 'x', content: '' }] }, 'messages[0].tool_call_id', 'invalid_value'],
    ['a model that climbs', { model: '../files/x' }, 'model', 'invalid_value'],
    ['a model with a query', { model: 'a?key=b' }, 'model', 'invalid_value'],
    ['a model of dots', { model: '..' }, 'model', 'invalid_value'],
  ])('refuses %s by its name', (_what, more, param, reason) => {
    expect(refusal(more)).toEqual({ param, reason })
  })

  it('goes to the model’s own path', () => {
    expect(chat.request(asked({})).path).toBe('/v1beta/models/gemini-3-flash:generateContent')
    expect(chat.request(asked({ stream: true, model: 'tunedModels/mine' })).path).toBe(
      '/v1beta/tunedModels/mine:streamGenerateContent?alt=sse',
    )
  })

  it('goes to the project’s path at Vertex AI, by the model’s full name or by settings', () => {
    const full = 'projects/p-1/locations/europe-west4/publishers/google/models/gemini-2.5-flash'
    const vertex = (settings: Record<string, string>) => translationFor(provider('vertex'), { operation: 'chat', settings })
    expect(vertex({}).request(asked({ model: full })).path).toBe(`/v1/${full}:generateContent`)
    expect(vertex({ project: 'p-1', location: 'europe-west4' }).request(asked({ model: 'gemini-2.5-flash' })).path).toBe(
      `/v1/${full}:generateContent`,
    )
    for (const model of [
      'gemini-2.5-flash',
      'projects/p/locations/l/../../x',
      `${full}/..`,
      'projects/p/locations/l/publishers/google/models/..',
    ])
      expect(refusal({ model }, vertex({}))).toEqual({ param: 'model', reason: 'invalid_value' })
    expect(() => vertex({ location: 'europe-west4' }).request(asked({ model: 'gemini-2.5-flash' }))).toThrow(
      expect.objectContaining({ publicDetail: expect.stringContaining('names no project: rotate it') }),
    )
  })
})

describe('Gemini’s answer in OpenAI’s words', () => {
  const answer = (candidate: object, more: object = {}) => ({
    responseId: 'r-1',
    modelVersion: 'gemini-3-flash-001',
    candidates: [{ content: { role: 'model', parts: [{ text: 'Hi' }] }, finishReason: 'STOP', ...candidate }],
    usageMetadata: {
      promptTokenCount: 10,
      cachedContentTokenCount: 4,
      candidatesTokenCount: 3,
      thoughtsTokenCount: 5,
      totalTokenCount: 18,
    },
    ...more,
  })

  it('is a chat completion with its usage', () => {
    expect(chat.answer(200, answer({}), asked({}))).toEqual({
      status: 200,
      body: {
        id: 'r-1',
        object: 'chat.completion',
        created: 1_800_000_000,
        model: 'gemini-3-flash-001',
        choices: [{ index: 0, message: { role: 'assistant', content: 'Hi', refusal: null }, logprobs: null, finish_reason: 'stop' }],
        usage: {
          prompt_tokens: 10,
          completion_tokens: 8,
          total_tokens: 18,
          prompt_tokens_details: { cached_tokens: 4 },
          completion_tokens_details: { reasoning_tokens: 5 },
        },
      },
    })
  })

  it('holds thoughts, pictures, and calls with their signatures', () => {
    const parts = [
      { text: 'hm', thought: true },
      { inlineData: { mimeType: 'image/png', data: 'AAAA' } },
      { functionCall: { id: 'x', name: 'f', args: { a: 1 } }, thoughtSignature: 'sig' },
      { functionCall: { name: 'g' } },
    ]
    expect(chat.answer(200, answer({ content: { parts } }), asked({}))).toMatchObject({
      body: {
        choices: [
          {
            finish_reason: 'tool_calls',
            message: {
              content: null,
              reasoning_content: 'hm',
              images: [image('data:image/png;base64,AAAA')],
              tool_calls: [
                call('x', 'f', '{"a":1}', { extra_content: { google: { thought_signature: 'sig' } } }),
                call('call_stamp', 'g', '{}'),
              ],
            },
          },
        ],
      },
    })
  })

  it.each([
    ['MAX_TOKENS', 'length'],
    ['SAFETY', 'content_filter'],
    ['MALFORMED_FUNCTION_CALL', 'content_filter'],
    ['SOMETHING_NEW', 'stop'],
  ])('ends for %s as for %s', (finishReason, finish) => {
    expect(chat.answer(200, answer({ finishReason }), asked({}))).toMatchObject({ body: { choices: [{ finish_reason: finish }] } })
  })

  it('says of a prompt that was blocked that it was filtered', () => {
    expect(chat.answer(200, { promptFeedback: { blockReason: 'SAFETY' } }, asked({}))).toMatchObject({
      status: 200,
      body: { choices: [{ finish_reason: 'content_filter', message: { content: null } }] },
    })
  })

  it.each([
    [400, { error: { code: 400, message: 'why', status: 'INVALID_ARGUMENT' } }, 400, 'INVALID_ARGUMENT'],
    [
      400,
      { error: { code: 400, message: 'why', status: 'INVALID_ARGUMENT', details: [{ reason: 'API_KEY_INVALID' }] } },
      401,
      'invalid_api_key',
    ],
    [429, [{ error: { code: 429, message: 'why', status: 'RESOURCE_EXHAUSTED' } }], 429, 'rate_limit_exceeded'],
    [503, { error: { code: 503, message: 'why', status: 'UNAVAILABLE' } }, 503, 'overloaded'],
  ])('of status %i and %j has OpenAI’s error shape', (status, json, said, code) => {
    expect(chat.answer(status, json, asked({}))).toMatchObject({ status: said, body: { error: { message: 'why', code, param: null } } })
  })
})
