import { describe, expect, it } from 'vitest'
import type { Dialect } from '../schema.ts'
import { usageReader } from './reader.ts'
import type { UsageEnd, UsageReading } from './reader.ts'

const WHOLE: UsageEnd = { whole: true, requestBytes: 400, maxOutput: 100 }

interface Answer {
  readonly dialect?: Dialect
  readonly path?: string
  readonly type?: string
  readonly body: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
  readonly end?: Partial<UsageEnd>
}

/** Read byte by byte, and in one piece: both must say the same. */
function read({
  dialect = 'openai',
  path = '/v1/chat/completions',
  type = 'application/json',
  body,
  headers = {},
  end,
}: Answer): UsageReading {
  const all: Readonly<Record<string, string>> = { 'content-type': type, ...headers }
  const call = { method: 'POST', path, status: 200, header: (name: string) => all[name] }
  const bytes = Buffer.from(body)
  const readings = [1, 7, Math.max(1, bytes.length)].map((size) => {
    const reader = usageReader(dialect, call)!
    for (let at = 0; at < bytes.length; at += size) reader.write(bytes.subarray(at, at + size))
    return reader.end({ ...WHOLE, ...end })
  })
  expect(readings[1]).toEqual(readings[0])
  expect(readings[2]).toEqual(readings[0])
  return readings[0]!
}

function events(...datas: readonly (object | string)[]): string {
  return datas.map((data) => `event: x\r\ndata: ${typeof data === 'string' ? data : JSON.stringify(data)}\r\n\r\n`).join('')
}

/** One message of an AWS event stream; its sums are not looked at. */
function frame(payload: string): Buffer {
  const headers = Buffer.from('\u000b:event-type\u0007\u0000\u0005chunk', 'latin1')
  const message = Buffer.alloc(12 + headers.length + payload.length + 4)
  message.writeUInt32BE(message.length, 0)
  message.writeUInt32BE(headers.length, 4)
  headers.copy(message, 12)
  message.write(payload, 12 + headers.length)
  return message
}

const SSE = 'text/event-stream; charset=utf-8'
const NONE = { cached: 0, written: 0, writtenLong: 0, reasoning: 0 }

