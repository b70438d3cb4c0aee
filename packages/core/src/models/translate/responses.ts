/**
 * Owns OpenAI's Responses API over chat completions, for providers that have none of their own: the answer in one piece, and streamed. Refuses an
 * answer whose text would fill memory, since its last event repeats all of it. Nothing is kept after it: `store` is false in every answer.
 */
import { count, fields, isObject, objects, text } from './json.ts'
import type { Json } from './json.ts'
import { chatAsked } from './responses-asked.ts'
import type { AnswerStream, Asked, CallerAnswer, Stamps, StreamFailure, Translation } from './translation.ts'
import { TranslationError } from './translation-error.ts'
import { UNREADABLE, failureAnswer } from './vendor-failure.ts'

export function responsesOver(chat: Translation, stamps: Stamps): Translation {
  return {
    native: false,
    request: (asked) => inItsOwnWords(() => chat.request(chatAsked(asked))),
    answer(status, json, asked) {
      const answered = chat.answer(status, json, asked)
      return answered.status === 200 ? responseOf(fields(answered.body), asked, stamps) : answered
    },
    stream: (asked) => new ResponseStream(chat.stream({ model: asked['model'], stream_options: { include_usage: true } }), asked, stamps),
  }
}

/** What a field of a chat completion request is called in a request for a response. */
const NAMES: Readonly<Record<string, string>> = {
  messages: 'input',
  max_completion_tokens: 'max_output_tokens',
  reasoning_effort: 'reasoning.effort',
  response_format: 'text.format',
  verbosity: 'text.verbosity',
}

/** A refusal names the field that the caller wrote. */
function inItsOwnWords<Made>(make: () => Made): Made {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof TranslationError) || error.param === null) throw error
    const [field = ''] = error.param.split(/[.[]/u, 1)
    throw Object.hasOwn(NAMES, field) ? new TranslationError(error.reason, NAMES[field]!, error.message) : error
  }
}

/** Why an answer is not whole, by how it ended. */
const INCOMPLETE: Readonly<Record<string, string>> = { length: 'max_output_tokens', content_filter: 'content_filter' }

/** What of its request a response repeats; see `envelope`. */
export const ECHOED = [
  'instructions',
  'max_output_tokens',
  'metadata',
  'parallel_tool_calls',
  'reasoning',
  'temperature',
  'text',
  'tool_choice',
  'tools',
  'top_p',
  'user',
] as const

/** What a response says of itself: its own state, and what was asked. */
function envelope(asked: Asked, own: { readonly id: string; readonly model: string; readonly created: number }): Json {
  return {
    id: own.id,
    object: 'response',
    created_at: own.created,
    status: 'in_progress',
    background: false,
    error: null,
    incomplete_details: null,
    instructions: asked['instructions'] ?? null,
    max_output_tokens: asked['max_output_tokens'] ?? null,
    metadata: asked['metadata'] ?? {},
    model: own.model,
    output: [],
    parallel_tool_calls: asked['parallel_tool_calls'] ?? true,
    previous_response_id: null,
    reasoning: { effort: fields(asked['reasoning'])['effort'] ?? null, summary: null },
    store: false,
    temperature: asked['temperature'] ?? null,
    text: { format: fields(asked['text'])['format'] ?? { type: 'text' } },
    tool_choice: asked['tool_choice'] ?? 'auto',
    tools: asked['tools'] ?? [],
    top_p: asked['top_p'] ?? null,
    truncation: 'disabled',
    usage: null,
    user: asked['user'] ?? null,
  }
}

function ended(finish: string | undefined): Json {
  const reason = finish !== undefined && Object.hasOwn(INCOMPLETE, finish) ? INCOMPLETE[finish] : undefined
  return reason === undefined ? { status: 'completed' } : { status: 'incomplete', incomplete_details: { reason } }
}

function usageOf(usage: Json): Json {
  return {
    input_tokens: count(usage['prompt_tokens']),
    input_tokens_details: { cached_tokens: count(fields(usage['prompt_tokens_details'])['cached_tokens']) },
    output_tokens: count(usage['completion_tokens']),
    output_tokens_details: { reasoning_tokens: count(fields(usage['completion_tokens_details'])['reasoning_tokens']) },
    total_tokens: count(usage['total_tokens']),
  }
}

