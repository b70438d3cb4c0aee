/**
 * Owns reading Anthropic's answers, in one piece and streamed, into OpenAI's words. Refuses to throw at anything that a vendor could send.
 * https://docs.anthropic.com/en/docs/build-with-claude/streaming
 */
import { eventStream } from '../event-stream.ts'
import { Chunks, callBegins, callGoesOn, completion } from './completion.ts'
import type { CalledTool, Choice, FinishReason, TokenCounts } from './completion.ts'
import { eventAnswer } from './event-answer.ts'
import type { VendorEvents } from './event-answer.ts'
import { count, fields, isObject, objects, text } from './json.ts'
import type { Json } from './json.ts'
import type { AnswerStream, Asked, CallerAnswer, Stamps } from './translation.ts'
import { UNREADABLE, failure, failureAnswer } from './vendor-failure.ts'
import type { VendorFailure } from './vendor-failure.ts'

const FINISH: Readonly<Record<string, FinishReason>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  pause_turn: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  refusal: 'content_filter',
}

function finishOf(reason: unknown): FinishReason {
  const name = text(reason) ?? ''
  return Object.hasOwn(FINISH, name) ? FINISH[name]! : 'stop'
}

/** What each of its errors would have been as a status, for those that come inside a stream. */
const STATUS: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529,
}

function failureOf(status: number | undefined, json: unknown): VendorFailure {
  const error = fields(fields(json)['error'])
  const type = text(error['type']) ?? ''
  return failure(status ?? (Object.hasOwn(STATUS, type) ? STATUS[type]! : 500), text(error['message']), type)
}

/** Its counts leave out of the input what was kept; OpenAI's leave it in. Null and absent counts are 0. */
function countsOf(usage: Json): TokenCounts {
  const cached = count(usage['cache_read_input_tokens'])
  const written = count(usage['cache_creation_input_tokens'])
  const thinking = fields(usage['output_tokens_details'])['thinking_tokens']
  return {
    prompt: count(usage['input_tokens']) + cached + written,
    cached,
    written,
    completion: count(usage['output_tokens']),
    reasoning: typeof thinking === 'number' ? count(thinking) : undefined,
  }
}

/** Of the Messages API. */
export function anthropicAnswer(status: number, json: unknown, asked: Asked, stamps: Stamps): CallerAnswer {
  if (status !== 200) return failureAnswer(failureOf(status, json))
  const message = fields(json)
  if (!Array.isArray(message['content'])) return failureAnswer(UNREADABLE)
  const from = { id: text(message['id']), model: text(message['model']), asked, stamps }
  return { status, body: completion(from, [choiceOf(message)], countsOf(fields(message['usage']))) }
}

const joined = (blocks: readonly Json[], type: string, field: string): string | undefined => {
  const texts = blocks.filter((block) => block['type'] === type).map((block) => text(block[field]) ?? '')
  return texts.length === 0 ? undefined : texts.join('')
}

function choiceOf(message: Json): Choice {
  const blocks = objects(message['content'])
  return {
    content: joined(blocks, 'text', 'text') ?? null,
    reasoning: joined(blocks, 'thinking', 'thinking'),
    refusal: text(fields(message['stop_details'])['explanation']) ?? null,
    calls: blocks.filter(({ type }) => type === 'tool_use').map((block) => callOf(block, JSON.stringify(block['input'] ?? {}))),
    finish: finishOf(message['stop_reason']),
  }
}

function callOf(block: Json, json: string): CalledTool {
  return { id: text(block['id']) ?? '', type: 'function', function: { name: text(block['name']) ?? '', arguments: json } }
}

/** Of the Messages API, streamed. */
export function anthropicStream(asked: Asked, stamps: Stamps): AnswerStream {
  return eventAnswer(eventStream(), new MessageEvents(new Chunks(asked, stamps)))
}

const COUNTED = ['input_tokens', 'cache_read_input_tokens', 'cache_creation_input_tokens', 'output_tokens', 'output_tokens_details']
/** Calls that may be open side by side: more is no answer but an attack on memory. */
const MAX_OPEN = 1024

