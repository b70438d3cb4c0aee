/**
 * Owns saying an OpenAI chat completion request in the words of Anthropic's Messages API. Refuses, by name, what that API has no words for.
 * https://docs.anthropic.com/en/api/messages
 */
import { argumentsOf } from './arguments.ts'
import { isInstruction, readChat } from './asked.ts'
import type { AssistantMessage, ChatMessage, ChatPart, ChatRequest, ChatTool, Instruction } from './asked.ts'
import { inline, isWeb } from './data-url.ts'
import type { Asked, VendorRequest } from './translation.ts'
import { invalid, unsupported, unsupportedValue } from './translation-error.ts'
import { refuseUnspoken } from './unspoken.ts'

const SPOKEN = [
  'max_completion_tokens',
  'max_tokens',
  'parallel_tool_calls',
  'reasoning_effort',
  'response_format',
  'stop',
  'temperature',
  'tool_choice',
  'tools',
  'top_p',
]

/** Anthropic wants a limit where OpenAI wants none. Every model that it serves can answer this much. */
const DEFAULT_MAX_TOKENS = 16_384

/** @throws TranslationError */
export function anthropicRequest(asked: Asked): VendorRequest {
  const chat = readChat(asked)
  refuseUnspoken(chat, SPOKEN)
  return { path: '/v1/messages', headers: {}, body: messagesBody(chat) }
}

function messagesBody(chat: ChatRequest): object {
  const system = chat.messages.filter(isInstruction)
  const maxTokens = chat.max_completion_tokens ?? chat.max_tokens ?? DEFAULT_MAX_TOKENS
  return {
    model: chat.model,
    max_tokens: maxTokens,
    messages: turnsOf(chat.messages),
    ...(system.length > 0 && { system: system.flatMap(({ content }) => content.filter(({ text }) => text !== '').map(textBlock)) }),
    ...(typeof chat.stop === 'object' && chat.stop !== null && { stop_sequences: chat.stop }),
    ...sampling(chat),
    ...toolsOf(chat),
    ...effortOf(chat, maxTokens),
    ...(typeof chat.user === 'string' && { metadata: { user_id: chat.user } }),
    ...(chat.stream === true && { stream: true }),
  }
}

/** OpenAI's scale ends at 2, Anthropic's at 1: a hotter wish than that can't be told. */
function sampling({ temperature, top_p: topP }: ChatRequest): object {
  if (typeof temperature === 'number' && temperature > 1)
    throw unsupportedValue('temperature', 'For this provider it lies between 0 and 1.')
  return { ...(typeof temperature === 'number' && { temperature }), ...(typeof topP === 'number' && { top_p: topP }) }
}

/** What one side says, in Anthropic's blocks. */
export interface Turn {
  readonly role: 'user' | 'assistant'
  readonly content: object[]
}

/** Turns by turns: what several messages of one side say is one turn, as results of tools that were called together have to be. */
export function turnsOf(messages: readonly ChatMessage[]): readonly Turn[] {
  const turns: Turn[] = []
  messages.forEach((message, at) => {
    if (isInstruction(message)) return
    const role = message.role === 'assistant' ? 'assistant' : 'user'
    const blocks = blocksOf(message, `messages[${at}]`)
    if (blocks.length === 0) return
    const last = turns.at(-1)
    if (last?.role === role) last.content.push(...blocks)
    else turns.push({ role, content: blocks })
  })
  if (turns.length === 0)
    throw invalid('messages', 'For this provider there must be a message of the user or the assistant that is not empty.')
  return turns
}

function blocksOf(message: Exclude<ChatMessage, Instruction>, where: string): object[] {
  if (message.role === 'tool') {
    const content = message.content.filter(({ text }) => text !== '').map(textBlock)
    return [{ type: 'tool_result', tool_use_id: toolId(message.tool_call_id), ...(content.length > 0 && { content }) }]
  }
  if (message.role === 'assistant') return assistantBlocks(message, where)
  return message.content.flatMap((part, at) => {
    const block = blockOf(part, `${where}.content[${at}]`)
    return block === undefined ? [] : [block]
  })
}

function assistantBlocks(message: AssistantMessage, where: string): object[] {
  const said = message.content.map((part) => (part.type === 'refusal' ? { type: 'text' as const, text: part.refusal } : part))
  if (typeof message.refusal === 'string') said.push({ type: 'text', text: message.refusal })
  if ((message.images ?? []).length > 0) throw unsupported(`${where}.images`, 'This provider takes pictures from the user alone.')
  const calls = (message.tool_calls ?? []).map((call, at) => ({
    type: 'tool_use',
    id: toolId(call.id),
    name: call.function.name,
    input: argumentsOf(call.function.arguments, `${where}.tool_calls[${at}].function.arguments`),
  }))
  return [...said.filter(({ text }) => text !== '').map(textBlock), ...calls]
}

/** Anthropic allows letters, digits, `_` and `-`; other vendors' ids hold more. The same on a call and on its result. */
function toolId(id: string): string {
  return id.replaceAll(/[^\w-]/gu, '_')
}

interface Cached {
  readonly cache_control?: object | null | undefined
}

function cached({ cache_control: control }: Cached): object {
  return control === null || control === undefined ? {} : { cache_control: control }
}

function textBlock(part: Cached & { readonly text: string }): object {
  return { type: 'text', text: part.text, ...cached(part) }
}

