/**
 * Owns saying an OpenAI chat completion request in the words of Google's generateContent, which Gemini's API and Vertex AI share. Refuses, by name,
 * what it has no words for. https://ai.google.dev/api/generate-content
 */
import { argumentsOf } from './arguments.ts'
import { isInstruction, readChat } from './asked.ts'
import type { AssistantMessage, ChatMessage, ChatPart, ChatRequest, ChatTool, Instruction, ReasoningEffort } from './asked.ts'
import { inline, isWeb } from './data-url.ts'
import { fields, text } from './json.ts'
import type { Asked, VendorRequest } from './translation.ts'
import { invalid, unsupported, unsupportedValue } from './translation-error.ts'
import { refuseUnspoken } from './unspoken.ts'

const SPOKEN = [
  'frequency_penalty',
  'max_completion_tokens',
  'max_tokens',
  'n',
  'presence_penalty',
  'reasoning_effort',
  'response_format',
  'seed',
  'stop',
  'temperature',
  'tool_choice',
  'tools',
  'top_p',
]

/** The path of a model, without its method. @throws TranslationError for a name that is none there. */
export type ModelPath = (model: string) => string

/** @throws TranslationError */
export function geminiRequest(asked: Asked, pathOf: ModelPath): VendorRequest {
  const chat = readChat(asked)
  refuseUnspoken(chat, SPOKEN)
  const method = chat.stream === true ? 'streamGenerateContent?alt=sse' : 'generateContent'
  return { path: `${pathOf(chat.model)}:${method}`, headers: {}, body: contentsBody(chat) }
}

function contentsBody(chat: ChatRequest): object {
  const system = chat.messages.filter(isInstruction).flatMap(({ content }) => content.flatMap(({ text: said }) => textParts(said)))
  const contents = contentsOf(chat)
  const config = configOf(chat)
  return {
    contents,
    ...(system.length > 0 && { systemInstruction: { parts: system } }),
    ...toolsOf(chat),
    ...(Object.keys(config).length > 0 && { generationConfig: config }),
  }
}

interface Content {
  readonly role: 'user' | 'model'
  readonly parts: readonly object[]
}

const textParts = (said: string): object[] => (said === '' ? [] : [{ text: said }])

/** Results that stand in a row are one content, since they answer calls that were made together. */
function contentsOf({ messages, model }: ChatRequest): readonly Content[] {
  const names = new Map<string, string>()
  const contents: { role: 'user' | 'model'; parts: object[]; results: boolean }[] = []
  messages.forEach((message, at) => {
    if (isInstruction(message)) return
    const results = message.role === 'tool'
    const parts = partsOf(message, { where: `messages[${at}]`, names, model })
    const last = contents.at(-1)
    if (parts.length === 0) return
    if (results && last?.results === true) last.parts.push(...parts)
    else contents.push({ role: message.role === 'assistant' ? 'model' : 'user', parts, results })
  })
  if (contents.length === 0)
    throw invalid('messages', 'For this provider there must be a message of the user or the assistant that is not empty.')
  return contents.map(({ role, parts }) => ({ role, parts }))
}

interface Turn {
  readonly where: string
  /** Of the calls so far, by id: a result is told by the function's name. */
  readonly names: Map<string, string>
  readonly model: string
}

function partsOf(message: Exclude<ChatMessage, Instruction>, turn: Turn): object[] {
  if (message.role === 'tool') return [resultOf(message, turn)]
  if (message.role === 'assistant') return assistantParts(message, turn)
  return message.content.flatMap((part, at) => partOf(part, `${turn.where}.content[${at}]`))
}

/** Ids that this translation made up mean nothing to the vendor. */
const MADE_UP = /^call_/u

function resultOf(message: Extract<ChatMessage, { role: 'tool' }>, { where, names }: Turn): object {
  const name = names.get(message.tool_call_id)
  if (name === undefined) throw invalid(`${where}.tool_call_id`, 'No earlier message holds a call of this id.')
  const output = message.content.map(({ text: said }) => said).join('')
  return { functionResponse: { ...idOf(message.tool_call_id), name, response: { output } } }
}

function idOf(id: string): object {
  return MADE_UP.test(id) ? {} : { id }
}

/** Since Gemini 3 a call comes back with the signature of the thought behind it; this word of Google's stands for one that was lost. */
const NO_SIGNATURE = 'skip_thought_signature_validator'
const UNSIGNED_MODELS = /gemini-[12](?:\.|$|-)/u

function assistantParts(message: AssistantMessage, { where, names, model }: Turn): object[] {
  const said = message.content.flatMap((part) => textParts(part.type === 'refusal' ? part.refusal : part.text))
  said.push(...textParts(message.refusal ?? ''))
  const calls = (message.tool_calls ?? []).map((call, at) => {
    names.set(call.id, call.function.name)
    const args = argumentsOf(call.function.arguments, `${where}.tool_calls[${at}].function.arguments`)
    const known = text(fields(fields(call.extra_content)['google'])['thought_signature'])
    // Of calls that were made together, the first alone is signed.
    const signature = known ?? (at === 0 && !UNSIGNED_MODELS.test(model) ? NO_SIGNATURE : undefined)
    return {
      functionCall: { ...idOf(call.id), name: call.function.name, args },
      ...(signature !== undefined && { thoughtSignature: signature }),
    }
  })
  const drawn = (message.images ?? []).map((image, at) => pictureOf(image.image_url.url, `${where}.images[${at}].image_url.url`))
  return [...said, ...drawn, ...calls]
}

