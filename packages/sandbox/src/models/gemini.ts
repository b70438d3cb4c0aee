/**
 * Owns Google's Gemini API as its reference describes it: generateContent, embeddings, counting of tokens, models and resumable uploads.
 * https://ai.google.dev/api
 */
import { embedding, reply } from './mind.ts'
import type { Question, Reply, Turn } from './mind.ts'
import { anything, either, fields, flag, listOf, number, object, oneOf, text } from './shapes.ts'
import type { Shape } from './shapes.ts'
import { bearer, event, eventStream, header, json, listIn, nextId, recordOf, sentKeyFault, toolOf } from './vendor.ts'
import type { Answer, Call, Fields, Models, Refusal, Vendor } from './vendor.ts'

const part = fields(
  {},
  {
    text,
    inlineData: fields({ mimeType: text, data: text }, { displayName: text }),
    fileData: fields({ fileUri: text }, { mimeType: text, displayName: text }),
    functionCall: fields({ name: text }, { args: object, id: text }),
    functionResponse: fields({ name: text, response: object }, { id: text }),
    thought: flag,
    thoughtSignature: text,
  },
)
const content = fields({ parts: listOf(part, 1) }, { role: oneOf('user', 'model', 'function', 'system') })
const declared = fields(
  { name: text },
  { description: text, parameters: object, parametersJsonSchema: anything, response: object, behavior: text },
)
const generation = {
  contents: listOf(content, 1),
}
const generateOptional = {
  cachedContent: text,
  generationConfig: fields(
    {},
    {
      candidateCount: number(1, 8),
      frequencyPenalty: number(-2, 2),
      maxOutputTokens: number(1),
      mediaResolution: text,
      presencePenalty: number(-2, 2),
      responseJsonSchema: anything,
      responseLogprobs: flag,
      responseMimeType: text,
      responseModalities: listOf(text),
      responseSchema: object,
      seed: number(-Number.MAX_SAFE_INTEGER),
      stopSequences: listOf(text),
      temperature: number(0, 2),
      thinkingConfig: object,
      topK: number(1),
      topP: number(0, 1),
    },
  ),
  model: text,
  safetySettings: listOf(object),
  systemInstruction: content,
  toolConfig: object,
  tools: listOf(fields({}, { functionDeclarations: listOf(declared, 1) })),
}
const generateShape = fields(generation, generateOptional)
/** At Vertex AI, which takes `labels` for its bill. */
const labelledShape = fields(generation, { ...generateOptional, labels: object })
const embedded = { content, model: text, taskType: text, title: text, outputDimensionality: number(1, 3072) }
const embedShape = fields({ content }, embedded)
const batchShape = fields({ requests: listOf(embedShape, 1) })
const countShape = either(fields({ contents: listOf(content, 1) }), fields({ generateContentRequest: object }))

const METHOD = /^\/(?:v1|v1beta)\/models\/(?<model>[^/:]+):(?<method>\w+)$/u
const UPLOAD = /^\/upload\/(?:v1|v1beta)\/files$/u
const FILE = /^\/(?:v1|v1beta)\/files\/(?<name>[^/]+)$/u

export const gemini: Vendor = {
  keyFault: (call, key) => sentKeyFault(header(call, 'x-goog-api-key') ?? call.query.get('key') ?? bearer(call), key),
  refuse: refusalOf,
  answer(call, models) {
    if (call.method === 'POST' && UPLOAD.test(call.path)) return uploaded(call)
    if (call.method === 'GET' && /^\/(?:v1|v1beta)\/models$/u.test(call.path)) return listed(models)
    const file = FILE.exec(call.path)?.groups?.['name']
    if (call.method === 'GET' && file !== undefined) return json(200, fileOf(call, file, 0))
    const { model = '', method } = METHOD.exec(call.path)?.groups ?? {}
    if (call.method !== 'POST' || method === undefined) return { why: 'not found' }
    return generated(call, model, method, models)
  },
}

/** What Vertex AI's API has in the same words: undefined for a method that is no such. */
export function generatedAtVertex(call: Call, model: string, method: string, models: Models): Answer | Refusal | undefined {
  const { chat } = models
  if (method === 'generateContent')
    return asked(call, labelledShape, model, chat, (body) => json(200, wholeOf(reply(questionOf(body)), model)))
  if (method === 'streamGenerateContent')
    return asked(call, labelledShape, model, chat, (body) => streamed(call, reply(questionOf(body)), model))
  return method === 'countTokens' ? generated(call, model, method, models) : undefined
}