/** Undefined for an empty text, which Anthropic refuses. */
function blockOf(part: ChatPart, where: string): object | undefined {
  if (part.type === 'text') return part.text === '' ? undefined : textBlock(part)
  if (part.type === 'image_url')
    return { type: 'image', source: imageSource(part.image_url.url, `${where}.image_url.url`), ...cached(part) }
  if (part.type === 'file') return { ...documentOf(part.file, `${where}.file`), ...cached(part) }
  throw unsupported(where, 'This provider takes no audio.')
}

function imageSource(url: string, where: string): object {
  if (isWeb(url)) return { type: 'url', url }
  const data = inline(url)
  if (data === undefined) throw invalid(where, 'An image is given by an http(s) URL or by a data: URL in base64.')
  return { type: 'base64', media_type: data.mediaType, data: data.base64 }
}

type FilePart = Extract<ChatPart, { type: 'file' }>['file']

function documentOf(file: FilePart, where: string): object {
  if (typeof file.file_id === 'string')
    throw unsupported(`${where}.file_id`, 'A file kept at OpenAI can’t be given to another provider; send file_data.')
  const data = inline(file.file_data ?? '')
  if (data === undefined) throw invalid(`${where}.file_data`, 'A file is given as a data: URL in base64.')
  const title = typeof file.filename === 'string' ? { title: file.filename } : {}
  if (data.mediaType === 'application/pdf')
    return { type: 'document', source: { type: 'base64', media_type: data.mediaType, data: data.base64 }, ...title }
  if (data.mediaType === 'text/plain') {
    const plain = Buffer.from(data.base64, 'base64').toString('utf8')
    return { type: 'document', source: { type: 'text', media_type: data.mediaType, data: plain }, ...title }
  }
  throw unsupportedValue(`${where}.file_data`, 'This provider takes application/pdf and text/plain.')
}

function toolsOf(chat: ChatRequest): object {
  if (chat.tools === null || chat.tools === undefined || chat.tools.length === 0) return {}
  const choice = choiceOf(chat)
  return { tools: chat.tools.map(toolOf), ...(choice !== undefined && { tool_choice: choice }) }
}

function toolOf(tool: ChatTool): object {
  const { name, description, parameters, strict } = tool.function
  return {
    name,
    ...(typeof description === 'string' && { description }),
    input_schema: { type: 'object', ...(parameters ?? { properties: {} }) },
    ...(strict === true && { strict: true }),
    ...cached(tool),
  }
}

const CHOICES = { auto: 'auto', none: 'none', required: 'any' } as const

function choiceOf({ tool_choice: choice, parallel_tool_calls: parallel }: ChatRequest): object | undefined {
  const alone = parallel === false
  if (choice === 'none') return { type: 'none' }
  if ((choice === null || choice === undefined) && !alone) return undefined
  const chosen =
    typeof choice === 'object' && choice !== null ? { type: 'tool', name: choice.function.name } : { type: CHOICES[choice ?? 'auto'] }
  return { ...chosen, ...(alone && { disable_parallel_tool_use: true }) }
}

/** Models before Claude 4.6 are told how many tokens to think; the later ones how hard. */
const COUNTS_TOKENS = /^claude-(?:[0-3]|[a-z]+-4(?:-[0-5])?(?:-\d{8}|-latest)?$)/u
const BUDGETS = { minimal: 1024, low: 2048, medium: 8192, high: 16_384, xhigh: 32_768, max: 65_536 } as const
const EFFORTS = { minimal: 'low', low: 'low', medium: 'medium', high: 'high', xhigh: 'xhigh', max: 'max' } as const
/** Anthropic's least. */
const LEAST_BUDGET = 1024

function effortOf(chat: ChatRequest, maxTokens: number): object {
  const format = formatOf(chat)
  const effort = chat.reasoning_effort
  if (effort === null || effort === undefined) return format === undefined ? {} : { output_config: { format } }
  if (effort === 'none') return { thinking: { type: 'disabled' }, ...(format !== undefined && { output_config: { format } }) }
  if (!COUNTS_TOKENS.test(chat.model))
    return { thinking: { type: 'adaptive' }, output_config: { effort: EFFORTS[effort], ...(format !== undefined && { format }) } }
  return { ...budgetOf(chat, BUDGETS[effort], maxTokens), ...(format !== undefined && { output_config: { format } }) }
}

/**
 * A turn that goes on after results of tools has to begin with the thoughts that led to the calls, and OpenAI's words have no place for those: it goes
 * on without.
 */
function budgetOf({ messages }: ChatRequest, wanted: number, maxTokens: number): object {
  if (messages.at(-1)?.role === 'tool') return {}
  // The limit counts thoughts and answer together: half of it stays for the answer.
  const budget = Math.min(wanted, Math.trunc(maxTokens / 2))
  if (budget < LEAST_BUDGET)
    throw unsupportedValue('reasoning_effort', 'For this model max_completion_tokens must be at least 2048 to reason.')
  return { thinking: { type: 'enabled', budget_tokens: budget } }
}

function formatOf({ response_format: format }: ChatRequest): object | undefined {
  if (format === null || format === undefined || format.type === 'text') return undefined
  if (format.type === 'json_object')
    throw unsupportedValue('response_format.type', 'This provider has no JSON mode without a schema; give a json_schema.')
  return { type: 'json_schema', schema: format.json_schema.schema }
}
