/**
 * Owns OpenAI's API as its reference describes it: chat completions, responses, embeddings, models, files and transcriptions.
 * https://platform.openai.com/docs/api-reference
 */
import { embedding, reply, wordsOf } from './mind.ts'
import type { Question, Reply, Turn } from './mind.ts'
import { anything, either, fields, flag, listOf, number, object, oneOf, text, variants } from './shapes.ts'
import type { Shape } from './shapes.ts'
import { bearer, event, eventStream, json, listIn, mediaOf, nextId, nowSeconds, recordOf, sentKeyFault, toolOf } from './vendor.ts'
import type { Answer, Call, Fields, Models, Refusal, Vendor } from './vendor.ts'

const part = variants('type', {
  text: fields({ type: text, text }),
  image_url: fields({ type: text, image_url: fields({ url: text }, { detail: text }) }),
  input_audio: fields({ type: text, input_audio: fields({ data: text, format: oneOf('wav', 'mp3') }) }),
  file: fields({ type: text, file: object }),
})
const content = either(text, listOf(part, 1))
const toolCall = fields({ id: text, type: oneOf('function'), function: fields({ name: text, arguments: text }) })
const message = variants('role', {
  developer: fields({ role: text, content }, { name: text }),
  system: fields({ role: text, content }, { name: text }),
  user: fields({ role: text, content }, { name: text }),
  assistant: fields(
    { role: text },
    { content, name: text, refusal: text, tool_calls: listOf(toolCall, 1), audio: object, annotations: anything },
  ),
  tool: fields({ role: text, content, tool_call_id: text }),
})
const functionTool = fields({
  type: oneOf('function'),
  function: fields({ name: text }, { description: text, parameters: object, strict: flag }),
})

export const chatRequired = { model: text, messages: listOf(message, 1) }
export const chatOptional = {
  frequency_penalty: number(-2, 2),
  logit_bias: object,
  logprobs: flag,
  max_completion_tokens: number(1),
  max_tokens: number(1),
  metadata: object,
  modalities: listOf(text),
  n: number(1, 128),
  parallel_tool_calls: flag,
  presence_penalty: number(-2, 2),
  prompt_cache_key: text,
  reasoning_effort: text,
  response_format: object,
  safety_identifier: text,
  seed: number(-Number.MAX_SAFE_INTEGER),
  service_tier: text,
  stop: either(text, listOf(text)),
  store: flag,
  stream: flag,
  stream_options: fields({}, { include_usage: flag, include_obfuscation: flag }),
  temperature: number(0, 2),
  tool_choice: either(text, object),
  tools: listOf(functionTool),
  top_logprobs: number(0, 20),
  top_p: number(0, 1),
  user: text,
  verbosity: text,
}
const chatShape = fields(chatRequired, chatOptional)

const responsesShape = fields(
  { model: text, input: either(text, listOf(object)) },
  {
    background: flag,
    include: listOf(text),
    instructions: text,
    max_output_tokens: number(1),
    metadata: object,
    parallel_tool_calls: flag,
    previous_response_id: text,
    prompt_cache_key: text,
    reasoning: object,
    safety_identifier: text,
    service_tier: text,
    store: flag,
    stream: flag,
    stream_options: object,
    temperature: number(0, 2),
    text: object,
    tool_choice: either(text, object),
    tools: listOf(fields({ type: oneOf('function'), name: text }, { description: text, parameters: object, strict: flag })),
    top_p: number(0, 1),
    truncation: text,
    user: text,
  },
)

const embeddingsShape = fields(
  { model: text, input: either(text, listOf(text, 1)) },
  { dimensions: number(1, 3072), encoding_format: oneOf('float', 'base64'), user: text },
)

/** OpenAI's operations on models, as whoever else serves them has them too: `shape` undefined is OpenAI's own. */
export const operations = {
  chat: (call: Call, { chat: known }: Models, shape: Shape = chatShape) => asked(call, shape, known, chat),
  responses: (call: Call, { chat: known }: Models, shape: Shape = responsesShape) => asked(call, shape, known, responses),
  embeddings: (call: Call, { embedding: known }: Models, shape: Shape = embeddingsShape) => asked(call, shape, known, embeddings),
  models: (models: Models): Answer => json(200, { object: 'list', data: everyModel(models).map(modelOf) }),
  transcriptions: transcribed,
}