describe('what an answer says of its use', () => {
  it('reads a chat completion, with cached and reasoning tokens among the others', () => {
    const usage = {
      prompt_tokens: 1200,
      completion_tokens: 300,
      total_tokens: 1500,
      prompt_tokens_details: { cached_tokens: 1024, audio_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 120 },
    }
    const body = JSON.stringify({
      id: 'x',
      model: 'gpt-4.1-2025-04-14',
      choices: [{ message: { content: 'hello' } }],
      usage,
      service_tier: 'default',
    })
    expect(read({ body })).toEqual({
      usage: { source: 'measured', input: 1200, cached: 1024, written: 0, writtenLong: 0, output: 300, reasoning: 120 },
      model: 'gpt-4.1-2025-04-14',
      tier: undefined,
      special: false,
    })
  })

  it('reads the last chunk of a chat stream that was asked to say its use', () => {
    const body = events(
      { model: 'gpt-4.1', choices: [{ delta: { content: 'he' } }], usage: null },
      { model: 'gpt-4.1', choices: [{ delta: { content: 'llo' } }], usage: null },
      { model: 'gpt-4.1', choices: [], usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 } },
      '[DONE]',
    )
    expect(read({ type: SSE, body })).toMatchObject({ usage: { ...NONE, source: 'measured', input: 9, output: 2 }, model: 'gpt-4.1' })
  })

  it('reads responses, at once and streamed', () => {
    const usage = {
      input_tokens: 50,
      input_tokens_details: { cached_tokens: 10 },
      output_tokens: 7,
      output_tokens_details: { reasoning_tokens: 3 },
      total_tokens: 57,
    }
    const said = { usage: { ...NONE, source: 'measured', input: 50, cached: 10, output: 7, reasoning: 3 }, model: 'o4-mini' }
    expect(read({ path: '/v1/responses', body: JSON.stringify({ model: 'o4-mini', usage }) })).toMatchObject(said)
    const body = events(
      { type: 'response.created', response: { model: 'o4-mini', usage: null } },
      { type: 'response.output_text.delta', delta: 'hi' },
      { type: 'response.completed', response: { model: 'o4-mini', usage } },
    )
    expect(read({ path: '/v1/responses', type: SSE, body })).toMatchObject(said)
  })

  it('reads embeddings, which write nothing', () => {
    const body = JSON.stringify({
      data: [{ embedding: Array.from({ length: 500 }, () => 0.1) }],
      model: 'text-embedding-3-small',
      usage: { prompt_tokens: 8, total_tokens: 8 },
    })
    expect(read({ path: '/v1/embeddings', body })).toMatchObject({ usage: { source: 'measured', input: 8, output: 0 } })
  })

  it('counts reasoning that a provider leaves out of what was written, as its total shows', () => {
    const usage = { prompt_tokens: 32, completion_tokens: 9, total_tokens: 135, completion_tokens_details: { reasoning_tokens: 94 } }
    expect(read({ body: JSON.stringify({ usage }) }).usage).toMatchObject({ input: 32, output: 103, reasoning: 94 })
  })

  it('reads messages, at once and streamed, with the tokens of caches beside the input', () => {
    const counts = {
      input_tokens: 12,
      cache_read_input_tokens: 1000,
      cache_creation_input_tokens: 200,
      cache_creation: { ephemeral_1h_input_tokens: 150 },
    }
    const want = {
      usage: { source: 'measured', input: 1212, cached: 1000, written: 200, writtenLong: 150, output: 42, reasoning: 0 },
      model: 'claude-sonnet-4-20250514',
    }
    const of = { dialect: 'anthropic', path: '/v1/messages' } as const
    const model = 'claude-sonnet-4-20250514'
    expect(
      read({
        ...of,
        body: JSON.stringify({ model, content: [{ text: 'x' }], usage: { ...counts, output_tokens: 42, service_tier: 'standard' } }),
      }),
    ).toMatchObject(want)
    const body = events(
      { type: 'message_start', message: { model, usage: { ...counts, output_tokens: 1 } } },
      { type: 'content_block_delta', delta: { type: 'text_delta', text: 'hello' } },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 42 } },
      { type: 'message_stop' },
    )
    expect(read({ ...of, type: SSE, body })).toMatchObject(want)
  })

  it('reads generateContent, streamed as events and as one list, with thoughts beside the output', () => {
    const part = (candidates: number) => ({
      candidates: [{ content: { parts: [{ text: 'x'.repeat(40) }] } }],
      modelVersion: 'gemini-2.5-flash',
      usageMetadata: {
        promptTokenCount: 20,
        candidatesTokenCount: candidates,
        thoughtsTokenCount: 5,
        cachedContentTokenCount: 16,
        toolUsePromptTokenCount: 3,
        promptTokensDetails: [{ modality: 'TEXT', tokenCount: 20 }],
      },
    })
    const of = { dialect: 'gemini', path: '/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse' } as const
    const want = {
      usage: { source: 'measured', input: 23, cached: 16, output: 15, reasoning: 5 },
      model: 'gemini-2.5-flash',
      special: false,
    }
    expect(read({ ...of, type: SSE, body: events(part(4), part(10)) })).toMatchObject(want)
    expect(read({ ...of, body: JSON.stringify([part(4), part(10)], null, 1) })).toMatchObject(want)
    // What was said so far is less than what will have been used.
    expect(read({ ...of, type: SSE, body: events(part(4)), end: { whole: false } }).usage).toMatchObject({
      source: 'estimated',
      input: 23,
      output: 15,
    })
  })

  it("reads Gemini's interactions, in one piece and streamed", () => {
    const counts = {
      total_input_tokens: 20,
      total_output_tokens: 10,
      total_thought_tokens: 5,
      total_cached_tokens: 16,
      total_tool_use_tokens: 3,
      total_tokens: 38,
      input_tokens_by_modality: [{ modality: 'text', tokens: 20 }],
    }
    const model = 'gemini-3.5-flash'
    const of = { dialect: 'gemini', path: '/v1beta/interactions' } as const
    const want = {
      usage: { source: 'measured', input: 23, cached: 16, written: 0, writtenLong: 0, output: 15, reasoning: 5 },
      model,
      tier: 'priority',
      special: false,
    }
    const steps = [{ type: 'model_output', content: [{ type: 'text', text: 'hello' }] }]
    expect(read({ ...of, body: JSON.stringify({ model, steps, service_tier: 'priority', usage: counts }) })).toEqual(want)
    const body = events(
      { event_type: 'interaction.created', interaction: { model, status: 'in_progress' } },
      { event_type: 'step.delta', index: 0, delta: { type: 'text', text: 'x'.repeat(40) } },
      { event_type: 'interaction.completed', interaction: { model, service_tier: 'priority', usage: counts } },
    )
    expect(read({ ...of, type: SSE, body })).toEqual(want)
    const cut = body.slice(0, body.indexOf('event: x', body.indexOf('step.delta')))
    expect(read({ ...of, type: SSE, body: cut, end: { whole: false } }).usage).toMatchObject({
      source: 'estimated',
      input: 100,
      output: 10,
    })
    const spoken = { ...counts, output_tokens_by_modality: [{ modality: 'audio', tokens: 10 }] }
    expect(read({ ...of, body: JSON.stringify({ model, usage: spoken }) }).special).toBe(true)
  })

  it('reads Cohere, what is charged before what was counted', () => {
    const usage = { billed_units: { input_tokens: 5.0, output_tokens: 7.0 }, tokens: { input_tokens: 71, output_tokens: 9 } }
    const of = { dialect: 'cohere', path: '/v2/chat' } as const
    expect(read({ ...of, body: JSON.stringify({ message: { content: [{ text: 'x' }] }, usage }) }).usage).toMatchObject({
      source: 'measured',
      input: 5,
      output: 7,
    })
    expect(read({ ...of, type: SSE, body: events({ type: 'message-end', delta: { usage } }) }).usage).toMatchObject({
      source: 'measured',
      input: 5,
      output: 7,
    })
    const embed = { meta: { billed_units: { input_tokens: 3 } } }
    expect(read({ ...of, path: '/v2/embed', body: JSON.stringify(embed) }).usage).toMatchObject({ source: 'measured', input: 3, output: 0 })
  })

  it("reads Bedrock: Converse, its event stream, and models' own bodies by header and by their last event", () => {
    const usage = { inputTokens: 30, outputTokens: 12, totalTokens: 42, cacheReadInputTokens: 8, cacheWriteInputTokens: 2 }
    const of = { dialect: 'bedrock', path: '/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse' } as const
    const want = { source: 'measured', input: 40, cached: 8, written: 2, output: 12 }
    expect(read({ ...of, body: JSON.stringify({ output: { message: { content: [{ text: 'x' }] } }, usage }) }).usage).toMatchObject(want)
    const stream = Buffer.concat([
      frame('{"delta":{"text":"hello"}}'),
      frame('{"stopReason":"end_turn"}'),
      frame(JSON.stringify({ usage, metrics: { latencyMs: 3 } })),
    ])
    const streamed = { ...of, path: `${of.path}-stream`, type: 'application/vnd.amazon.eventstream' }
    expect(read({ ...streamed, body: stream }).usage).toMatchObject(want)
    const inner = JSON.stringify({ type: 'message_stop', 'amazon-bedrock-invocationMetrics': { inputTokenCount: 11, outputTokenCount: 6 } })
    const wrapped = frame(JSON.stringify({ bytes: Buffer.from(inner).toString('base64'), p: 'abc' }))
    expect(read({ ...streamed, path: '/model/m/invoke-with-response-stream', body: wrapped }).usage).toMatchObject({
      source: 'measured',
      input: 11,
      output: 6,
    })
    const headers = { 'x-amzn-bedrock-input-token-count': '17', 'x-amzn-bedrock-output-token-count': '4' }
    expect(read({ ...of, path: '/model/m/invoke', headers, body: '{"outputs":[{"text":"x"}]}' }).usage).toMatchObject({
      source: 'measured',
      input: 17,
      output: 4,
    })
  })

  it("reads others' words that a provider speaks beside its own", () => {
    const openai = JSON.stringify({ usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 12 } })
    expect(read({ dialect: 'gemini', path: '/v1beta/openai/chat/completions', body: openai }).usage).toMatchObject({ input: 3, output: 9 })
    const anthropic = JSON.stringify({ usage: { input_tokens: 3, cache_read_input_tokens: 5, output_tokens: 4 } })
    const vertex = '/v1/projects/p/locations/l/publishers/anthropic/models/claude-sonnet-4@20250514:rawPredict'
    expect(read({ dialect: 'gemini', path: vertex, body: anthropic }).usage).toMatchObject({ input: 8, output: 4 })
    expect(read({ dialect: 'openai', path: '/anthropic/v1/messages', body: anthropic }).usage).toMatchObject({ input: 8, output: 4 })
  })

  it('tells what has a price of its own: another service level, speed or place, audio', () => {
    const usage = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 }
    expect(read({ body: JSON.stringify({ usage, service_tier: 'priority' }) }).tier).toBe('priority')
    const claude = (own: object) =>
      read({ dialect: 'anthropic', path: '/v1/messages', body: JSON.stringify({ usage: { input_tokens: 3, output_tokens: 4, ...own } }) })
        .tier
    expect(claude({ service_tier: 'standard', speed: 'standard', inference_geo: 'global' })).toBeUndefined()
    expect(claude({ service_tier: null, speed: null, inference_geo: 'not_available' })).toBeUndefined()
    expect(claude({ speed: 'fast', inference_geo: 'global' })).toBe('fast')
    expect(claude({ inference_geo: 'us', speed: 'fast', service_tier: 'standard' })).toBe('fast_us')
    expect(claude({ inference_geo: 'us', service_tier: 'priority' })).toBe('priority_us')
    const gemini = (tier: string) =>
      read({
        dialect: 'gemini',
        path: '/v1beta/models/gemini-3.5-flash:generateContent',
        headers: { 'x-gemini-service-tier': tier },
        body: JSON.stringify({ usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 4 } }),
      }).tier
    expect(['standard', 'priority', 'flex'].map(gemini)).toEqual([undefined, 'priority', 'flex'])
    const audio = { ...usage, prompt_tokens_details: { audio_tokens: 2 } }
    expect(read({ body: JSON.stringify({ usage: audio }) }).special).toBe(true)
  })
})

