/**
 * Owns how a test holds the vendors' own clients: each unmodified but for base URL and key, and all asked the same things. Refuses to soften an
 * error: what a client throws is what a test sees.
 */
import { generateText, embed, jsonSchema, stepCountIs, streamText, tool } from 'ai'
import { createAnthropic } from '@ai-sdk/anthropic'
import { createGoogleGenerativeAI } from '@ai-sdk/google'
import { createOpenAI } from '@ai-sdk/openai'
import Anthropic from '@anthropic-ai/sdk'
import { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand } from '@aws-sdk/client-bedrock-runtime'
import type { ContentBlock, Message as BedrockMessage } from '@aws-sdk/client-bedrock-runtime'
import { KMSClient } from '@aws-sdk/client-kms'
import { GoogleGenAI } from '@google/genai'
import type { Content, HttpOptions } from '@google/genai'
import OpenAI, { AzureOpenAI } from 'openai'
import type { VendorName } from './upstream.ts'

// It would say at every call that it does not know the models.
Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false })

/** Where a client is pointed, and with what. */
export interface ModelAddress {
  /** The vendor's base, as in `https://api.openai.com`: what comes before `/v1`. */
  readonly base: string
  readonly key: string
  readonly chat: string
  readonly embedding: string
  /** Signs calls to Bedrock. Absent: Bedrock's client shows `key` as its bearer token, as a gateway's caller does. */
  readonly aws?: { readonly accessKeyId: string; readonly secretAccessKey: string }
  /** Shown to Vertex AI. Absent: Google's client shows `key` as its API key there, as a gateway's caller does. */
  readonly accessToken?: string
  /** Version of Gemini's API. Absent: what the client takes by itself. */
  readonly geminiVersion?: string
}

export interface Patience {
  /** Further tries after a failed one. Default 0. */
  readonly retries?: number
  readonly timeoutMs?: number
}

export interface Usage {
  readonly input: number | undefined
  readonly output: number | undefined
}

export interface Streamed {
  readonly texts: AsyncIterable<string>
  /** Once the texts have ended. */
  readonly usage: () => Promise<Usage>
}

export interface ToolUse {
  readonly name: string
  readonly args: unknown
  /** What was said once the tool had answered. */
  readonly text: string
}

/** The tool that every client offers; `sunny` is what it gives. */
export const WEATHER = {
  name: 'weather',
  description: 'The weather of a city',
  schema: { type: 'object' as const, properties: { city: { type: 'string' as const } }, required: ['city'] },
  result: 'sunny',
}

/** What is thrown for an answer of this status. */
export type Thrown = Readonly<Record<400 | 401 | 404 | 429 | 500, string>>

export interface ModelClient {
  /** Names of error classes, as `nameOf` gives them. */
  readonly thrown: Thrown
  chat(prompt: string): Promise<{ readonly text: string; readonly usage: Usage }>
  stream(prompt: string, signal?: AbortSignal): Promise<Streamed>
  /** Asks, does what the model wants with WEATHER, and tells it. */
  useTool(prompt: string): Promise<ToolUse>
  /** Shows a picture. */
  look(prompt: string, png: Uint8Array): Promise<string>
  readonly embed?: (text: string) => Promise<readonly number[]>
  /** A call that no vendor takes. */
  misspeak(): Promise<unknown>
}

export type MakeModelClient = (address: ModelAddress, patience?: Patience) => ModelClient

/** The class of an error, or the name that its client gives it. */
export function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.name === 'Error' ? error.constructor.name : error.name
}

export function statusOf(error: unknown): number | undefined {
  const known = error as { status?: number; statusCode?: number; $metadata?: { httpStatusCode?: number }; lastError?: unknown }
  return (
    known.status ??
    known.statusCode ??
    known.$metadata?.httpStatusCode ??
    (known.lastError === undefined ? undefined : statusOf(known.lastError))
  )
}