export const openai: Vendor = {
  keyFault: (call, key) => sentKeyFault(bearer(call), key),
  refuse: refusalOf,
  answer(call, models) {
    switch (`${call.method} ${call.path}`) {
      case 'POST /v1/chat/completions':
        return operations.chat(call, models)
      case 'POST /v1/responses':
        return operations.responses(call, models)
      case 'POST /v1/embeddings':
        return operations.embeddings(call, models)
      case 'POST /v1/files':
        return uploaded(call)
      case 'POST /v1/audio/transcriptions':
        return transcribed(call, models)
      case 'GET /v1/models':
        return operations.models(models)
      default:
        return oneModel(call, models)
    }
  },
}

function asked(call: Call, shape: Shape, known: readonly string[], how: (body: Fields) => Answer): Answer | Refusal {
  if (call.body.kind === 'too large') return { why: 'too large' }
  if (call.body.kind !== 'json') return { why: 'not json' }
  const fault = shape(call.body.value, '')
  if (fault !== undefined) return { why: 'fault', fault }
  const body = recordOf(call.body.value)
  const model = String(body['model'])
  return known.includes(model) ? how(body) : { why: 'no model', model }
}

function chat(body: Fields): Answer {
  const question: Question = {
    turns: listIn(body['messages']).map(turnOf),
    tools:
      body['tool_choice'] === 'none'
        ? []
        : listIn(body['tools']).map(({ function: one }) => toolOf(recordOf(one)['name'], recordOf(one)['parameters'])),
    most: (body['max_completion_tokens'] ?? body['max_tokens'] ?? undefined) as number | undefined,
  }
  const said = reply(question)
  const head = { id: nextId('chatcmpl-'), created: nowSeconds(), model: body['model'], system_fingerprint: 'fp_sandbox' }
  if (body['stream'] === true) return eventStream(chatEvents(said, head, recordOf(body['stream_options'])['include_usage'] === true))
  const message = {
    role: 'assistant',
    content: said.call === undefined ? said.words.join('') : null,
    refusal: null,
    ...(said.call === undefined ? {} : { tool_calls: [callOf(said.call)] }),
  }
  const choice = { index: 0, message, logprobs: null, finish_reason: finishOf(said) }
  return json(200, { ...head, object: 'chat.completion', choices: [choice], usage: chatUsage(said) })
}

function chatEvents(said: Reply, head: object, withUsage: boolean): readonly string[] {
  const chunk = (delta: object, finish: string | null = null): string =>
    event({
      ...head,
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
      ...(withUsage ? { usage: null } : {}),
    })
  const called = said.call === undefined ? undefined : callOf(said.call)
  const spoken =
    called === undefined
      ? said.words.map((word) => chunk({ content: word }))
      : [
          chunk({ tool_calls: [{ index: 0, ...called, function: { name: called.function.name, arguments: '' } }] }),
          ...halves(called.function.arguments).map((half) => chunk({ tool_calls: [{ index: 0, function: { arguments: half } }] })),
        ]
  return [
    chunk({ role: 'assistant', content: called === undefined ? '' : null, refusal: null }),
    ...spoken,
    chunk({}, finishOf(said)),
    ...(withUsage ? [event({ ...head, object: 'chat.completion.chunk', choices: [], usage: chatUsage(said) })] : []),
    event('[DONE]'),
  ]
}