describe('what an answer does not say', () => {
  it('is estimated from lengths, and called that, when a stream says nothing of its use', () => {
    const body = events(...Array.from({ length: 10 }, () => ({ choices: [{ delta: { content: 'abcdefgh' } }] })), '[DONE]')
    expect(read({ type: SSE, body }).usage).toEqual({ ...NONE, source: 'estimated', input: 100, output: 20 })
  })

  it('is estimated from what had passed by when the answer was cut, and the input that was said stands', () => {
    const body = events(
      { type: 'message_start', message: { usage: { input_tokens: 77, output_tokens: 1 } } },
      { type: 'content_block_delta', delta: { text: 'x'.repeat(80) } },
    )
    const cut = read({ dialect: 'anthropic', path: '/v1/messages', type: SSE, body, end: { whole: false } })
    expect(cut.usage).toEqual({ ...NONE, source: 'estimated', input: 77, output: 20 })
  })

  it('is measured all the same when the cut came after the figures', () => {
    const body = events({ choices: [], usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 } })
    expect(read({ type: SSE, body, end: { whole: false } }).usage).toMatchObject({ source: 'measured', input: 9, output: 2 })
  })

  it('is the most that it may be, when an answer is whole and shows neither figures nor text', () => {
    expect(read({ path: '/v1/responses', body: '{"status":"queued","usage":null}' }).usage).toMatchObject({
      source: 'estimated',
      input: 100,
      output: 100,
    })
  })

  it('is nothing, not zero, where nothing at all is known', () => {
    const unknown = { requestBytes: undefined, maxOutput: undefined }
    expect(read({ body: '<html>no', type: 'text/html', end: unknown }).usage).toBeUndefined()
    expect(read({ path: '/v1/images/generations', body: '{"data":[]}' }).usage).toBeUndefined()
  })

  it.each([
    ['GET', '/v1/responses/resp_1', 200],
    ['POST', '/v1/messages/count_tokens', 200],
    ['POST', '/v1/chat/completions', 429],
    ['POST', '/v1/files', 200],
  ])('is not looked for in %s %s with %i', (method, path, status) => {
    expect(usageReader('openai', { method, path, status, header: () => 'application/json' })).toBeUndefined()
  })
})

