/**
 * Owns Anthropic's API as its reference describes it: messages, counting of tokens, models and files.
 * https://docs.anthropic.com/en/api/overview
 */
import { reply } from './mind.ts'
import type { Question, Reply, Turn } from './mind.ts'
import { halves } from './openai.ts'
import { anything, either, fields, flag, listOf, number, object, oneOf, text, variants } from './shapes.ts'
import type { Shape } from './shapes.ts'
import { bearer, event, eventStream, header, json, listIn, nextId, recordOf, sentKeyFault, toolOf } from './vendor.ts'
import type { Answer, Call, Fields, Models, Refusal, Vendor } from './vendor.ts'

const caching = { cache_control: object }
const source = variants('type', {
  base64: fields({ type: text, media_type: text, data: text }),
  url: fields({ type: text, url: text }),
  text: fields({ type: text, media_type: text, data: text }),
  file: fields({ type: text, file_id: text }),
})
const textBlock = fields({ type: text, text }, { ...caching, citations: anything })
const imageBlock = fields({ type: text, source }, caching)
const documentBlock = fields({ type: text, source }, { ...caching, title: text, context: text, citations: object })
const block = variants('type', {
  text: textBlock,
  image: imageBlock,
  document: documentBlock,
  thinking: fields({ type: text, thinking: text, signature: text }),
  tool_use: fields({ type: text, id: text, name: text, input: object }, { ...caching, caller: object }),
  tool_result: fields(
    { type: text, tool_use_id: text },
    {
      ...caching,
      is_error: flag,
      content: either(text, listOf(variants('type', { text: textBlock, image: imageBlock, document: documentBlock }))),
    },
  ),
})
const message = fields({ role: oneOf('user', 'assistant'), content: either(text, listOf(block, 1)) })
const asking = { model: text, messages: listOf(message, 1) }
const aside = {
  system: either(text, listOf(textBlock)),
  thinking: object,
  tool_choice: object,
  tools: listOf(
    fields({ name: text, input_schema: object }, { ...caching, description: text, type: text, strict: flag, eager_input_streaming: flag }),
  ),
}

const messagesShape = fields(
  { ...asking, max_tokens: number(1) },
  {
    ...aside,
    container: text,
    metadata: fields({}, { user_id: text }),
    output_config: object,
    service_tier: text,
    stop_sequences: listOf(text),
    stream: flag,
    temperature: number(0, 1),
    top_k: number(0),
    top_p: number(0, 1),
  },
)
const countShape = fields(asking, aside)

export const anthropic: Vendor = {
  keyFault: (call, key) => sentKeyFault(header(call, 'x-api-key') ?? bearer(call), key),
  refuse: refusalOf,
  answer(call, models) {
    if (header(call, 'anthropic-version') === undefined) {
      return { why: 'fault', fault: { kind: 'missing', at: 'anthropic-version', wanted: 'a header' } }
    }
    switch (`${call.method} ${call.path}`) {
      case 'POST /v1/messages':
        return asked(call, messagesShape, models, messages)
      case 'POST /v1/messages/count_tokens':
        return asked(call, countShape, models, (body) => json(200, { input_tokens: reply(questionOf(body)).tokens.input }))
      case 'POST /v1/files':
        return uploaded(call)
      case 'GET /v1/models': {
        const data = models.chat.map((id) => ({ type: 'model', id, display_name: id, created_at: '2026-01-01T00:00:00Z' }))
        return json(200, { data, has_more: false, first_id: models.chat[0] ?? null, last_id: models.chat.at(-1) ?? null })
      }
      default:
        return { why: 'not found' }
    }
  },
}

function asked(call: Call, shape: Shape, models: Models, how: (body: Fields) => Answer): Answer | Refusal {
  if (call.body.kind === 'too large') return { why: 'too large' }
  if (call.body.kind !== 'json') return { why: 'not json' }
  const fault = shape(call.body.value, '')
  if (fault !== undefined) return { why: 'fault', fault }
  const body = recordOf(call.body.value)
  const model = String(body['model'])
  return models.chat.includes(model) ? how(body) : { why: 'no model', model }
}

function questionOf(body: Fields): Question {
  const system = body['system'] === undefined ? [] : [{ role: 'system' as const, ...spokenIn(body['system']) }]
  return {
    turns: [...system, ...listIn(body['messages']).map(turnOf)],
    tools:
      recordOf(body['tool_choice'])['type'] === 'none' ? [] : listIn(body['tools']).map((one) => toolOf(one['name'], one['input_schema'])),
    most: body['max_tokens'] as number | undefined,
  }
}

