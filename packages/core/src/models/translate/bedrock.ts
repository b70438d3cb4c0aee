/**
 * Owns saying an OpenAI chat completion request in the words of Bedrock's Converse, which are the same for every model there. Refuses, by name, what it
 * has no words for. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
 */
import { turnsOf } from './anthropic.ts'
import { isInstruction, readChat } from './asked.ts'
import type { ChatRequest, ChatTool } from './asked.ts'
import { fields, objects, text } from './json.ts'
import type { Json } from './json.ts'
import type { Asked, VendorRequest } from './translation.ts'
import { invalid, unsupported, unsupportedValue } from './translation-error.ts'
import { refuseUnspoken } from './unspoken.ts'

const SPOKEN = [
  'max_completion_tokens',
  'max_tokens',
  'reasoning_effort',
  'response_format',
  'stop',
  'temperature',
  'tool_choice',
  'tools',
  'top_p',
]

/** An id of a model or of an inference profile. A full ARN holds slashes, which no path of ours may hide. */
const MODEL = /^[A-Za-z0-9][\w.:-]{0,255}$/u

/** @throws TranslationError */
export function bedrockRequest(asked: Asked): VendorRequest {
  const chat = readChat(asked)
  refuseUnspoken(chat, SPOKEN)
  if (!MODEL.test(chat.model)) throw invalid('model', 'For this provider it is the id of a model or of an inference profile.')
  const method = chat.stream === true ? 'converse-stream' : 'converse'
  return { path: `/model/${encodeURIComponent(chat.model)}/${method}`, headers: {}, body: converseBody(chat) }
}

function converseBody(chat: ChatRequest): object {
  const system = chat.messages.filter(isInstruction).flatMap(({ content }) => content.filter(({ text: said }) => said !== ''))
  const inference = inferenceOf(chat)
  const output = outputOf(chat)
  return {
    messages: turnsOf(chat.messages).map(({ role, content }) => ({ role, content: blocksOf(content) })),
    ...(system.length > 0 && { system: system.flatMap(textOf) }),
    ...(Object.keys(inference).length > 0 && { inferenceConfig: inference }),
    ...(chat.tools !== null && chat.tools !== undefined && chat.tools.length > 0 && { toolConfig: toolsOf(chat.tools, chat) }),
    ...(Object.keys(output).length > 0 && { outputConfig: output }),
  }
}

function inferenceOf(chat: ChatRequest): object {
  if (typeof chat.temperature === 'number' && chat.temperature > 1)
    throw unsupportedValue('temperature', 'For this provider it lies between 0 and 1.')
  const said: readonly (readonly [string, unknown])[] = [
    ['maxTokens', chat.max_completion_tokens ?? chat.max_tokens],
    ['temperature', chat.temperature],
    ['topP', chat.top_p],
    ['stopSequences', chat.stop],
  ]
  return Object.fromEntries(said.filter(([, value]) => value !== null && value !== undefined))
}

const EFFORTS = { minimal: 'low', low: 'low', medium: 'medium', high: 'high', xhigh: 'xhigh', max: 'max' } as const

function outputOf({ reasoning_effort: effort, response_format: format }: ChatRequest): object {
  if (effort === 'none') throw unsupportedValue('reasoning_effort', 'This provider can’t be told not to reason.')
  if (format?.type === 'json_object')
    throw unsupportedValue('response_format.type', 'This provider has no JSON mode without a schema; give a json_schema.')
  return {
    ...(effort !== null && effort !== undefined && { effort: EFFORTS[effort] }),
    ...(format?.type === 'json_schema' && { textFormat: schemaOf(format.json_schema) }),
  }
}

function schemaOf({
  name,
  description,
  schema,
}: {
  readonly name: string
  readonly description?: string | null | undefined
  readonly schema: object
}): object {
  const described = typeof description === 'string' ? { description } : {}
  return { type: 'json_schema', structure: { jsonSchema: { name, ...described, schema: JSON.stringify(schema) } } }
}

function toolsOf(tools: readonly ChatTool[], { tool_choice: choice }: ChatRequest): object {
  if (choice === 'none') throw unsupportedValue('tool_choice', 'This provider can’t be told to call none of its tools; give none.')
  const specs = tools.flatMap((tool) => [{ toolSpec: specOf(tool) }, ...cachePoint(tool)])
  if (choice === null || choice === undefined) return { tools: specs }
  const named = typeof choice === 'object' ? { tool: { name: choice.function.name } } : choice === 'required' ? { any: {} } : { auto: {} }
  return { tools: specs, toolChoice: named }
}

function specOf({ function: { name, description, parameters, strict } }: ChatTool): object {
  return {
    name,
    ...(typeof description === 'string' && { description }),
    inputSchema: { json: { type: 'object', ...(parameters ?? { properties: {} }) } },
    ...(strict === true && { strict: true }),
  }
}

interface Cached {
  readonly cache_control?: unknown
}

/** What Anthropic marks on a block stands beside it here. */
function cachePoint({ cache_control: control }: Cached): object[] {
  return control === null || control === undefined ? [] : [{ cachePoint: { type: 'default' } }]
}

function textOf(part: Cached & { readonly text: string }): object[] {
  return [{ text: part.text }, ...cachePoint(part)]
}

/** Converse's blocks are Anthropic's in other clothes, and turns are made of them by the same rules. */
function blocksOf(blocks: readonly object[]): object[] {
  return blocks.flatMap((block) => {
    const { type, ...rest }: Json = fields(block)
    return [...DRESSED[String(type)]!(rest), ...cachePoint(rest)]
  })
}

const DRESSED: Readonly<Record<string, (block: Json) => object[]>> = {
  text: ({ text: said }) => [{ text: said }],
  image: ({ source }) => [{ image: imageOf(fields(source)) }],
  document: ({ source, title }) => [{ document: documentOf(fields(source), text(title)) }],
  tool_use: ({ id, name, input }) => [{ toolUse: { toolUseId: id, name, input } }],
  tool_result: ({ tool_use_id: id, content }) => [
    { toolResult: { toolUseId: id, content: objects(content).map(({ text: said }) => ({ text: said })) } },
  ],
}

const FORMATS: Readonly<Record<string, string>> = { 'image/png': 'png', 'image/jpeg': 'jpeg', 'image/gif': 'gif', 'image/webp': 'webp' }

function imageOf({ type, media_type: kind, data }: Json): object {
  if (type !== 'base64') throw unsupported('messages', 'This provider fetches no pictures; send a data: URL.')
  const format = text(kind) ?? ''
  if (!Object.hasOwn(FORMATS, format)) throw unsupportedValue('messages', 'This provider takes pictures in PNG, JPEG, GIF and WebP.')
  return { format: FORMATS[format], source: { bytes: data } }
}

/** A document's name may hold letters, digits, single spaces, hyphens and brackets, and nothing else. */
const UNNAMEABLE = /[^A-Za-z0-9()[\]-]+/gu

function documentOf({ type, data }: Json, title: string | undefined): object {
  const name = (title ?? '').replaceAll(UNNAMEABLE, ' ').trim().slice(0, 200)
  // Anthropic's source of a plain text holds it as it is.
  const [format, bytes] = type === 'text' ? ['txt', Buffer.from(text(data) ?? '').toString('base64')] : ['pdf', data]
  return { format, name: name === '' ? 'document' : name, source: { bytes } }
}