describe('an answer that would mislead', () => {
  it('is read by its own structure: what a model wrote counts for nothing', () => {
    const lie = '"usage":{"prompt_tokens":0,"completion_tokens":0}}'
    const body = JSON.stringify({
      choices: [{ message: { content: `\\"${lie}`, tool_calls: [{ function: { arguments: `{${lie}` } }] } }],
      metadata: { usage: { prompt_tokens: 1, completion_tokens: 1 } },
      usage: { prompt_tokens: 100, completion_tokens: 50, total_tokens: 150 },
    })
    expect(read({ body }).usage).toMatchObject({ input: 100, output: 50 })
    const written = JSON.stringify({
      content: [{ type: 'tool_use', input: { usage: { input_tokens: 1 } } }],
      usage: { input_tokens: 100, output_tokens: 50 },
    })
    expect(read({ dialect: 'anthropic', path: '/v1/messages', body: written }).usage).toMatchObject({ input: 100, output: 50 })
  })

  it('gives no name that is none, and no figure that is none', () => {
    const body = '{"model":"my prompt was: hello","usage":{"prompt_tokens":-5,"completion_tokens":1e99,"total_tokens":"7"}}'
    expect(read({ body, end: { requestBytes: undefined, maxOutput: undefined } })).toMatchObject({ usage: undefined, model: undefined })
  })

  it('is read in the memory of one member, however large it is and however deep', () => {
    const reader = usageReader('openai', { method: 'POST', path: '/v1/chat/completions', status: 200, header: () => 'application/json' })!
    reader.write(Buffer.from('{"choices":[{"message":{"content":"'))
    const piece = Buffer.alloc(1024 * 1024, 'abc\\"')
    for (let n = 0; n < 20; n++) reader.write(piece)
    reader.write(Buffer.from('"}}],"x":'))
    reader.write(Buffer.alloc(1_000_000, '['))
    reader.write(Buffer.alloc(1_000_000, ']'))
    reader.write(Buffer.from(',"usage":{"prompt_tokens":1,"completion_tokens":2}}'))
    expect(reader.end(WHOLE).usage).toMatchObject({ source: 'measured', input: 1, output: 2 })
  })
})