const STATUS_CLASSES: Thrown = {
  400: 'BadRequestError',
  401: 'AuthenticationError',
  404: 'NotFoundError',
  429: 'RateLimitError',
  500: 'InternalServerError',
}
const everyStatus = (name: string): Thrown => ({ 400: name, 401: name, 404: name, 429: name, 500: name })

function openaiOf({ base, key }: ModelAddress, { retries = 0, timeoutMs }: Patience): OpenAI {
  return new OpenAI({ baseURL: `${base}/v1`, apiKey: key, maxRetries: retries, ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }) })
}

/** Chat completions and embeddings, by whichever of OpenAI's clients. `asksUsage`: whether a stream is asked for its usage. */
function openaiChatWith(client: OpenAI, address: ModelAddress, asksUsage = true): ModelClient {
  const model = address.chat
  return {
    thrown: STATUS_CLASSES,
    async chat(prompt) {
      const { choices, usage } = await client.chat.completions.create({ model, messages: [{ role: 'user', content: prompt }] })
      return { text: choices[0]!.message.content!, usage: { input: usage?.prompt_tokens, output: usage?.completion_tokens } }
    },
    async stream(prompt, signal) {
      let usage: Usage = { input: undefined, output: undefined }
      const chunks = await client.chat.completions.create(
        {
          model,
          messages: [{ role: 'user', content: prompt }],
          stream: true,
          ...(asksUsage && { stream_options: { include_usage: true } }),
        },
        { signal: signal ?? null },
      )
      const texts = async function* (): AsyncGenerator<string> {
        for await (const chunk of chunks) {
          const said = chunk.choices[0]?.delta.content
          if (typeof said === 'string' && said !== '') yield said
          if (chunk.usage) usage = { input: chunk.usage.prompt_tokens, output: chunk.usage.completion_tokens }
        }
      }
      return { texts: texts(), usage: async () => usage }
    },
    async useTool(prompt) {
      const tools = [{ type: 'function' as const, function: { name: WEATHER.name, parameters: WEATHER.schema } }]
      const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: prompt }]
      const asked = (await client.chat.completions.create({ model, messages, tools })).choices[0]!.message
      const call = asked.tool_calls![0]!
      if (call.type !== 'function') throw new Error('another kind of tool was called')
      messages.push(asked, { role: 'tool', tool_call_id: call.id, content: WEATHER.result })
      const told = await client.chat.completions.create({ model, messages, tools })
      return { name: call.function.name, args: JSON.parse(call.function.arguments), text: told.choices[0]!.message.content! }
    },
    async look(prompt, png) {
      const url = `data:image/png;base64,${Buffer.from(png).toString('base64')}`
      const content = [
        { type: 'text' as const, text: prompt },
        { type: 'image_url' as const, image_url: { url } },
      ]
      return (await client.chat.completions.create({ model, messages: [{ role: 'user', content }] })).choices[0]!.message.content!
    },
    embed: async (text) => (await client.embeddings.create({ model: address.embedding, input: text })).data[0]!.embedding,
    misspeak: () => client.chat.completions.create({ model, messages: [] }),
  }
}

const openaiChat: MakeModelClient = (address, patience = {}) => openaiChatWith(openaiOf(address, patience), address)

/** OpenAI's client for Azure, which names a deployment and an API version in its address. */
const azureChat: MakeModelClient = (address, { retries = 0, timeoutMs } = {}) => {
  const { base: endpoint, key: apiKey } = address
  const patience = { maxRetries: retries, ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }) }
  return openaiChatWith(new AzureOpenAI({ endpoint, apiKey, apiVersion: '2024-10-21', ...patience }), address)
}

/** OpenAI's client at Cohere, which takes no `stream_options`. */
const openaiAtCohere: MakeModelClient = (address, patience = {}) => {
  const client = openaiOf({ ...address, base: `${address.base}/compatibility` }, patience)
  return openaiChatWith(client, address, false)
}