function partOf(part: ChatPart, where: string): object[] {
  if (part.type === 'text') return textParts(part.text)
  if (part.type === 'image_url') return [pictureOf(part.image_url.url, `${where}.image_url.url`)]
  if (part.type === 'input_audio') return [{ inlineData: { mimeType: `audio/${part.input_audio.format}`, data: part.input_audio.data } }]
  const { file_id: kept, file_data: sent } = part.file
  if (typeof kept === 'string')
    throw unsupported(`${where}.file.file_id`, 'A file kept at OpenAI can’t be given to another provider; send file_data.')
  const data = inline(sent ?? '')
  if (data === undefined) throw invalid(`${where}.file.file_data`, 'A file is given as a data: URL in base64.')
  return [{ inlineData: { mimeType: data.mediaType, data: data.base64 } }]
}

/** The vendor wants to be told of what kind a picture is that it fetches. */
const KINDS: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  gif: 'image/gif',
  heic: 'image/heic',
  heif: 'image/heif',
}

function pictureOf(url: string, where: string): object {
  const data = inline(url)
  if (data !== undefined) return { inlineData: { mimeType: data.mediaType, data: data.base64 } }
  if (!isWeb(url) && !url.startsWith('gs://')) throw invalid(where, 'An image is given by an http(s) URL or by a data: URL in base64.')
  const ending = /\.(?<ending>[a-z]+)(?:[?#]|$)/iu.exec(url)?.groups?.['ending']?.toLowerCase() ?? ''
  if (!Object.hasOwn(KINDS, ending))
    throw unsupportedValue(where, 'For this provider the URL’s ending must tell the image’s kind; or send a data: URL.')
  return { fileData: { mimeType: KINDS[ending], fileUri: url } }
}

function toolsOf(chat: ChatRequest): object {
  if (chat.tools === null || chat.tools === undefined || chat.tools.length === 0) return {}
  const calling = callingOf(chat, chat.tools)
  return {
    tools: [{ functionDeclarations: chat.tools.map(declarationOf) }],
    ...(calling !== undefined && { toolConfig: { functionCallingConfig: calling } }),
  }
}

function declarationOf({ function: { name, description, parameters } }: ChatTool): object {
  const takes = parameters !== null && parameters !== undefined && Object.keys(parameters).length > 0
  return { name, ...(typeof description === 'string' && { description }), ...(takes && { parametersJsonSchema: parameters }) }
}

const MODES = { none: 'NONE', auto: 'AUTO', required: 'ANY' } as const

/** `VALIDATED` is `AUTO` whose calls hold to their schemas, which is what a strict tool asks for; `ANY` holds to them anyway. */
function callingOf({ tool_choice: choice }: ChatRequest, tools: readonly ChatTool[]): object | undefined {
  if (typeof choice === 'object' && choice !== null) return { mode: 'ANY', allowedFunctionNames: [choice.function.name] }
  if (choice === 'none' || choice === 'required') return { mode: MODES[choice] }
  if (tools.some(({ function: { strict } }) => strict === true)) return { mode: 'VALIDATED' }
  return choice === 'auto' ? { mode: MODES.auto } : undefined
}

function configOf(chat: ChatRequest): Record<string, unknown> {
  const said: readonly (readonly [string, unknown])[] = [
    ['maxOutputTokens', chat.max_completion_tokens ?? chat.max_tokens],
    ['temperature', chat.temperature],
    ['topP', chat.top_p],
    ['stopSequences', chat.stop],
    ['candidateCount', chat.n],
    ['seed', chat.seed],
    ['frequencyPenalty', chat.frequency_penalty],
    ['presencePenalty', chat.presence_penalty],
    ['thinkingConfig', thinkingOf(chat.model, chat.reasoning_effort)],
  ]
  return { ...Object.fromEntries(said.filter(([, value]) => value !== null && value !== undefined)), ...formatOf(chat) }
}

/** Gemini 2.5 is told how many tokens to think; the later ones how hard. As Google's own compatible address has it. */
const COUNTS_TOKENS = /gemini-2\.5/u
const BUDGETS = { none: 0, minimal: 1024, low: 1024, medium: 8192, high: 24_576, xhigh: 24_576, max: 24_576 } as const
const LEVELS = { minimal: 'MINIMAL', low: 'LOW', medium: 'MEDIUM', high: 'HIGH', xhigh: 'HIGH', max: 'HIGH' } as const

function thinkingOf(model: string, effort: ReasoningEffort | null | undefined): object | undefined {
  if (effort === null || effort === undefined) return undefined
  if (COUNTS_TOKENS.test(model)) return { thinkingBudget: BUDGETS[effort] }
  if (effort === 'none') throw unsupportedValue('reasoning_effort', 'This model can’t be told not to reason; the least is minimal.')
  return { thinkingLevel: LEVELS[effort] }
}

function formatOf({ response_format: format }: ChatRequest): object {
  if (format === null || format === undefined || format.type === 'text') return {}
  const json = { responseMimeType: 'application/json' }
  return format.type === 'json_object' ? json : { ...json, responseJsonSchema: format.json_schema.schema }
}
