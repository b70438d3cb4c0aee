/**
 * Owns saying a request of OpenAI's Responses API as a chat completion request, for providers that have none of their own. Refuses, by name, what
 * rests on state that only OpenAI keeps, and tools that only OpenAI runs.
 */
import { z } from 'zod'
import { read } from './asked.ts'
import { fields } from './json.ts'
import { strict } from './strict.ts'
import type { Asked } from './translation.ts'
import { unsupported } from './translation-error.ts'

const textPart = z.object({ type: z.enum(['input_text', 'output_text', 'text']), text: z.string() })
const refusalPart = z.object({ type: z.literal('refusal'), refusal: z.string() })
const imagePart = strict({ type: z.literal('input_image'), image_url: z.string(), detail: z.string().nullish() })
const filePart = strict({ type: z.literal('input_file'), file_data: z.string(), filename: z.string().nullish() })

const content = z.preprocess(
  (value) => (typeof value === 'string' ? [{ type: 'text', text: value }] : value),
  z.array(z.discriminatedUnion('type', [textPart, refusalPart, imagePart, filePart])),
)

/** Marks that items carry when they are handed back. */
const marks = { id: z.string().nullish(), status: z.string().nullish() }

const item = z.preprocess(
  (value) => ('type' in fields(value) ? value : { type: 'message', ...fields(value) }),
  z.discriminatedUnion('type', [
    strict({
      type: z.literal('message'),
      role: z.enum(['user', 'assistant', 'system', 'developer']),
      content,
      phase: z.string().nullish(),
      ...marks,
    }),
    strict({
      type: z.literal('function_call'),
      call_id: z.string().min(1),
      name: z.string().min(1),
      arguments: z.string(),
      extra_content: z.record(z.string(), z.unknown()).nullish(),
      parsed_arguments: z.unknown().optional(),
      ...marks,
    }),
    strict({
      type: z.literal('function_call_output'),
      call_id: z.string().min(1),
      output: z.preprocess((value) => (typeof value === 'string' ? [{ type: 'text', text: value }] : value), z.array(textPart)),
      ...marks,
    }),
    // Thoughts of one model tell another nothing.
    z.looseObject({ type: z.literal('reasoning') }),
    strict({ type: z.literal('item_reference'), id: z.string() }),
  ]),
)

const tool = strict({
  type: z.literal('function'),
  name: z.string().min(1),
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
  strict: z.boolean().nullish(),
})

const format = z.discriminatedUnion('type', [
  strict({ type: z.literal('text') }),
  strict({ type: z.literal('json_object') }),
  strict({
    type: z.literal('json_schema'),
    name: z.string(),
    schema: z.record(z.string(), z.unknown()),
    description: z.string().nullish(),
    strict: z.boolean().nullish(),
  }),
])

/** Loose: what else stands at its top is judged by `refuseOthers`. */
const responses = z.looseObject({
  model: z.string().min(1),
  input: z.preprocess((value) => (typeof value === 'string' ? [{ type: 'message', role: 'user', content: value }] : value), z.array(item)),
  instructions: z.string().nullish(),
  tools: z.array(tool).nullish(),
  tool_choice: z.union([z.enum(['none', 'auto', 'required']), strict({ type: z.literal('function'), name: z.string().min(1) })]).nullish(),
  text: strict({ format: format.nullish(), verbosity: z.unknown().optional() }).nullish(),
  reasoning: strict({ effort: z.string().nullish(), summary: z.string().nullish() }).nullish(),
})

type ResponsesRequest = z.output<typeof responses>
type Item = ResponsesRequest['input'][number]
type Part = z.output<typeof content>[number]

/** Said under the same name, or under another one, in a chat completion request, which judges them. */
const SAME = ['model', 'stream', 'temperature', 'top_p', 'parallel_tool_calls', 'user']
const TRANSLATED = ['input', 'instructions', 'tools', 'tool_choice', 'text', 'reasoning', 'max_output_tokens', 'stream_options']
/** About keeping, accounting and abuse at OpenAI. */
const NOTES = ['metadata', 'prompt_cache_key', 'prompt_cache_options', 'prompt_cache_retention', 'safety_identifier']

/** Thoughts in a sealed form are an offer to hand them back; without them nothing is lost but that. */
const INCLUDED = 'reasoning.encrypted_content'
const NEUTRAL: Readonly<Record<string, (value: unknown) => boolean>> = {
  background: (value) => value === false,
  include: (value) => Array.isArray(value) && value.every((one) => one === INCLUDED),
  service_tier: (value) => value === 'auto' || value === 'default',
  store: (value) => value === false,
  top_logprobs: (value) => value === 0,
  truncation: (value) => value === 'disabled',
}