function responses(body: Fields): Answer {
  const input = typeof body['input'] === 'string' ? [{ role: 'user', content: body['input'] }] : listIn(body['input'])
  const instructions = typeof body['instructions'] === 'string' ? [{ role: 'system', content: body['instructions'] }] : []
  const question: Question = {
    turns: [...instructions, ...input].map(recordOf).map(responseTurnOf),
    tools: body['tool_choice'] === 'none' ? [] : listIn(body['tools']).map(({ name, parameters }) => toolOf(name, parameters)),
    most: (body['max_output_tokens'] ?? undefined) as number | undefined,
  }
  const said = reply(question)
  const id = nextId('resp_')
  const item =
    said.call === undefined
      ? {
          id: nextId('msg_'),
          type: 'message',
          status: 'completed',
          role: 'assistant',
          content: [{ type: 'output_text', text: said.words.join(''), annotations: [] }],
        }
      : {
          id: nextId('fc_'),
          type: 'function_call',
          status: 'completed',
          call_id: nextId('call_'),
          name: said.call.name,
          arguments: JSON.stringify(said.call.args),
        }
  const state = (status: string, output: readonly object[], usage: object | null): object => ({
    id,
    object: 'response',
    created_at: nowSeconds(),
    status,
    error: null,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    instructions: body['instructions'] ?? null,
    model: body['model'],
    output,
    parallel_tool_calls: true,
    tool_choice: body['tool_choice'] ?? 'auto',
    tools: body['tools'] ?? [],
    usage,
  })
  const whole = state(said.cut ? 'incomplete' : 'completed', [item], responseUsage(said))
  return body['stream'] === true ? eventStream(responseEvents(said, item, whole, state('in_progress', [], null))) : json(200, whole)
}

function responseEvents(said: Reply, item: { id: string }, whole: object, begun: object): readonly string[] {
  let number_ = 0
  const at = { item_id: item.id, output_index: 0 }
  const one = (type: string, more: object): string => event({ type, sequence_number: number_++, ...more }, type)
  const spoken = said.words.join('')
  const textPart = { type: 'output_text', text: spoken, annotations: [] }
  const between =
    said.call === undefined
      ? [
          one('response.content_part.added', { ...at, content_index: 0, part: { ...textPart, text: '' } }),
          ...said.words.map((word) => one('response.output_text.delta', { ...at, content_index: 0, delta: word, logprobs: [] })),
          one('response.output_text.done', { ...at, content_index: 0, text: spoken, logprobs: [] }),
          one('response.content_part.done', { ...at, content_index: 0, part: textPart }),
        ]
      : [
          ...halves(JSON.stringify(said.call.args)).map((half) => one('response.function_call_arguments.delta', { ...at, delta: half })),
          one('response.function_call_arguments.done', { ...at, name: said.call.name, arguments: JSON.stringify(said.call.args) }),
        ]
  const empty = said.call === undefined ? { content: [] } : { arguments: '' }
  return [
    one('response.created', { response: begun }),
    one('response.in_progress', { response: begun }),
    one('response.output_item.added', { output_index: 0, item: { ...item, status: 'in_progress', ...empty } }),
    ...between,
    one('response.output_item.done', { output_index: 0, item }),
    one(said.cut ? 'response.incomplete' : 'response.completed', { response: whole }),
  ]
}

function embeddings(body: Fields): Answer {
  const inputs = typeof body['input'] === 'string' ? [body['input']] : (body['input'] as readonly string[])
  const dimensions = (body['dimensions'] as number | undefined) ?? 8
  const tokens = inputs.reduce((sum, one) => sum + wordsOf(one).length, 0)
  const data = inputs.map((one, index) => {
    const numbers = embedding(one, dimensions)
    const as64 = (): string => Buffer.from(new Float32Array(numbers).buffer).toString('base64')
    return { object: 'embedding', index, embedding: body['encoding_format'] === 'base64' ? as64() : numbers }
  })
  return json(200, { object: 'list', data, model: body['model'], usage: { prompt_tokens: tokens, total_tokens: tokens } })
}

/** The digest stands where the vendor has none, so that a test sees that every byte came. */
function uploaded({ body }: Call): Answer | Refusal {
  const parts = body.kind === 'parts' ? body.parts : []
  const file = parts.find(({ filename }) => filename !== undefined)
  if (file === undefined) return { why: 'fault', fault: { kind: 'missing', at: 'file', wanted: 'a file' } }
  const purpose = parts.find(({ name }) => name === 'purpose')?.text
  if (purpose === undefined) return { why: 'fault', fault: { kind: 'missing', at: 'purpose', wanted: 'a value' } }
  const { bytes, filename, sha256 } = file
  return json(200, { id: nextId('file-'), object: 'file', bytes, created_at: nowSeconds(), filename, purpose, status: 'processed', sha256 })
}

