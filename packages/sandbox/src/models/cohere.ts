/**
 * Owns Cohere's API as its description has it: `/v2/chat` and `/v2/embed` in Cohere's own words, and OpenAI's chat and embeddings at `/compatibility/v1`
 * with what its page of them takes. https://github.com/cohere-ai/cohere-developer-experience (cohere-openapi.yaml, compatibility-api)
 */
import { embedding, reply, wordsOf } from './mind.ts'
import type { Question, Reply, Turn } from './mind.ts'
import { chatOptional, chatRequired, halves, operations } from './openai.ts'
import { either, fields, flag, listOf, number, object, oneOf, text, variants } from './shapes.ts'
import type { Shape } from './shapes.ts'
import { bearer, event, eventStream, json, listIn, mediaOf, nextId, recordOf, sentKeyFault, toolOf } from './vendor.ts'
import type { Answer, Call, Fields, Models, Refusal, Vendor } from './vendor.ts'

const textPart = fields({ type: text, text })
const said = variants('type', {
  text: textPart,
  image_url: fields({ type: text, image_url: fields({ url: text }, { detail: oneOf('auto', 'low', 'high') }) }),
})
const call = fields({ id: text, type: oneOf('function') }, { function: fields({}, { name: text, arguments: text }) })
const message = variants('role', {
  system: fields({ role: text, content: either(text, listOf(variants('type', { text: textPart }))) }),
  user: fields({ role: text, content: either(text, listOf(said)) }),
  assistant: fields(
    { role: text },
    {
      content: either(text, listOf(variants('type', { text: textPart, thinking: fields({ type: text, thinking: text }) }))),
      tool_calls: listOf(call),
      tool_plan: text,
      citations: listOf(object),
    },
  ),
  tool: fields({
    role: text,
    tool_call_id: text,
    content: either(text, listOf(variants('type', { text: textPart, document: fields({ type: text, document: object }) }))),
  }),
})
const declared = fields(
  { type: oneOf('function') },
  { function: fields({ name: text, parameters: object }, { description: text, strict: flag }) },
)
const chatShape = fields(
  { model: text, messages: listOf(message, 1) },
  {
    citation_options: object,
    documents: listOf(either(text, object)),
    frequency_penalty: number(0, 1),
    k: number(0, 500),
    logprobs: flag,
    max_tokens: number(1),
    p: number(0.01, 0.99),
    presence_penalty: number(0, 1),
    priority: number(0, 999),
    response_format: object,
    safety_mode: oneOf('CONTEXTUAL', 'STRICT', 'OFF'),
    seed: number(0),
    stop_sequences: listOf(text),
    stream: flag,
    strict_tools: flag,
    temperature: number(0, 1),
    thinking: fields({ type: oneOf('enabled', 'disabled') }, { token_budget: number(1) }),
    tool_choice: oneOf('REQUIRED', 'NONE'),
    tools: listOf(declared),
  },
)
const embedShape = fields(
  { model: text, input_type: oneOf('search_document', 'search_query', 'classification', 'clustering', 'image') },
  {
    texts: listOf(text, 1),
    images: listOf(text, 1),
    inputs: listOf(object),
    max_tokens: number(1),
    output_dimension: number(1, 1536),
    embedding_types: listOf(oneOf('float', 'int8', 'uint8', 'binary', 'ubinary', 'base64')),
    truncate: oneOf('NONE', 'START', 'END'),
    priority: number(0, 999),
  },
)

/** Of OpenAI's requests: what the page names as not taken, and `stream_options`, which it does not name. */
const NOT_TAKEN: readonly string[] = [
  'logit_bias',
  'metadata',
  'modalities',
  'n',
  'parallel_tool_calls',
  'service_tier',
  'store',
  'stream_options',
  'top_logprobs',
]
const taken = Object.fromEntries(Object.entries(chatOptional).filter(([name]) => !NOT_TAKEN.includes(name)))
const compatibleChat = fields(chatRequired, { ...taken, reasoning_effort: oneOf('none', 'high') })
const compatibleEmbeddings = fields({ model: text, input: either(text, listOf(text, 1)) }, { encoding_format: oneOf('float', 'base64') })

export const cohere: Vendor = {
  keyFault: (sent, key) => sentKeyFault(bearer(sent), key),
  refuse,
  answer(sent, models) {
    switch (`${sent.method} ${sent.path}`) {
      case 'POST /v2/chat':
        return asked(sent, chatShape, models.chat, chat)
      case 'POST /v2/embed':
        return asked(sent, embedShape, models.embedding, embedded)
      case 'GET /v1/models':
        return json(200, { models: models.chat.map((name) => ({ name, endpoints: ['chat'], finetuned: false })) })
      case 'POST /compatibility/v1/chat/completions':
        return compatible(sent, models)
      case 'POST /compatibility/v1/embeddings':
        return operations.embeddings(sent, models, compatibleEmbeddings)
      default:
        return { why: 'not found' }
    }
  },
}

function asked(sent: Call, shape: Shape, known: readonly string[], how: (body: Fields) => Answer): Answer | Refusal {
  if (sent.body.kind === 'too large') return { why: 'too large' }
  if (sent.body.kind !== 'json') return { why: 'not json' }
  const fault = shape(sent.body.value, '')
  if (fault !== undefined) return { why: 'fault', fault }
  const body = recordOf(sent.body.value)
  const model = String(body['model'])
  return known.includes(model) ? how(body) : { why: 'no model', model }
}