/** @throws TranslationError */
export function chatAsked(asked: Asked): Asked {
  refuseOthers(asked)
  const request = read(responses, asked)
  const same = Object.fromEntries(SAME.flatMap((name) => (asked[name] === null || asked[name] === undefined ? [] : [[name, asked[name]]])))
  return {
    ...same,
    messages: messagesOf(request),
    ...(typeof asked['max_output_tokens'] === 'number' && { max_completion_tokens: asked['max_output_tokens'] }),
    ...toolsOf(request),
    ...textOf(request),
    ...(typeof request.reasoning?.effort === 'string' && { reasoning_effort: request.reasoning.effort }),
    ...(asked['stream'] === true && { stream_options: { include_usage: true } }),
  }
}

function refuseOthers(asked: Asked): void {
  for (const [param, value] of Object.entries(asked)) {
    if (value === null || value === undefined || [...SAME, ...TRANSLATED, ...NOTES].includes(param)) continue
    if (Object.hasOwn(NEUTRAL, param) && NEUTRAL[param]!(value)) continue
    throw unsupported(param, 'The provider keeps no responses and has no such parameter, so this request can’t be translated for it.')
  }
}

/** Of our answers, thoughts alone can be left out; what else was said is kept nowhere. */
function requireThought(id: string, where: string): void {
  if (!id.startsWith('rs_'))
    throw unsupported(where, 'Nothing is kept that this could refer to. With store: false, clients send the item itself.')
}

interface Message {
  readonly role: string
  content?: readonly object[] | null
  tool_call_id?: string
  tool_calls?: object[]
}

/** Calls that stand in a row were made together, with what was said right before them. */
function messagesOf({ input, instructions }: ResponsesRequest): readonly Message[] {
  const messages: Message[] = typeof instructions === 'string' ? [{ role: 'system', content: [{ type: 'text', text: instructions }] }] : []
  for (const [at, one] of input.entries()) {
    const last = messages.at(-1)
    if (one.type === 'item_reference') requireThought(one.id, `input[${at}]`)
    if (one.type === 'reasoning' || one.type === 'item_reference') continue
    if (one.type !== 'function_call') messages.push(messageOf(one))
    else if (last?.role === 'assistant') (last.tool_calls ??= []).push(callOf(one))
    else messages.push({ role: 'assistant', content: null, tool_calls: [callOf(one)] })
  }
  return messages
}

function callOf({ call_id: id, name, arguments: json, extra_content: extra }: Extract<Item, { type: 'function_call' }>): object {
  return {
    id,
    type: 'function',
    function: { name, arguments: json },
    ...(extra !== null && extra !== undefined && { extra_content: extra }),
  }
}

function messageOf(one: Extract<Item, { type: 'message' | 'function_call_output' }>): Message {
  if (one.type === 'message') return { role: one.role, content: one.content.map(partOf) }
  return { role: 'tool', tool_call_id: one.call_id, content: one.output.map(partOf) }
}

function partOf(part: Part): object {
  if (part.type === 'input_image') {
    const detail = typeof part.detail === 'string' ? { detail: part.detail } : {}
    return { type: 'image_url', image_url: { url: part.image_url, ...detail } }
  }
  if (part.type === 'input_file') {
    const filename = typeof part.filename === 'string' ? { filename: part.filename } : {}
    return { type: 'file', file: { file_data: part.file_data, ...filename } }
  }
  return part.type === 'refusal' ? { type: 'refusal', refusal: part.refusal } : { type: 'text', text: part.text }
}

function toolsOf({ tools, tool_choice: choice }: ResponsesRequest): object {
  if (tools === null || tools === undefined || tools.length === 0) return {}
  const chosen = typeof choice === 'object' && choice !== null ? { type: 'function', function: { name: choice.name } } : choice
  return {
    tools: tools.map(({ type, ...rest }) => ({
      type,
      function: Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null)),
    })),
    ...(chosen !== null && chosen !== undefined && { tool_choice: chosen }),
  }
}

function textOf({ text }: ResponsesRequest): object {
  const wanted = text?.format
  const verbosity = text?.verbosity === null || text?.verbosity === undefined ? {} : { verbosity: text.verbosity }
  if (wanted === null || wanted === undefined || wanted.type === 'text') return verbosity
  if (wanted.type === 'json_object') return { ...verbosity, response_format: wanted }
  const { type, ...schema } = wanted
  return { ...verbosity, response_format: { type, json_schema: schema } }
}