function generated(call: Call, model: string, method: string, models: Models): Answer | Refusal {
  switch (method) {
    case 'generateContent':
      return asked(call, generateShape, model, models.chat, (body) => json(200, wholeOf(reply(questionOf(body)), model)))
    case 'streamGenerateContent':
      return asked(call, generateShape, model, models.chat, (body) => streamed(call, reply(questionOf(body)), model))
    case 'countTokens':
      return asked(call, countShape, model, models.chat, (body) => json(200, { totalTokens: reply(questionOf(body)).tokens.input }))
    case 'embedContent':
      return asked(call, embedShape, model, models.embedding, (body) => json(200, { embedding: embeddingOf(body) }))
    case 'batchEmbedContents':
      return asked(call, batchShape, model, models.embedding, (body) =>
        json(200, { embeddings: listIn(body['requests']).map(embeddingOf) }),
      )
    default:
      return { why: 'not found' }
  }
}

/** The body, held against `shape`, and the model, which stands in the path. */
export function asked(call: Call, shape: Shape, model: string, known: readonly string[], how: (body: Fields) => Answer): Answer | Refusal {
  if (call.body.kind === 'too large') return { why: 'too large' }
  if (call.body.kind !== 'json') return { why: 'not json' }
  const fault = shape(call.body.value, '')
  if (fault !== undefined) return { why: 'fault', fault }
  return known.includes(model) ? how(recordOf(call.body.value)) : { why: 'no model', model }
}

function questionOf(body: Fields): Question {
  const calling = recordOf(recordOf(body['toolConfig'])['functionCallingConfig'])
  const declarations = listIn(body['tools']).flatMap((tool) => listIn(tool['functionDeclarations']))
  const system =
    body['systemInstruction'] === undefined ? [] : [{ ...turnOf(recordOf(body['systemInstruction'])), role: 'system' as const }]
  return {
    turns: [...system, ...listIn(body['contents']).map(turnOf)],
    tools:
      calling['mode'] === 'NONE' ? [] : declarations.map((one) => toolOf(one['name'], one['parametersJsonSchema'] ?? one['parameters'])),
    most: recordOf(body['generationConfig'])['maxOutputTokens'] as number | undefined,
  }
}

function turnOf(one: Fields): Turn {
  const parts = listIn(one['parts'])
  const result = parts.find(({ functionResponse }) => functionResponse !== undefined)
  const texts = parts.map((each) => each['text']).filter((each) => typeof each === 'string')
  const media = parts.map((each) => recordOf(each['inlineData'] ?? each['fileData'])).filter((each) => each['mimeType'] !== undefined)
  if (result !== undefined) return { role: 'tool', text: JSON.stringify(recordOf(result['functionResponse'])['response']), media: [] }
  return {
    role: one['role'] === 'model' ? 'assistant' : 'user',
    text: texts.join(' '),
    media: media.map((each) => String(each['mimeType'])),
  }
}

function wholeOf(said: Reply, model: string): object {
  const parts = said.call === undefined ? [{ text: said.words.join('') }] : [{ functionCall: said.call }]
  return { candidates: [candidate(parts, finishOf(said))], usageMetadata: usageOf(said), modelVersion: model, responseId: nextId('') }
}

/** With `alt=sse` events, without it one list of JSON. */
function streamed({ query }: Call, said: Reply, model: string): Answer {
  const head = { modelVersion: model, responseId: nextId('') }
  const pieces = said.call === undefined ? said.words.map((word) => ({ text: word })) : [{ functionCall: said.call }]
  const chunks = pieces.map((piece, index) => {
    const last = index === pieces.length - 1
    const usage = { ...usageOf(said), ...(last ? {} : { candidatesTokenCount: index + 1, totalTokenCount: said.tokens.input + index + 1 }) }
    return { candidates: [candidate([piece], last ? finishOf(said) : undefined)], usageMetadata: usage, ...head }
  })
  if (query.get('alt') === 'sse') return eventStream(chunks.map((chunk) => event(chunk)))
  const list = chunks.map((chunk, index) => `${index === 0 ? '[' : ',\n'}${JSON.stringify(chunk)}`)
  return { status: 200, headers: { 'content-type': 'application/json; charset=UTF-8' }, pieces: [...list, ']'] }
}