const openaiResponses: MakeModelClient = (address, patience = {}) => {
  const client = openaiOf(address, patience)
  const model = address.chat
  const said = (response: OpenAI.Responses.Response): Usage => ({
    input: response.usage?.input_tokens,
    output: response.usage?.output_tokens,
  })
  return {
    thrown: STATUS_CLASSES,
    async chat(prompt) {
      const response = await client.responses.create({ model, input: prompt })
      return { text: response.output_text, usage: said(response) }
    },
    async stream(prompt, signal) {
      let usage: Usage = { input: undefined, output: undefined }
      const events = await client.responses.create({ model, input: prompt, stream: true }, { signal: signal ?? null })
      const texts = async function* (): AsyncGenerator<string> {
        for await (const event of events) {
          if (event.type === 'response.output_text.delta') yield event.delta
          if (event.type === 'response.completed') usage = said(event.response)
        }
      }
      return { texts: texts(), usage: async () => usage }
    },
    async useTool(prompt) {
      const tools = [{ type: 'function' as const, name: WEATHER.name, parameters: WEATHER.schema, strict: false }]
      const input: OpenAI.Responses.ResponseInput = [{ role: 'user', content: prompt }]
      const asked = await client.responses.create({ model, input, tools })
      const call = asked.output.find((item) => item.type === 'function_call')!
      input.push(call, { type: 'function_call_output', call_id: call.call_id, output: WEATHER.result })
      const told = await client.responses.create({ model, input, tools })
      return { name: call.name, args: JSON.parse(call.arguments), text: told.output_text }
    },
    async look(prompt, png) {
      const image_url = `data:image/png;base64,${Buffer.from(png).toString('base64')}`
      const content = [
        { type: 'input_text' as const, text: prompt },
        { type: 'input_image' as const, image_url, detail: 'auto' as const },
      ]
      return (await client.responses.create({ model, input: [{ role: 'user', content }] })).output_text
    },
    misspeak: () => client.responses.create({ model, input: 'x', temperature: 9 }),
  }
}

const anthropicMessages: MakeModelClient = ({ base, key, chat: model }, { retries = 0, timeoutMs } = {}) => {
  const client = new Anthropic({
    baseURL: base,
    apiKey: key,
    maxRetries: retries,
    ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
  })
  const max_tokens = 100_000
  const textOf = ({ content }: Anthropic.Message): string => content.map((block) => (block.type === 'text' ? block.text : '')).join('')
  return {
    thrown: STATUS_CLASSES,
    async chat(prompt) {
      const message = await client.messages.create({ model, max_tokens: 100, messages: [{ role: 'user', content: prompt }] })
      return { text: textOf(message), usage: { input: message.usage.input_tokens, output: message.usage.output_tokens } }
    },
    async stream(prompt, signal) {
      let usage: Usage = { input: undefined, output: undefined }
      const events = await client.messages.create(
        { model, max_tokens, messages: [{ role: 'user', content: prompt }], stream: true },
        { signal: signal ?? null },
      )
      const texts = async function* (): AsyncGenerator<string> {
        for await (const event of events) {
          if (event.type === 'message_start') usage = { ...usage, input: event.message.usage.input_tokens }
          if (event.type === 'message_delta') usage = { ...usage, output: event.usage.output_tokens }
          if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') yield event.delta.text
        }
      }
      return { texts: texts(), usage: async () => usage }
    },
    async useTool(prompt) {
      const tools = [{ name: WEATHER.name, input_schema: WEATHER.schema }]
      const messages: Anthropic.MessageParam[] = [{ role: 'user', content: prompt }]
      const asked = await client.messages.create({ model, max_tokens: 100, messages, tools })
      const call = asked.content.find((block) => block.type === 'tool_use')!
      const result = { type: 'tool_result' as const, tool_use_id: call.id, content: WEATHER.result }
      messages.push({ role: 'assistant', content: asked.content }, { role: 'user', content: [result] })
      const told = await client.messages.create({ model, max_tokens: 100, messages, tools })
      return { name: call.name, args: call.input, text: textOf(told) }
    },
    async look(prompt, png) {
      const source = { type: 'base64' as const, media_type: 'image/png' as const, data: Buffer.from(png).toString('base64') }
      const content = [
        { type: 'text' as const, text: prompt },
        { type: 'image' as const, source },
      ]
      return textOf(await client.messages.create({ model, max_tokens: 100, messages: [{ role: 'user', content }] }))
    },
    misspeak: () => client.messages.create({ model, max_tokens: 0, messages: [{ role: 'user', content: 'x' }] }),
  }
}