/** A call under way: its place among the calls, and whether any of its arguments came. */
interface OpenCall {
  readonly at: number
  begun: boolean
}

/** Blocks of one answer may be open side by side: each is told by its own index. */
export class MessageEvents implements VendorEvents {
  readonly #chunks: Chunks
  readonly #calls = new Map<unknown, OpenCall>()
  #called = 0
  readonly #usage: Record<string, unknown> = {}
  #stopped = false

  constructor(chunks: Chunks) {
    this.#chunks = chunks
  }

  read(event: Json): readonly object[] | VendorFailure {
    switch (event['type']) {
      case 'message_start':
        return this.#start(fields(event['message']))
      case 'content_block_start':
        return this.#blockStart(event['index'], fields(event['content_block']))
      case 'content_block_delta':
        return this.#blockDelta(event['index'], fields(event['delta']))
      case 'content_block_stop':
        return this.#blockStop(event['index'])
      case 'message_delta':
        return this.#stop(fields(event['delta']), fields(event['usage']))
      case 'message_stop':
        this.#stopped = true
        return []
      case 'error':
        return failureOf(undefined, event)
      default:
        // `ping`, and what the API may bring: its versioning rules have clients pass over events that they do not know.
        return []
    }
  }

  finish(): readonly object[] | undefined {
    return this.#stopped ? this.#chunks.usage(countsOf(this.#usage)) : undefined
  }

  #start(message: Json): readonly object[] {
    this.#chunks.named(text(message['id']), text(message['model']))
    this.#count(fields(message['usage']))
    return [this.#chunks.delta({ role: 'assistant', content: '' })]
  }

  /** Later counts replace earlier ones; those that a later event leaves out stay. */
  #count(usage: Json): void {
    for (const counted of COUNTED) if (usage[counted] !== null && usage[counted] !== undefined) this.#usage[counted] = usage[counted]
  }

  #blockStart(index: unknown, block: Json): readonly object[] | VendorFailure {
    if (block['type'] === 'tool_use') {
      if (this.#calls.size >= MAX_OPEN) return UNREADABLE
      const call = { at: this.#called++, begun: false }
      this.#calls.set(index, call)
      const begins = this.#chunks.delta(callBegins(call.at, callOf(block, '')))
      const input = block['input']
      if (!isObject(input) || Object.keys(input).length === 0) return [begins]
      call.begun = true
      return [begins, this.#chunks.delta(callGoesOn(call.at, JSON.stringify(input)))]
    }
    return this.#texts(text(block['text']), text(block['thinking']))
  }

  #blockDelta(index: unknown, delta: Json): readonly object[] {
    const fragment = text(delta['partial_json'])
    if (fragment === undefined) return this.#texts(text(delta['text']), text(delta['thinking']))
    const call = this.#calls.get(index)
    if (call === undefined || fragment === '') return []
    call.begun = true
    return [this.#chunks.delta(callGoesOn(call.at, fragment))]
  }

  #texts(said: string | undefined, thought: string | undefined): readonly object[] {
    if (said !== undefined && said !== '') return [this.#chunks.delta({ content: said })]
    if (thought !== undefined && thought !== '') return [this.#chunks.delta({ reasoning_content: thought })]
    return []
  }

  /** A call without arguments has an empty object for its arguments, and callers parse them. */
  #blockStop(index: unknown): readonly object[] {
    const call = this.#calls.get(index)
    this.#calls.delete(index)
    return call === undefined || call.begun ? [] : [this.#chunks.delta(callGoesOn(call.at, '{}'))]
  }

  #stop(delta: Json, usage: Json): readonly object[] {
    this.#count(usage)
    if (text(delta['stop_reason']) === undefined) return []
    const why = text(fields(delta['stop_details'])['explanation'])
    const refused = why === undefined ? [] : [this.#chunks.delta({ refusal: why })]
    return [...refused, this.#chunks.delta({}, finishOf(delta['stop_reason']))]
  }
}
