import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { listModelProviders } from '../registry.ts'
import { translationFor } from './translation-for.ts'
import type { Asked } from './translation.ts'

const stamps = { seconds: () => 1_800_000_000, id: () => 'stamp' }
const chat = translationFor(
  listModelProviders().find(({ id }) => id === 'bedrock')!,
  { operation: 'chat', stamps },
)
const asked = (more: object): Asked => ({ model: 'maker.model-1:0', messages: [{ role: 'user', content: 'hello' }], ...more })
const call = (id: string, name: string, json: string) => ({ id, type: 'function', function: { name, arguments: json } })
const user = (part: object) => [{ role: 'user', content: [part] }]

describe('a chat completion request in Converse’s words', () => {
  it('keeps every turn, its pictures and documents, its calls and their results', () => {
    const file = { type: 'file', file: { filename: 'a_b.pdf', file_data: 'data:application/pdf;base64,JVBERg==' } }
    const messages = [
      { role: 'system', content: 'be brief' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'look', cache_control: { type: 'ephemeral' } },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
          file,
        ],
      },
      { role: 'assistant', tool_calls: [call('a', 'f', '{"x":1}'), call('b', 'f', '{}')] },
      { role: 'tool', tool_call_id: 'a', content: 'one' },
      { role: 'tool', tool_call_id: 'b', content: 'two' },
    ]
    expect(chat.request(asked({ messages }))).toEqual({
      path: '/model/maker.model-1%3A0/converse',
      headers: {},
      body: {
        system: [{ text: 'be brief' }],
        messages: [
          {
            role: 'user',
            content: [
              { text: 'look' },
              { cachePoint: { type: 'default' } },
              { image: { format: 'png', source: { bytes: 'AAAA' } } },
              { document: { format: 'pdf', name: 'a b pdf', source: { bytes: 'JVBERg==' } } },
            ],
          },
          {
            role: 'assistant',
            content: [{ toolUse: { toolUseId: 'a', name: 'f', input: { x: 1 } } }, { toolUse: { toolUseId: 'b', name: 'f', input: {} } }],
          },
          {
            role: 'user',
            content: [
              { toolResult: { toolUseId: 'a', content: [{ text: 'one' }] } },
              { toolResult: { toolUseId: 'b', content: [{ text: 'two' }] } },
            ],
          },
        ],
      },
    })
  })

  it('says how to answer, and with which tools', () => {
    const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} }, strict: true } }]
    const schema = { type: 'object' }
    const format = { type: 'json_schema', json_schema: { name: 'x', schema } }
    expect(
      chat.request(
        asked({
          max_tokens: 9,
          temperature: 1,
          stop: 'A',
          stream: true,
          tools,
          tool_choice: 'required',
          reasoning_effort: 'high',
          response_format: format,
        }),
      ),
    ).toMatchObject({
      path: '/model/maker.model-1%3A0/converse-stream',
      body: {
        inferenceConfig: { maxTokens: 9, temperature: 1, stopSequences: ['A'] },
        toolConfig: {
          tools: [{ toolSpec: { name: 'f', strict: true, inputSchema: { json: { type: 'object', properties: {} } } } }],
          toolChoice: { any: {} },
        },
        outputConfig: {
          effort: 'high',
          textFormat: { type: 'json_schema', structure: { jsonSchema: { name: 'x', schema: '{"type":"object"}' } } },
        },
      },
    })
  })

  it.each([
    ['a picture by its address', { messages: user({ type: 'image_url', image_url: { url: 'https://a.example/a.png' } }) }, 'messages'],
    ['a picture of another kind', { messages: user({ type: 'image_url', image_url: { url: 'data:image/tiff;base64,AAAA' } }) }, 'messages'],
    ['none of its tools', { tools: [{ type: 'function', function: { name: 'f' } }], tool_choice: 'none' }, 'tool_choice'],
    ['one call at a time', { parallel_tool_calls: false }, 'parallel_tool_calls'],
    ['no reasoning', { reasoning_effort: 'none' }, 'reasoning_effort'],
    ['a model by a name with slashes', { model: 'arn:aws:bedrock:eu-central-1:1:inference-profile/x' }, 'model'],
  ])('refuses %s by its name', (_what, more, param) => {
    expect(() => chat.request(asked(more))).toThrow(expect.objectContaining({ param }))
  })
})