function responseOf(completion: Json, asked: Asked, stamps: Stamps): CallerAnswer {
  const [choice] = objects(completion['choices'])
  if (choice === undefined) return failureAnswer(UNREADABLE)
  const message = fields(choice['message'])
  const own = { id: `resp_${stamps.id()}`, model: text(completion['model']) ?? '', created: stamps.seconds() }
  const said: Item[] = []
  const add = (kind: Kind, whole: unknown): void => {
    const words = text(whole)
    if (words !== undefined && words !== '') said.push(itemOf(kind, stamps, { text: words }))
  }
  add('reasoning', message['reasoning_content'])
  add('message', message['content'])
  add('refusal', message['refusal'])
  for (const call of objects(message['tool_calls'])) said.push(itemOf('call', stamps, calledBy(call)))
  const output = said.map((item) => written(item, 'completed'))
  return {
    status: 200,
    body: { ...envelope(asked, own), ...ended(text(choice['finish_reason'])), output, usage: usageOf(fields(completion['usage'])) },
  }
}

/** A message that says no is one too, with another part. */
type Kind = 'message' | 'refusal' | 'reasoning' | 'call'

/** One thing of an answer: what was said, thought or called. */
interface Item {
  readonly kind: Kind
  readonly id: string
  /** What was said so far; of a call, its arguments. */
  text: string
  readonly callId: string
  readonly name: string
  readonly extra: object | undefined
}

const PREFIXES: Readonly<Record<Kind, string>> = { message: 'msg', refusal: 'msg', reasoning: 'rs', call: 'fc' }

function itemOf(kind: Kind, stamps: Stamps, { text: said = '', callId = '', name = '', extra }: Partial<Item>): Item {
  return { kind, id: `${PREFIXES[kind]}_${stamps.id()}`, text: said, callId, name, extra }
}

/** What Google wants back with a call, and nothing else that a vendor may add. */
function extraOf(call: Json): object | undefined {
  const signature = text(fields(fields(call['extra_content'])['google'])['thought_signature'])
  return signature === undefined ? undefined : { google: { thought_signature: signature } }
}

function calledBy(call: Json): Partial<Item> {
  const called = fields(call['function'])
  return {
    callId: text(call['id']) ?? '',
    name: text(called['name']) ?? '',
    text: text(called['arguments']) ?? '',
    extra: extraOf(call),
  }
}

const PARTS: Readonly<Record<Exclude<Kind, 'call'>, (said: string) => object>> = {
  message: (said) => ({ type: 'output_text', text: said, annotations: [], logprobs: [] }),
  refusal: (said) => ({ type: 'refusal', refusal: said }),
  reasoning: (said) => ({ type: 'reasoning_text', text: said }),
}

function written({ kind, id, text: said, callId, name, extra }: Item, status: 'in_progress' | 'completed'): object {
  const begun = status === 'in_progress'
  if (kind === 'call') {
    return {
      id,
      type: 'function_call',
      status,
      call_id: callId,
      name,
      arguments: begun ? '' : said,
      ...(extra !== undefined && { extra_content: extra }),
    }
  }
  const content = begun ? [] : [PARTS[kind](said)]
  return kind === 'reasoning'
    ? { id, type: 'reasoning', status, summary: [], content }
    : { id, type: 'message', role: 'assistant', status, content }
}

/** How the events of each kind are called. */
const EVENTS: Readonly<Record<Kind, string>> = {
  message: 'response.output_text',
  refusal: 'response.refusal',
  reasoning: 'response.reasoning_text',
  call: 'response.function_call_arguments',
}
/** The field of a `done` event that repeats the whole. */
const WHOLE: Readonly<Record<Kind, string>> = { message: 'text', refusal: 'refusal', reasoning: 'text', call: 'arguments' }

/** What an answer may hold, in UTF-16 units. */
const MAX_CHARS = 16 * 1024 * 1024
/** What an item costs beside its text, so that empty ones count too. */
const PER_ITEM = 256

class ResponseStream implements AnswerStream {
  readonly #chat: AnswerStream
  readonly #asked: Asked
  readonly #stamps: Stamps
  readonly #own: { readonly id: string; model: string; readonly created: number }
  readonly #items: Item[] = []
  readonly #calls = new Map<number, Item>()
  #open: Item | undefined
  #sequence = 0
  #chars = 0
  #finish: string | undefined
  #usage: Json = {}
  #failure: StreamFailure | undefined

  constructor(chat: AnswerStream, asked: Asked, stamps: Stamps) {
    this.#chat = chat
    this.#asked = asked
    this.#stamps = stamps
    this.#own = { id: `resp_${stamps.id()}`, model: text(asked['model']) ?? '', created: stamps.seconds() }
  }

  get failure(): StreamFailure | undefined {
    return this.#failure
  }