function candidate(parts: readonly object[], finishReason: string | undefined): object {
  return { content: { parts, role: 'model' }, ...(finishReason === undefined ? {} : { finishReason }), index: 0 }
}

function embeddingOf(body: Fields): object {
  const spoken = turnOf(recordOf(body['content'])).text
  return { values: embedding(spoken, (body['outputDimensionality'] as number | undefined) ?? 8) }
}

/** The first request names the file and is told where its bytes go; the ones that follow bring them there. Only the last one's count is kept. */
function uploaded(call: Call): Answer | Refusal {
  const commands = (header(call, 'x-goog-upload-command') ?? '').split(',').map((one) => one.trim())
  if (commands.includes('start')) {
    const url = `${call.base}${call.path}?upload_id=${nextId('')}&upload_protocol=resumable`
    return json(200, {}, { 'x-goog-upload-url': url, 'x-goog-upload-status': 'active' })
  }
  if (!call.query.has('upload_id') || call.body.kind !== 'bytes') return { why: 'not json' }
  if (!commands.includes('finalize')) return { status: 200, headers: { 'x-goog-upload-status': 'active' }, body: '' }
  const { bytes, sha256 } = call.body
  const before = Number(header(call, 'x-goog-upload-offset') ?? 0)
  return json(200, { file: { ...fileOf(call, nextId(''), before + bytes), sha256Hash: sha256 } }, { 'x-goog-upload-status': 'final' })
}

function fileOf(call: Call, id: string, bytes: number): object {
  return {
    name: `files/${id}`,
    mimeType: 'application/octet-stream',
    sizeBytes: String(bytes),
    uri: `${call.base}/v1beta/files/${id}`,
    state: 'ACTIVE',
  }
}

function listed(models: Models): Answer {
  const of = (supportedGenerationMethods: readonly string[]) => (id: string) => ({
    name: `models/${id}`,
    version: '001',
    displayName: id,
    supportedGenerationMethods,
  })
  const chat = models.chat.map(of(['generateContent', 'streamGenerateContent', 'countTokens']))
  return json(200, { models: [...chat, ...models.embedding.map(of(['embedContent', 'batchEmbedContents']))] })
}

function finishOf({ cut }: Reply): string {
  return cut ? 'MAX_TOKENS' : 'STOP'
}

function usageOf({ tokens: { input, output } }: Reply): object {
  return { promptTokenCount: input, candidatesTokenCount: output, totalTokenCount: input + output }
}

export function refusalOf(refusal: Refusal): Answer {
  const error = (code: number, status: string, message: string, details: readonly object[] = []): Answer =>
    json(code, { error: { code, message, status, ...(details.length === 0 ? {} : { details }) } })
  const info = (reason: string): object => ({ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason, domain: 'googleapis.com' })
  switch (refusal.why) {
    case 'no key':
      return error(403, 'PERMISSION_DENIED', "Method doesn't allow unregistered callers.")
    case 'wrong key':
      return error(400, 'INVALID_ARGUMENT', 'API key not valid. Please pass a valid API key.', [info('API_KEY_INVALID')])
    case 'not found':
      return error(404, 'NOT_FOUND', 'Not found.')
    case 'not json':
      return error(400, 'INVALID_ARGUMENT', 'Invalid JSON payload received.')
    case 'too large':
      return error(400, 'INVALID_ARGUMENT', 'Request payload size exceeds the limit.')
    case 'no model':
      return error(404, 'NOT_FOUND', `models/${refusal.model} is not found, or is not supported for this method.`)
    default: {
      const { kind, at, wanted } = refusal.fault
      if (kind === 'missing') return error(400, 'INVALID_ARGUMENT', `${at} is not specified`)
      if (kind === 'unknown')
        return error(400, 'INVALID_ARGUMENT', `Invalid JSON payload received. Unknown name "${at}": Cannot find field.`)
      return error(400, 'INVALID_ARGUMENT', `Invalid value at '${at}': wanted ${wanted}`)
    }
  }
}
