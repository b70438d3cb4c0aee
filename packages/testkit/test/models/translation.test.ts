/**
 * OpenAI's own client judges what is made of other vendors' answers, and vendors that take nothing beyond their references judge what is made of its
 * requests. Between the two stands the translation and nothing else.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { DONE, Secret, TranslationError, authorizeModelCall, eventText, listModelProviders, translationFor } from '@sallyport/core'
import type { AccessTokens, ApiBase, Asked, ModelOperation, ModelProvider } from '@sallyport/core'
import { startModelUpstream } from '@sallyport/testkit'
import type { ModelUpstream, VendorName } from '@sallyport/testkit'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const OPERATIONS: Readonly<Record<string, ModelOperation>> = {
  '/v1/chat/completions': 'chat',
  '/v1/responses': 'responses',
  '/v1/embeddings': 'embeddings',
}
/** Red, one by one pixel. */
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=='
const TOOL = {
  type: 'function' as const,
  function: {
    name: 'weather',
    description: 'of a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false },
  },
}

/** Only service accounts have them. */
const NO_TOKENS: AccessTokens = { of: () => Promise.reject(new Error('no access token is bought here')), forget: () => undefined }

let upstream: ModelUpstream
beforeAll(async () => {
  upstream = await startModelUpstream()
})
afterAll(() => upstream.close())

async function sent(provider: ModelProvider, path: string, body: string): Promise<Response> {
  const base = upstream.base(provider.id as VendorName)
  const headers: Record<string, string> = { 'content-type': 'application/json', ...provider.defaultHeaders }
  if (provider.credential === 'key') headers[provider.injection!.name] = upstream.key
  else {
    const { origin, pathname } = new URL(base)
    const { accessKeyId: access_key_id, secretAccessKey: secret_access_key } = upstream.aws
    const outgoing = {
      provider,
      settings: { region: 'us-east-1' },
      base: { origin, basePath: pathname } as ApiBase,
      method: 'POST',
      path,
      headers: Object.entries(headers).flat(),
      body: Buffer.from(body),
      now: Date.now(),
      owner: 'org',
      once: true,
    }
    const signed = await authorizeModelCall(outgoing, new Secret(JSON.stringify({ access_key_id, secret_access_key })), NO_TOKENS)
    signed.headers.forEach((name, at) => at % 2 === 0 && (headers[name] = signed.headers[at + 1]!))
    for (const one of signed.inject) if (one.kind === 'header') headers[one.name] = one.value.reveal()
  }
  return fetch(`${base}${path}`, { method: 'POST', headers, body })
}

/** One provider as OpenAI's API would have it: a bare server around the translation. */
async function translated(id: 'anthropic' | 'gemini' | 'bedrock') {
  const provider = listModelProviders().find((one) => one.id === id)!
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const asked = JSON.parse(Buffer.concat(chunks).toString()) as Asked
    try {
      const translation = translationFor(provider, { operation: OPERATIONS[request.url!]! })
      const { path, body } = translation.request(asked)
      const given = await sent(provider, path, JSON.stringify(body))
      if (given.status !== 200 || asked['stream'] !== true) {
        const { status, body: said } = translation.answer(given.status, await given.json(), asked)
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(said))
        return
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const stream = translation.stream(asked)
      for await (const bytes of given.body!) for (const item of stream.push(bytes as Uint8Array)) response.write(eventText(item))
      for (const item of stream.end()) response.write(eventText(item))
      response.end(stream.failure === undefined ? DONE : '')
    } catch (error) {
      const refused = error instanceof TranslationError ? { status: 400, body: error.body } : { status: 500, body: {} }
      response.writeHead(refused.status, { 'content-type': 'application/json' }).end(JSON.stringify(refused.body))
    }
  }
  const server = createServer((request, response) => void answer(request, response))
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const baseURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  return {
    client: new OpenAI({ apiKey: 'not-a-real-key', baseURL, maxRetries: 0 }),
    close: () => new Promise<void>((resolve) => void server.close(() => resolve())),
  }
}

