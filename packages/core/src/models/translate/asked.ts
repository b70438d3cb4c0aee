/**
 * Owns the form of OpenAI's chat completion request, as far as it is translated: every message, part and tool, with contents always as lists of parts.
 * Refuses, by the field's name, what is not of that form. What of it a vendor can't be told is the vendor's file to refuse.
 */
import { z } from 'zod'
import { fields } from './json.ts'
import type { Json } from './json.ts'
import { strict } from './strict.ts'
import type { Asked } from './translation.ts'
import { TranslationError, invalid, unsupported } from './translation-error.ts'

/** Hints about keeping a prompt, which change no answer. `cache_control` is Anthropic's own and goes to it. */
const hints = {
  cache_control: z.looseObject({ type: z.string() }).nullish(),
  prompt_cache_breakpoint: z.unknown().optional(),
}
const textPart = strict({ type: z.literal('text'), text: z.string(), ...hints })
const refusalPart = strict({ type: z.literal('refusal'), refusal: z.string() })
const imagePart = strict({
  type: z.literal('image_url'),
  image_url: strict({ url: z.string(), detail: z.string().nullish() }),
  ...hints,
})
const filePart = strict({
  type: z.literal('file'),
  file: strict({ file_data: z.string().nullish(), file_id: z.string().nullish(), filename: z.string().nullish() }),
  ...hints,
})
const audioPart = strict({
  type: z.literal('input_audio'),
  input_audio: strict({ data: z.string(), format: z.string() }),
  ...hints,
})

/** A plain text stands for one part. */
const parts = <Part extends z.ZodType>(part: Part) =>
  z.preprocess((content) => (typeof content === 'string' ? [{ type: 'text', text: content }] : content), z.array(part))

const toolCall = strict({
  id: z.string().min(1),
  type: z.literal('function'),
  function: strict({ name: z.string().min(1), arguments: z.string(), parsed_arguments: z.unknown().optional() }),
  /** What a vendor wants back with the call; see gemini.ts. */
  extra_content: z.record(z.string(), z.unknown()).nullish(),
  /** Streamed calls that were put together keep theirs. */
  index: z.number().nullish(),
})

const message = z.discriminatedUnion('role', [
  strict({ role: z.enum(['system', 'developer']), content: parts(textPart), name: z.string().nullish() }),
  strict({
    role: z.literal('user'),
    content: parts(z.discriminatedUnion('type', [textPart, imagePart, filePart, audioPart])),
    name: z.string().nullish(),
  }),
  strict({
    role: z.literal('assistant'),
    content: z.preprocess((content) => content ?? [], parts(z.discriminatedUnion('type', [textPart, refusalPart]))).default([]),
    refusal: z.string().nullish(),
    tool_calls: z.array(toolCall).nullish(),
    name: z.string().nullish(),
    // What answers carry, or OpenAI's client adds to them, and callers hand back as it came.
    reasoning_content: z.string().nullish(),
    // As Groq and OpenRouter call thoughts.
    reasoning: z.unknown().optional(),
    reasoning_details: z.unknown().optional(),
    annotations: z.array(z.unknown()).nullish(),
    images: z.array(imagePart).nullish(),
    parsed: z.unknown().optional(),
  }),
  strict({ role: z.literal('tool'), tool_call_id: z.string().min(1), content: parts(textPart), name: z.string().nullish() }),
])

const tool = strict({
  type: z.literal('function'),
  function: strict({
    name: z.string().min(1),
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
    strict: z.boolean().nullish(),
  }),
  cache_control: hints.cache_control,
})

const responseFormat = z.discriminatedUnion('type', [
  strict({ type: z.literal('text') }),
  strict({ type: z.literal('json_object') }),
  strict({
    type: z.literal('json_schema'),
    json_schema: strict({
      name: z.string(),
      description: z.string().nullish(),
      schema: z.record(z.string(), z.unknown()),
      strict: z.boolean().nullish(),
    }),
  }),
])

const stop = z.preprocess((value) => (typeof value === 'string' ? [value] : value), z.array(z.string()))
const tokens = z.number().int().min(1)

/** Loose: what else stands at its top is judged by `refuseUnspoken`. */
const chat = z.looseObject({
  model: z.string().min(1),
  messages: z.array(message).min(1),
  max_tokens: tokens.nullish(),
  max_completion_tokens: tokens.nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  stop: stop.nullish(),
  n: z.number().int().min(1).max(128).nullish(),
  seed: z.number().int().nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  reasoning_effort: z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']).nullish(),
  response_format: responseFormat.nullish(),
  tools: z.array(tool).nullish(),
  tool_choice: z
    .union([z.enum(['none', 'auto', 'required']), strict({ type: z.literal('function'), function: strict({ name: z.string().min(1) }) })])
    .nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  user: z.string().nullish(),
})

/** A chat completion request whose parts were read. */
export type ChatRequest = z.output<typeof chat>
export type ChatMessage = ChatRequest['messages'][number]
export type AssistantMessage = Extract<ChatMessage, { role: 'assistant' }>
export type Instruction = Extract<ChatMessage, { role: 'system' | 'developer' }>
export type ChatPart = Extract<ChatMessage, { role: 'user' }>['content'][number]
export type ChatTool = NonNullable<ChatRequest['tools']>[number]
export type ReasoningEffort = NonNullable<ChatRequest['reasoning_effort']>

/** What the operator of an application says, wherever it stands. */
export function isInstruction(message: ChatMessage): message is Instruction {
  return message.role === 'system' || message.role === 'developer'
}

/** @throws TranslationError by the first field that is not of the form. */
export function readChat(asked: Asked): ChatRequest {
  const chosen = read(chat, asked)
  refuseContradiction(chosen)
  return chosen
}

/** What OpenAI refuses too, and what would be passed over elsewhere. */
function refuseContradiction({ max_tokens: older, max_completion_tokens: limit, tool_choice: choice, tools }: ChatRequest): void {
  if (typeof older === 'number' && typeof limit === 'number' && older !== limit)
    throw invalid('max_tokens', 'It says otherwise than max_completion_tokens, in whose place it once stood: send one of them.')
  if ((tools ?? []).length > 0 || choice === null || choice === undefined || choice === 'none' || choice === 'auto') return
  throw invalid('tool_choice', 'There are no tools to choose from.')
}

/** @throws TranslationError by the first field that is not of the form. */
export function read<Schema extends z.ZodType>(schema: Schema, asked: unknown): z.output<Schema> {
  const result = schema.safeParse(asked)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw refusalOf(issue!, fields(asked))
}

function refusalOf(issue: z.core.$ZodIssue, asked: Json): TranslationError {
  const [first] = issue.path
  if (issue.code === 'unrecognized_keys') {
    return unsupported(paramOf([...issue.path, issue.keys[0]!]), 'This field can’t be translated for the provider.')
  }
  if (issue.path.length === 1 && typeof first === 'string' && asked[first] === undefined) {
    return new TranslationError('missing_required_parameter', first, `Missing required parameter: ${first}.`)
  }
  return invalid(paramOf(issue.path), 'This field’s value is none of the API’s, or can’t be translated for the provider.')
}

/** As OpenAI writes it: `messages[0].content`. */
function paramOf(path: readonly PropertyKey[]): string {
  return path.map((step, at) => (typeof step === 'number' ? `[${step}]` : `${at === 0 ? '' : '.'}${String(step)}`)).join('')
}