function transcribed({ body }: Call, models: Models): Answer | Refusal {
  const parts = body.kind === 'parts' ? body.parts : []
  const file = parts.find(({ name }) => name === 'file')
  if (file === undefined) return { why: 'fault', fault: { kind: 'missing', at: 'file', wanted: 'a file' } }
  const model = parts.find(({ name }) => name === 'model')?.text ?? ''
  if (!models.audio.includes(model)) return { why: 'no model', model }
  const spoken = `The sandbox heard ${file.bytes} bytes.`
  return json(200, { text: spoken, usage: { type: 'duration', seconds: 1 } })
}

function oneModel({ method, path }: Call, models: Models): Answer | Refusal {
  const id = /^\/v1\/models\/(?<id>[^/]+)$/u.exec(path)?.groups?.['id']
  if (method !== 'GET' || id === undefined) return { why: 'not found' }
  return everyModel(models).includes(id) ? json(200, modelOf(id)) : { why: 'no model', model: id }
}

function everyModel(models: Models): readonly string[] {
  return [...models.chat, ...models.embedding, ...models.audio]
}

function modelOf(id: string): object {
  return { id, object: 'model', created: 1_700_000_000, owned_by: 'sandbox' }
}

function turnOf(message_: Fields): Turn {
  const role = String(message_['role'])
  return { role: role === 'developer' ? 'system' : (role as Turn['role']), ...spokenIn(message_['content']) }
}

function responseTurnOf(item: Fields): Turn {
  if (item['type'] === 'function_call_output') return { role: 'tool', text: String(item['output']), media: [] }
  if (item['type'] === 'function_call') return { role: 'assistant', text: '', media: [] }
  return turnOf(item)
}

function spokenIn(value: unknown): Pick<Turn, 'text' | 'media'> {
  if (typeof value === 'string') return { text: value, media: [] }
  const parts = listIn(value)
  const texts = parts.map((one) => one['text']).filter((one) => typeof one === 'string')
  const images = parts.map((one) => (one['type'] === 'image_url' ? recordOf(one['image_url'])['url'] : one['image_url']))
  return { text: texts.join(' '), media: images.filter((one) => one !== undefined).map(mediaOf) }
}

function callOf({ name, args }: NonNullable<Reply['call']>): { id: string; type: string; function: { name: string; arguments: string } } {
  return { id: nextId('call_'), type: 'function', function: { name, arguments: JSON.stringify(args) } }
}

function finishOf({ call, cut }: Reply): string {
  if (call !== undefined) return 'tool_calls'
  return cut ? 'length' : 'stop'
}

function chatUsage({ tokens: { input, output } }: Reply): object {
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 },
  }
}

function responseUsage({ tokens: { input, output } }: Reply): object {
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: input + output,
  }
}

/** So that arguments arrive in more than one piece, cut where no token ends. */
export function halves(whole: string): readonly string[] {
  const middle = Math.ceil(whole.length / 2)
  return [whole.slice(0, middle), whole.slice(middle)]
}

export function refusalOf(refusal: Refusal): Answer {
  const error = (status: number, message_: string, code: string | null, param: string | null = null): Answer =>
    json(status, { error: { message: message_, type: 'invalid_request_error', param, code } }, { 'x-request-id': nextId('req_') })
  switch (refusal.why) {
    case 'no key':
      return error(401, "You didn't provide an API key.", null)
    case 'wrong key':
      return error(401, 'Incorrect API key provided.', 'invalid_api_key')
    case 'not found':
      return error(404, 'Invalid URL.', null)
    case 'not json':
      return error(400, 'We could not parse the JSON body of your request.', null)
    case 'too large':
      return error(413, 'The request is too large.', null)
    case 'no model':
      return error(404, `The model \`${refusal.model}\` does not exist or you do not have access to it.`, 'model_not_found')
    default: {
      const { kind, at, wanted } = refusal.fault
      if (kind === 'missing') return error(400, `Missing required parameter: '${at}'.`, 'missing_required_parameter', at)
      if (kind === 'unknown') return error(400, `Unknown parameter: '${at}'.`, 'unknown_parameter', at)
      return error(400, `Invalid value for '${at}': expected ${wanted}.`, 'invalid_type', at)
    }
  }
}