function messages(body: Fields): Answer {
  const said = reply(questionOf(body))
  const { input, output } = said.tokens
  const usage = { input_tokens: input, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, service_tier: 'standard' }
  const head = { id: nextId('msg_'), type: 'message', role: 'assistant', model: body['model'], stop_sequence: null }
  const tool = said.call === undefined ? undefined : { type: 'tool_use', id: nextId('toolu_'), name: said.call.name, input: said.call.args }
  if (body['stream'] === true) return eventStream(eventsOf(said, head, usage, tool))
  const content = [tool ?? { type: 'text', text: said.words.join('') }]
  return json(
    200,
    { ...head, content, stop_reason: stopOf(said), usage: { ...usage, output_tokens: output } },
    { 'request-id': nextId('req_') },
  )
}

function eventsOf(said: Reply, head: object, usage: object, tool: object | undefined): readonly string[] {
  const one = (type: string, more: object = {}): string => event({ type, ...more }, type)
  const deltas =
    said.call === undefined
      ? said.words.map((word) => ({ type: 'text_delta', text: word }))
      : halves(JSON.stringify(said.call.args)).map((half) => ({ type: 'input_json_delta', partial_json: half }))
  const begun = tool === undefined ? { type: 'text', text: '' } : { ...tool, input: {} }
  return [
    one('message_start', { message: { ...head, content: [], stop_reason: null, usage: { ...usage, output_tokens: 1 } } }),
    one('content_block_start', { index: 0, content_block: begun }),
    one('ping'),
    ...deltas.map((delta) => one('content_block_delta', { index: 0, delta })),
    one('content_block_stop', { index: 0 }),
    one('message_delta', { delta: { stop_reason: stopOf(said), stop_sequence: null }, usage: { output_tokens: said.tokens.output } }),
    one('message_stop'),
  ]
}

function uploaded({ body }: Call): Answer | Refusal {
  const file = (body.kind === 'parts' ? body.parts : []).find(({ filename }) => filename !== undefined)
  if (file === undefined) return { why: 'fault', fault: { kind: 'missing', at: 'file', wanted: 'a file' } }
  const { bytes, filename, sha256 } = file
  const made = { id: nextId('file_'), type: 'file', filename, size_bytes: bytes, created_at: new Date().toISOString() }
  return json(200, { ...made, mime_type: 'application/octet-stream', downloadable: false, sha256 })
}

function turnOf(one: Fields): Turn {
  const blocks = listIn(one['content'])
  const result = blocks.find(({ type }) => type === 'tool_result')
  if (result !== undefined) return { role: 'tool', ...spokenIn(result['content']) }
  return { role: one['role'] as Turn['role'], ...spokenIn(one['content']) }
}

function spokenIn(value: unknown): Pick<Turn, 'text' | 'media'> {
  if (typeof value === 'string') return { text: value, media: [] }
  const blocks = listIn(value)
  const texts = blocks.map((one) => one['text']).filter((one) => typeof one === 'string')
  const media = blocks.map((one) => recordOf(one['source'])).filter((one) => one['type'] !== undefined)
  return { text: texts.join(' '), media: media.map((one) => String(one['media_type'] ?? one['url'] ?? one['file_id'])) }
}

function stopOf({ call, cut }: Reply): string {
  if (call !== undefined) return 'tool_use'
  return cut ? 'max_tokens' : 'end_turn'
}

function refusalOf(refusal: Refusal): Answer {
  const id = nextId('req_')
  const error = (status: number, type: string, message_: string): Answer =>
    json(status, { type: 'error', error: { type, message: message_ }, request_id: id }, { 'request-id': id })
  switch (refusal.why) {
    case 'no key':
      return error(401, 'authentication_error', 'x-api-key header is required')
    case 'wrong key':
      return error(401, 'authentication_error', 'invalid x-api-key')
    case 'not found':
      return error(404, 'not_found_error', 'Not found')
    case 'not json':
      return error(400, 'invalid_request_error', 'The request body is not valid JSON')
    case 'too large':
      return error(413, 'request_too_large', 'Request exceeds the maximum size')
    case 'no model':
      return error(404, 'not_found_error', `model: ${refusal.model}`)
    default: {
      const { kind, at, wanted } = refusal.fault
      if (kind === 'missing') return error(400, 'invalid_request_error', `${at}: Field required`)
      if (kind === 'unknown') return error(400, 'invalid_request_error', `${at}: Extra inputs are not permitted`)
      return error(400, 'invalid_request_error', `${at}: Input should be ${wanted}`)
    }
  }
}