describe('Converse’s answer in OpenAI’s words', () => {
  it('is a chat completion with thoughts, calls and usage', () => {
    const content = [
      { reasoningContent: { reasoningText: { text: 'hm' } } },
      { text: 'Hi' },
      { toolUse: { toolUseId: 'a', name: 'f', input: { x: 1 } } },
    ]
    const usage = { inputTokens: 3, outputTokens: 5, totalTokens: 15, cacheReadInputTokens: 7 }
    expect(
      chat.answer(200, { output: { message: { role: 'assistant', content } }, stopReason: 'tool_use', usage }, asked({})),
    ).toMatchObject({
      status: 200,
      body: {
        id: 'chatcmpl-stamp',
        model: 'maker.model-1:0',
        choices: [
          { finish_reason: 'tool_calls', message: { content: 'Hi', reasoning_content: 'hm', tool_calls: [call('a', 'f', '{"x":1}')] } },
        ],
        usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15, prompt_tokens_details: { cached_tokens: 7 } },
      },
    })
  })

  it('was filtered where a guardrail stepped in, and is the provider’s failure where it is none', () => {
    expect(chat.answer(200, { output: { message: { content: [] } }, stopReason: 'guardrail_intervened' }, asked({}))).toMatchObject({
      body: { choices: [{ finish_reason: 'content_filter' }] },
    })
    expect(chat.answer(200, {}, asked({}))).toMatchObject({ status: 502 })
    expect(chat.answer(429, { message: 'slow' }, asked({}))).toMatchObject({
      status: 429,
      body: { error: { message: 'slow', code: 'rate_limit_exceeded' } },
    })
  })
})

function framed(headers: Readonly<Record<string, string>>, payload: object): Buffer {
  const head = Buffer.concat(
    Object.entries(headers).map(([name, value]) =>
      Buffer.concat([Buffer.from([name.length]), Buffer.from(name), Buffer.from([7, 0, value.length]), Buffer.from(value)]),
    ),
  )
  const data = Buffer.from(JSON.stringify(payload))
  const prelude = Buffer.alloc(12)
  prelude.writeUInt32BE(head.length + data.length + 16, 0)
  prelude.writeUInt32BE(head.length, 4)
  prelude.writeUInt32BE(crc32(prelude.subarray(0, 8)), 8)
  const message = Buffer.concat([prelude, head, data])
  const end = Buffer.alloc(4)
  end.writeUInt32BE(crc32(message))
  return Buffer.concat([message, end])
}
const event = (name: string, payload: object): Buffer => framed({ ':event-type': name, ':message-type': 'event' }, payload)

function streamed(...frames: readonly Buffer[]) {
  const stream = chat.stream(asked({ stream_options: { include_usage: true } }))
  const given = [...stream.push(Buffer.concat(frames)), ...stream.end()] as {
    choices?: { delta: object; finish_reason: unknown }[]
    usage?: object | null
  }[]
  return { given, failure: stream.failure }
}

describe('Converse’s stream in OpenAI’s words', () => {
  const begins = event('messageStart', { role: 'assistant' })

  it('gives text, thoughts, calls, the reason it ended, and the usage', () => {
    const { given, failure } = streamed(
      begins,
      event('contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { text: 'hm' } } }),
      event('contentBlockDelta', { contentBlockIndex: 1, delta: { text: 'Hi' } }),
      event('contentBlockStart', { contentBlockIndex: 2, start: { toolUse: { toolUseId: 'a', name: 'f' } } }),
      event('contentBlockDelta', { contentBlockIndex: 2, delta: { toolUse: { input: '{"x":1}' } } }),
      event('contentBlockStop', { contentBlockIndex: 2 }),
      event('messageStop', { stopReason: 'tool_use' }),
      event('metadata', { usage: { inputTokens: 3, outputTokens: 5 } }),
    )
    expect(failure).toBeUndefined()
    expect(given.flatMap(({ choices = [] }) => choices.map(({ delta }) => delta))).toEqual([
      { role: 'assistant', content: '' },
      { reasoning_content: 'hm' },
      { content: 'Hi' },
      { tool_calls: [{ index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: '' } }] },
      { tool_calls: [{ index: 0, function: { arguments: '{"x":1}' } }] },
      {},
    ])
    expect(given.at(-2)?.choices?.[0]?.finish_reason).toBe('tool_calls')
    expect(given.at(-1)?.usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 5 })
  })

  it.each([
    ['throttlingException', 429, 'rate_limit_exceeded'],
    ['modelStreamErrorException', 502, null],
    ['serviceUnavailableException', 503, 'overloaded'],
    ['somethingNewException', 500, null],
  ])('says %s in the middle as OpenAI does', (name, status, code) => {
    const { given, failure } = streamed(begins, framed({ ':exception-type': name, ':message-type': 'exception' }, { message: 'why' }))
    expect(given.at(-1)).toMatchObject({ error: { message: 'why', code } })
    expect(failure).toMatchObject({ status, code })
  })

  it('that ends in the middle, or holds what is no message, says so', () => {
    expect(streamed(begins).failure).toMatchObject({ code: 'upstream_reset' })
    expect(streamed(begins, Buffer.from('<html>no event stream</html>')).failure).toMatchObject({ code: 'upstream_invalid' })
    expect(streamed(begins, framed({ ':message-type': 'error', ':error-message': 'why' }, {})).given.at(-1)).toMatchObject({
      error: { message: 'why' },
    })
  })
})