function googleOptions({ base, geminiVersion }: ModelAddress, { retries = 0, timeoutMs }: Patience): HttpOptions {
  return {
    baseUrl: base,
    ...(geminiVersion === undefined ? {} : { apiVersion: geminiVersion }),
    ...(retries === 0 ? {} : { retryOptions: { attempts: retries + 1 } }),
    ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
  }
}

const googleGenai: MakeModelClient = (address, patience = {}) =>
  googleWith(new GoogleGenAI({ apiKey: address.key, httpOptions: googleOptions(address, patience) }), address)

/** Google's client of Vertex AI, with an access token bought elsewhere where there is one, and else with a key where it would have one of Google's. */
const googleOfVertex: MakeModelClient = (address, patience = {}) => {
  const { accessToken, key } = address
  const shown = accessToken === undefined ? {} : { headers: { authorization: `Bearer ${accessToken}` } }
  const httpOptions = { ...googleOptions(address, patience), ...shown }
  const client = new GoogleGenAI({ vertexai: true, project: 'a-project', location: 'us-central1', apiKey: key, httpOptions })
  return googleWith(client, address)
}

function googleWith(client: GoogleGenAI, { chat: model, embedding }: ModelAddress): ModelClient {
  const usageOf = (answer: { usageMetadata?: { promptTokenCount?: number; candidatesTokenCount?: number } }): Usage => ({
    input: answer.usageMetadata?.promptTokenCount,
    output: answer.usageMetadata?.candidatesTokenCount,
  })
  return {
    thrown: everyStatus('ApiError'),
    async chat(prompt) {
      const answer = await client.models.generateContent({ model, contents: prompt })
      return { text: answer.text!, usage: usageOf(answer) }
    },
    async stream(prompt, signal) {
      let usage: Usage = { input: undefined, output: undefined }
      const config = signal === undefined ? {} : { abortSignal: signal }
      const chunks = await client.models.generateContentStream({ model, contents: prompt, config })
      const texts = async function* (): AsyncGenerator<string> {
        for await (const chunk of chunks) {
          usage = usageOf(chunk)
          if (chunk.text !== undefined) yield chunk.text
        }
      }
      return { texts: texts(), usage: async () => usage }
    },
    async useTool(prompt) {
      const config = { tools: [{ functionDeclarations: [{ name: WEATHER.name, parametersJsonSchema: WEATHER.schema }] }] }
      const contents: Content[] = [{ role: 'user', parts: [{ text: prompt }] }]
      const asked = await client.models.generateContent({ model, contents, config })
      const call = asked.functionCalls![0]!
      const functionResponse = { name: call.name!, response: { output: WEATHER.result } }
      contents.push(asked.candidates![0]!.content!, { role: 'user', parts: [{ functionResponse }] })
      const told = await client.models.generateContent({ model, contents, config })
      return { name: call.name!, args: call.args, text: told.text! }
    },
    async look(prompt, png) {
      const inlineData = { mimeType: 'image/png', data: Buffer.from(png).toString('base64') }
      return (await client.models.generateContent({ model, contents: [{ role: 'user', parts: [{ text: prompt }, { inlineData }] }] })).text!
    },
    embed: async (text) => (await client.models.embedContent({ model: embedding, contents: text })).embeddings![0]!.values!,
    misspeak: () => client.models.generateContent({ model, contents: 'x', config: { temperature: 9 } }),
  }
}