describe.each(['anthropic', 'gemini', 'bedrock'] as const)('OpenAI’s client, its words put into those of %s', (vendor) => {
  let client: OpenAI
  let close: () => Promise<void>
  beforeAll(async () => {
    ;({ client, close } = await translated(vendor))
  })
  afterAll(() => close())
  const model = 'sandbox-large'

  it('has a conversation with pictures', async () => {
    const { choices, usage } = await client.chat.completions.create({
      model,
      max_completion_tokens: 100,
      temperature: 0.5,
      top_p: 0.9,
      stop: ['END'],
      user: 'u-1',
      messages: [
        { role: 'developer', content: 'be brief' },
        { role: 'user', content: 'hello' },
        { role: 'assistant', content: 'yes?' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'look' },
            { type: 'image_url', image_url: { url: `data:image/png;base64,${PIXEL}` } },
          ],
        },
      ],
    })
    expect(choices[0]!.message.content).toBe('The sandbox heard: look I was shown: image/png.')
    expect(choices[0]!.finish_reason).toBe('stop')
    expect(usage).toMatchObject({ prompt_tokens: expect.any(Number), completion_tokens: 8 })
  })

  it('reads a streamed answer, with its usage', async () => {
    const stream = client.chat.completions.stream({
      model,
      messages: [{ role: 'user', content: 'count to 50' }],
      stream_options: { include_usage: true },
    })
    const { choices } = await stream.finalChatCompletion()
    expect(choices[0]!.message.content).toBe(Array.from({ length: 50 }, (_none, index) => index + 1).join(' '))
    expect(await stream.totalUsage()).toMatchObject({ completion_tokens: 50 })
  })

  it('is told where an answer was cut', async () => {
    const { choices } = await client.chat.completions.create({ model, max_tokens: 3, messages: [{ role: 'user', content: 'count to 50' }] })
    expect(choices[0]).toMatchObject({ finish_reason: 'length', message: { content: '1 2 3' } })
  })

  it.each([false, true])('calls a tool and gives its result back; streamed: %s', async (streamed) => {
    const asked: OpenAI.ChatCompletionMessageParam = { role: 'user', content: 'how is it' }
    const wanted = { model, messages: [asked], tools: [TOOL], tool_choice: 'required' as const }
    const first = streamed
      ? await client.chat.completions.stream(wanted).finalChatCompletion()
      : await client.chat.completions.create(wanted)
    const { message, finish_reason: finish } = first.choices[0]!
    expect(finish).toBe('tool_calls')
    const call = message.tool_calls![0]!
    expect(call.type === 'function' && { ...call.function, arguments: JSON.parse(call.function.arguments) as unknown }).toMatchObject({
      name: 'weather',
      arguments: { city: 'sandbox' },
    })
    const messages = [asked, message, { role: 'tool' as const, tool_call_id: call.id, content: 'sunny' }]
    const { choices } = await client.chat.completions.create({ model, messages, tools: [TOOL] })
    expect(choices[0]!.message.content).toContain('sunny')
  })

  it('has errors of its own classes', async () => {
    const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'x' }]
    await expect(client.chat.completions.create({ model: 'no-such-model', messages })).rejects.toBeInstanceOf(
      // Bedrock calls a model that it does not know a malformed request.
      vendor === 'bedrock' ? OpenAI.BadRequestError : OpenAI.NotFoundError,
    )
    await expect(client.chat.completions.create({ model, messages, logprobs: true })).rejects.toMatchObject({
      status: 400,
      code: 'unsupported_parameter',
      param: 'logprobs',
    })
  })

  it.each([false, true])('has a response, with a call and without; streamed: %s', async (streamed) => {
    const ask = async (more: object) => {
      const wanted = { model, instructions: 'be brief', store: false, ...more } as OpenAI.Responses.ResponseCreateParamsNonStreaming
      return streamed ? client.responses.stream({ ...wanted, stream: true }).finalResponse() : client.responses.create(wanted)
    }
    const said = await ask({ input: 'hello' })
    expect(said).toMatchObject({ status: 'completed', output_text: 'The sandbox heard: hello', usage: { output_tokens: 4 } })
    const { type, ...tool } = { type: TOOL.type, ...TOOL.function }
    const input = [{ role: 'user', content: 'how is it' }]
    const called = await ask({ input, tools: [{ type, ...tool, strict: false }] })
    const [call] = called.output
    expect(call).toMatchObject({ type: 'function_call', name: 'weather', arguments: '{"city":"sandbox"}' })
    const output = { type: 'function_call_output', call_id: call!.type === 'function_call' && call!.call_id, output: 'sunny' }
    expect((await ask({ input: [...input, ...called.output, output] })).output_text).toContain('sunny')
  })
})

describe('OpenAI’s client, asking Gemini for embeddings', () => {
  it('has as many as it asked for, which it reads from base64', async () => {
    const { client, close } = await translated('gemini')
    const { data } = await client.embeddings.create({ model: 'sandbox-embedding', input: ['a', 'b'], dimensions: 8 })
    const plain = await client.embeddings.create({ model: 'sandbox-embedding', input: 'b', dimensions: 8, encoding_format: 'float' })
    expect(data.map(({ embedding }) => embedding.length)).toEqual([8, 8])
    expect(data[1]!.embedding).toEqual(plain.data[0]!.embedding)
    await close()
  })
})