  push(bytes: Uint8Array): readonly object[] {
    if (this.#failure !== undefined) return []
    return this.#chat.push(bytes).flatMap((chunk) => this.#chunk(fields(chunk)))
  }

  end(): readonly object[] {
    if (this.#failure !== undefined) return []
    const events = this.#chat.end().flatMap((chunk) => this.#chunk(fields(chunk)))
    return this.#failure === undefined ? [...events, ...this.#begin(), ...this.#close(), ...this.#closeCalls(), this.#last()] : events
  }

  #event(type: string, more: Json): object {
    return { type, sequence_number: this.#sequence++, ...more }
  }

  #begin(): object[] {
    if (this.#sequence > 0) return []
    const response = envelope(this.#asked, this.#own)
    return [this.#event('response.created', { response }), this.#event('response.in_progress', { response })]
  }

  #chunk(chunk: Json): object[] {
    if (this.#failure !== undefined) return []
    if (isObject(chunk['error'])) return this.#fail(chunk['error'], this.#chat.failure)
    if (isObject(chunk['usage'])) this.#usage = chunk['usage']
    this.#own.model = text(chunk['model']) ?? this.#own.model
    const [choice] = objects(chunk['choices'])
    if (choice === undefined) return this.#begin()
    this.#finish = text(choice['finish_reason']) ?? this.#finish
    return [...this.#begin(), ...this.#delta(fields(choice['delta']))]
  }

  #fail(error: Json, failure: StreamFailure | undefined): object[] {
    this.#failure = failure ?? UNREADABLE
    return [...this.#begin(), this.#event('error', { code: error['code'] ?? null, message: error['message'] ?? '', param: null })]
  }

  #delta(delta: Json): object[] {
    return [
      ...this.#say('reasoning', text(delta['reasoning_content'])),
      ...this.#say('message', text(delta['content'])),
      ...this.#say('refusal', text(delta['refusal'])),
      ...objects(delta['tool_calls']).flatMap((call) => this.#call(call)),
    ]
  }

  #say(kind: Kind, said: string | undefined): object[] {
    if (said === undefined || said === '') return []
    const opened = this.#open?.kind === kind ? [] : [...this.#close(), ...this.#add((this.#open = itemOf(kind, this.#stamps, {})))]
    return [...opened, ...this.#more(this.#open, said)]
  }

  /** Fragments of calls that are made side by side come in turns, so calls stay open until the answer ends. */
  #call(call: Json): object[] {
    const index = count(call['index'])
    const { text: fragment = '', ...called } = calledBy(call)
    const known = this.#calls.get(index)
    if (known !== undefined) return this.#more(known, fragment)
    const item = itemOf('call', this.#stamps, called)
    this.#calls.set(index, item)
    return [...this.#close(), ...this.#add(item), ...this.#more(item, fragment)]
  }

  #place(item: Item): Json {
    const at = { item_id: item.id, output_index: this.#items.indexOf(item) }
    return item.kind === 'call' ? at : { ...at, content_index: 0 }
  }

  #add(item: Item): object[] {
    this.#items.push(item)
    this.#chars += PER_ITEM + item.name.length + item.callId.length
    const added = this.#event('response.output_item.added', { output_index: this.#items.length - 1, item: written(item, 'in_progress') })
    if (item.kind === 'call') return [added]
    return [added, this.#event('response.content_part.added', { ...this.#place(item), part: PARTS[item.kind]('') })]
  }

  #more(item: Item, fragment: string): object[] {
    if (fragment === '') return []
    this.#chars += fragment.length
    if (this.#chars > MAX_CHARS) return this.#fail({ code: UNREADABLE.code, message: UNREADABLE.message }, UNREADABLE)
    item.text += fragment
    const logprobs = item.kind === 'message' ? { logprobs: [] } : {}
    return [this.#event(`${EVENTS[item.kind]}.delta`, { ...this.#place(item), delta: fragment, ...logprobs })]
  }

  #close(): object[] {
    const item = this.#open
    this.#open = undefined
    return item === undefined ? [] : this.#done(item)
  }

  #closeCalls(): object[] {
    return [...this.#calls.values()].flatMap((item) => this.#done(item))
  }

  #done(item: Item): object[] {
    const place = this.#place(item)
    const logprobs = item.kind === 'message' ? { logprobs: [] } : {}
    // In the order in which they are numbered.
    return [
      this.#event(`${EVENTS[item.kind]}.done`, { ...place, [WHOLE[item.kind]]: item.text, ...logprobs }),
      ...(item.kind === 'call' ? [] : [this.#event('response.content_part.done', { ...place, part: PARTS[item.kind](item.text) })]),
      this.#event('response.output_item.done', { output_index: place['output_index'], item: written(item, 'completed') }),
    ]
  }

  #last(): object {
    const end = ended(this.#finish)
    const output = this.#items.map((item) => written(item, 'completed'))
    const response = { ...envelope(this.#asked, this.#own), ...end, output, usage: usageOf(this.#usage) }
    return this.#event(end['status'] === 'completed' ? 'response.completed' : 'response.incomplete', { response })
  }
}