/** Over HTTP/1.1, as the handler of AWS's other clients does it: its own speaks HTTP/2 alone, which without TLS no gateway offers. */
const bedrockRuntime: MakeModelClient = ({ base, key, chat: modelId, aws }, { retries = 0, timeoutMs } = {}) => {
  const client = new BedrockRuntimeClient({
    region: 'us-east-1',
    endpoint: base,
    requestHandler: new KMSClient({ region: 'us-east-1' }).config.requestHandler,
    maxAttempts: retries + 1,
    ...(aws === undefined ? { token: { token: key }, authSchemePreference: ['httpBearerAuth'] } : { credentials: aws }),
  })
  const patience = (): { abortSignal?: AbortSignal } => (timeoutMs === undefined ? {} : { abortSignal: AbortSignal.timeout(timeoutMs) })
  const user = (...content: ContentBlock[]): BedrockMessage => ({ role: 'user', content })
  const textOf = (message: BedrockMessage | undefined): string => message?.content?.map((block) => block.text ?? '').join('') ?? ''
  return {
    thrown: {
      400: 'ValidationException',
      401: 'UnrecognizedClientException',
      404: 'UnknownOperationException',
      429: 'ThrottlingException',
      500: 'InternalServerException',
    },
    async chat(prompt) {
      const answer = await client.send(new ConverseCommand({ modelId, messages: [user({ text: prompt })] }), patience())
      return { text: textOf(answer.output?.message), usage: { input: answer.usage?.inputTokens, output: answer.usage?.outputTokens } }
    },
    async stream(prompt, signal) {
      let usage: Usage = { input: undefined, output: undefined }
      const options = signal === undefined ? {} : { abortSignal: signal }
      const { stream } = await client.send(new ConverseStreamCommand({ modelId, messages: [user({ text: prompt })] }), options)
      const texts = async function* (): AsyncGenerator<string> {
        for await (const event of stream!) {
          if (event.contentBlockDelta?.delta?.text !== undefined) yield event.contentBlockDelta.delta.text
          if (event.metadata?.usage) usage = { input: event.metadata.usage.inputTokens, output: event.metadata.usage.outputTokens }
        }
      }
      return { texts: texts(), usage: async () => usage }
    },
    async useTool(prompt) {
      const toolConfig = { tools: [{ toolSpec: { name: WEATHER.name, inputSchema: { json: WEATHER.schema } } }] }
      const messages = [user({ text: prompt })]
      const asked = (await client.send(new ConverseCommand({ modelId, messages, toolConfig }))).output!.message!
      const { toolUse: call } = asked.content!.find((block) => block.toolUse !== undefined)!
      messages.push(asked, user({ toolResult: { toolUseId: call.toolUseId, content: [{ text: WEATHER.result }] } }))
      const told = await client.send(new ConverseCommand({ modelId, messages, toolConfig }))
      return { name: call.name!, args: call.input, text: textOf(told.output?.message) }
    },
    async look(prompt, png) {
      const messages = [user({ text: prompt }, { image: { format: 'png', source: { bytes: png } } })]
      return textOf((await client.send(new ConverseCommand({ modelId, messages }))).output?.message)
    },
    misspeak: () => client.send(new ConverseCommand({ modelId, messages: [user({ text: 'x' })], inferenceConfig: { temperature: 9 } })),
  }
}