/** The end of a stream says what it used, though nobody can ask for it. */
function compatible(sent: Call, models: Models): Answer | Refusal {
  const answer = operations.chat(sent, models, compatibleChat)
  if ('why' in answer || answer.pieces === undefined || sent.body.kind !== 'json') return answer
  const value = { ...recordOf(sent.body.value), stream_options: { include_usage: true } }
  return operations.chat({ ...sent, body: { ...sent.body, value } }, models)
}

function chat(body: Fields): Answer {
  const question: Question = {
    turns: listIn(body['messages']).map(turnOf),
    tools:
      body['tool_choice'] === 'NONE'
        ? []
        : listIn(body['tools']).map(({ function: one }) => toolOf(recordOf(one)['name'], recordOf(one)['parameters'])),
    most: (body['max_tokens'] ?? undefined) as number | undefined,
  }
  const spoken = reply(question)
  const id = nextId('')
  if (body['stream'] === true) return eventStream(eventsOf(spoken, id))
  const saying =
    spoken.call === undefined
      ? { role: 'assistant', content: [{ type: 'text', text: spoken.words.join('') }] }
      : { role: 'assistant', tool_plan: 'I will ask the tool.', tool_calls: [callOf(spoken.call)] }
  return json(200, { id, message: saying, finish_reason: finishOf(spoken), usage: usageOf(spoken) })
}

function eventsOf(spoken: Reply, id: string): readonly string[] {
  const one = (type: string, more: object = {}): string => event({ type, ...more }, type)
  const delta = (saying: object): object => ({ delta: { message: saying } })
  const between =
    spoken.call === undefined
      ? [
          one('content-start', { index: 0, ...delta({ content: { type: 'text', text: '' } }) }),
          ...spoken.words.map((word) => one('content-delta', { index: 0, ...delta({ content: { text: word } }) })),
          one('content-end', { index: 0 }),
        ]
      : toolEvents(callOf(spoken.call)).map(([type, more]) => one(type, more))
  return [
    one('message-start', { id, delta: { message: { role: 'assistant', content: [], tool_plan: '', tool_calls: [], citations: [] } } }),
    ...between,
    one('message-end', { delta: { finish_reason: finishOf(spoken), usage: usageOf(spoken) } }),
  ]
}

function toolEvents(calling: ReturnType<typeof callOf>): readonly (readonly [string, object])[] {
  const of = (tool_calls: object): object => ({ index: 0, delta: { message: { tool_calls } } })
  const begun = { ...calling, function: { ...calling.function, arguments: '' } }
  return [
    ['tool-plan-delta', { delta: { message: { tool_plan: 'I will ask the tool.' } } }],
    ['tool-call-start', of(begun)],
    ...halves(calling.function.arguments).map((half) => ['tool-call-delta', of({ function: { arguments: half } })] as const),
    ['tool-call-end', { index: 0 }],
  ]
}

function embedded(body: Fields): Answer {
  const texts = Array.isArray(body['texts']) ? (body['texts'] as readonly string[]) : []
  const dimensions = (body['output_dimension'] as number | undefined) ?? 8
  const input_tokens = texts.reduce((sum, one) => sum + wordsOf(one).length, 0)
  const meta = { api_version: { version: '2' }, billed_units: { input_tokens } }
  const float = texts.map((one) => embedding(one, dimensions))
  return json(200, { id: nextId(''), response_type: 'embeddings_by_type', embeddings: { float }, texts, meta })
}

function turnOf(one: Fields): Turn {
  const role = one['role'] as Turn['role']
  if (typeof one['content'] === 'string') return { role, text: one['content'], media: [] }
  const parts = listIn(one['content'])
  const texts = parts.map((part) => part['text']).filter((part) => typeof part === 'string')
  const images = parts.map((part) => recordOf(part['image_url'])['url']).filter((url) => url !== undefined)
  return { role, text: texts.join(' '), media: images.map(mediaOf) }
}

function callOf({ name, args }: NonNullable<Reply['call']>) {
  return { id: nextId(`${name}_`), type: 'function', function: { name, arguments: JSON.stringify(args) } }
}

function finishOf({ call: calling, cut }: Reply): string {
  if (calling !== undefined) return 'TOOL_CALL'
  return cut ? 'MAX_TOKENS' : 'COMPLETE'
}

function usageOf({ tokens: { input, output } }: Reply): object {
  const counted = { input_tokens: input, output_tokens: output }
  return { billed_units: counted, tokens: counted, cached_tokens: 0 }
}

function refuse(refusal: Refusal): Answer {
  const error = (status: number, words: string): Answer => json(status, { id: nextId(''), message: words })
  switch (refusal.why) {
    case 'no key':
      return error(401, 'no api key supplied')
    case 'wrong key':
      return error(401, 'invalid api token')
    case 'not found':
      return error(404, 'not found')
    case 'not json':
      return error(400, 'invalid request: the body is no JSON')
    case 'too large':
      return error(413, 'the request is too large')
    case 'no model':
      return error(404, `model '${refusal.model}' not found`)
    default: {
      const { kind, at, wanted } = refusal.fault
      if (kind === 'missing') return error(400, `invalid request: ${at} is required`)
      if (kind === 'unknown') return error(422, `unknown field: parameter '${at}' is not a valid field`)
      return error(400, `invalid type: parameter '${at}' should be ${wanted}`)
    }
  }
}