/** Vercel's `ai`, over each of its providers. */
function aiOver(
  providerOf: (address: ModelAddress) => {
    readonly chat: Parameters<typeof generateText>[0]['model']
    readonly embedding?: Parameters<typeof embed>[0]['model']
  },
): MakeModelClient {
  return (address, { retries: maxRetries = 0, timeoutMs } = {}) => {
    const { chat: model, embedding } = providerOf(address)
    const patience = (): { abortSignal?: AbortSignal } => (timeoutMs === undefined ? {} : { abortSignal: AbortSignal.timeout(timeoutMs) })
    return {
      thrown: everyStatus('AI_APICallError'),
      async chat(prompt) {
        const { text, usage } = await generateText({ model, prompt, maxRetries, ...patience() })
        return { text, usage: { input: usage.inputTokens, output: usage.outputTokens } }
      },
      async stream(prompt, signal) {
        const result = streamText({
          model,
          prompt,
          maxRetries,
          onError: () => undefined,
          ...(signal === undefined ? {} : { abortSignal: signal }),
        })
        const usage = async (): Promise<Usage> => {
          const { inputTokens, outputTokens } = await result.usage
          return { input: inputTokens, output: outputTokens }
        }
        return { texts: result.textStream, usage }
      },
      async useTool(prompt) {
        const tools = {
          [WEATHER.name]: tool({
            description: WEATHER.description,
            inputSchema: jsonSchema(WEATHER.schema),
            execute: async () => WEATHER.result,
          }),
        }
        const { steps, text } = await generateText({ model, prompt, tools, maxRetries, stopWhen: stepCountIs(2) })
        const call = steps[0]!.toolCalls[0]!
        return { name: call.toolName, args: call.input, text }
      },
      async look(prompt, png) {
        const content = [
          { type: 'text' as const, text: prompt },
          { type: 'image' as const, image: png, mediaType: 'image/png' },
        ]
        return (await generateText({ model, messages: [{ role: 'user', content }], maxRetries })).text
      },
      ...(embedding === undefined
        ? {}
        : { embed: async (text: string) => (await embed({ model: embedding, value: text, maxRetries })).embedding }),
      // The one number that none of its providers corrects.
      misspeak: () => generateText({ model, prompt: 'x', topP: 9, maxRetries }),
    }
  }
}

/** Every client, with what it takes to make one. */
export const MODEL_CLIENTS: readonly {
  readonly name: string
  readonly vendor: VendorName
  readonly embeds: boolean
  readonly make: MakeModelClient
}[] = [
  { name: 'openai, chat completions', vendor: 'openai', embeds: true, make: openaiChat },
  { name: 'openai, responses', vendor: 'openai', embeds: false, make: openaiResponses },
  { name: '@anthropic-ai/sdk', vendor: 'anthropic', embeds: false, make: anthropicMessages },
  { name: '@google/genai', vendor: 'gemini', embeds: true, make: googleGenai },
  { name: '@google/genai, of Vertex AI', vendor: 'vertex', embeds: true, make: googleOfVertex },
  { name: 'openai, AzureOpenAI', vendor: 'azure-openai', embeds: true, make: azureChat },
  {
    name: 'openai, at Azure without a version',
    vendor: 'azure-openai',
    embeds: true,
    make: (address, patience) => openaiChat({ ...address, base: `${address.base}/openai` }, patience),
  },
  {
    name: 'openai, at Azure, responses',
    vendor: 'azure-openai',
    embeds: false,
    make: (address, patience) => openaiResponses({ ...address, base: `${address.base}/openai` }, patience),
  },
  { name: 'openai, at Cohere', vendor: 'cohere', embeds: true, make: openaiAtCohere },
  { name: '@aws-sdk/client-bedrock-runtime', vendor: 'bedrock', embeds: false, make: bedrockRuntime },
  {
    name: 'ai over @ai-sdk/openai, chat',
    vendor: 'openai',
    embeds: true,
    make: aiOver(({ base, key, chat, embedding }) => {
      const provider = createOpenAI({ baseURL: `${base}/v1`, apiKey: key })
      return { chat: provider.chat(chat), embedding: provider.embedding(embedding) }
    }),
  },
  {
    name: 'ai over @ai-sdk/openai, responses',
    vendor: 'openai',
    embeds: false,
    make: aiOver(({ base, key, chat }) => ({
      chat: createOpenAI({ baseURL: `${base}/v1`, apiKey: key })(chat),
    })),
  },
  {
    name: 'ai over @ai-sdk/anthropic',
    vendor: 'anthropic',
    embeds: false,
    make: aiOver(({ base, key, chat }) => ({
      chat: createAnthropic({ baseURL: `${base}/v1`, apiKey: key })(chat),
    })),
  },
  {
    name: 'ai over @ai-sdk/google',
    vendor: 'gemini',
    embeds: true,
    make: aiOver(({ base, key, chat, embedding }) => {
      const provider = createGoogleGenerativeAI({ baseURL: `${base}/v1beta`, apiKey: key })
      return { chat: provider(chat), embedding: provider.embedding(embedding) }
    }),
  },
]
