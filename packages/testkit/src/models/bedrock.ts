/**
 * Owns AWS Bedrock's runtime as its reference describes it: Converse, ConverseStream and InvokeModel with Anthropic's bodies, behind Signature
 * Version 4. https://docs.aws.amazon.com/bedrock/latest/APIReference/welcome.html
 */
import { crc32 } from 'node:zlib'
import { header, json, listIn, recordOf, reply, shapes, toolOf } from '@sallyport/sandbox'
import type { Answer, Call, Models, Question, Refusal, Reply, Turn, Vendor } from '@sallyport/sandbox'
import { signatureFault } from '../aws/index.ts'
import type { Expectation } from '../aws/index.ts'

const { fields, listOf, number, object, oneOf, text } = shapes

const tool = fields({ name: text, inputSchema: fields({ json: object }) }, { description: text })
const block = fields({}, { text, image: object, document: object, toolUse: object, toolResult: object, cachePoint: object })
const shape = fields(
  { messages: listOf(fields({ role: oneOf('user', 'assistant'), content: listOf(block, 1) }), 1) },
  {
    additionalModelRequestFields: object,
    guardrailConfig: object,
    inferenceConfig: fields({}, { maxTokens: number(1), temperature: number(0, 1), topP: number(0, 1), stopSequences: listOf(text) }),
    performanceConfig: object,
    promptVariables: object,
    requestMetadata: object,
    system: listOf(fields({}, { text, cachePoint: object, guardContent: object })),
    toolConfig: fields({ tools: listOf(fields({}, { toolSpec: tool, cachePoint: object }), 1) }, { toolChoice: object }),
  },
)

const PATH = /^\/model\/(?<model>[^/]+)\/(?<method>converse|converse-stream|invoke)$/u

/** `expected`: whose signature opens it. Its session token, if it has one, must come with every call. */
export function bedrock(expected: Omit<Expectation, 'service'> & { readonly sessionToken?: string }): Vendor {
  return {
    keyFault: (call) => keyFaultOf(call, expected),
    answer,
    refuse,
  }
}

function keyFaultOf(call: Call, expected: Parameters<typeof bedrock>[0]): 'no key' | 'wrong key' | undefined {
  const { body } = call
  const bytes = (body.kind === 'broken' ? body.raw : undefined) ?? Buffer.from(body.kind === 'json' ? body.text : '')
  if (header(call, 'authorization') === undefined) return 'no key'
  if (header(call, 'x-amz-security-token') !== expected.sessionToken) return 'wrong key'
  return signatureFault(call, bytes, { ...expected, service: 'bedrock' }) === undefined ? undefined : 'wrong key'
}

function answer(call: Call, models: Models): Answer | Refusal {
  const { model: escaped = '', method } = PATH.exec(call.path)?.groups ?? {}
  const model = decodeURIComponent(escaped)
  if (call.method !== 'POST' || method === undefined) return { why: 'not found' }
  if (call.body.kind !== 'json') return { why: 'not json' }
  if (!models.chat.includes(model)) return { why: 'no model', model }
  const body = recordOf(call.body.value)
  if (method === 'invoke') return invoked(body)
  const fault = shape(body, '')
  if (fault !== undefined) return { why: 'fault', fault }
  const said = reply(questionOf(body))
  return method === 'converse' ? json(200, wholeOf(said)) : streamed(said)
}

function questionOf(body: Readonly<Record<string, unknown>>): Question {
  const tools = listIn(recordOf(body['toolConfig'])['tools']).map((one) => recordOf(one['toolSpec']))
  return {
    turns: [
      ...listIn(body['system']).map((one) => ({ role: 'system' as const, text: String(one['text']), media: [] })),
      ...listIn(body['messages']).map(turnOf),
    ],
    tools: tools.map((one) => toolOf(one['name'], recordOf(one['inputSchema'])['json'])),
    most: recordOf(body['inferenceConfig'])['maxTokens'] as number | undefined,
  }
}

function turnOf(one: Readonly<Record<string, unknown>>): Turn {
  const blocks = listIn(one['content'])
  const result = blocks.find(({ toolResult }) => toolResult !== undefined)
  if (result !== undefined) {
    return { role: 'tool', text: spoken(listIn(recordOf(result['toolResult'])['content'])), media: [] }
  }
  const formats = blocks.map(({ image }) => recordOf(image)['format']).filter((format) => typeof format === 'string')
  return { role: one['role'] as Turn['role'], text: spoken(blocks), media: formats.map((format) => `image/${format}`) }
}

function spoken(blocks: readonly Readonly<Record<string, unknown>>[]): string {
  return blocks
    .map((one) => one['text'])
    .filter((one) => typeof one === 'string')
    .join(' ')
}

function wholeOf(said: Reply): object {
  const content = said.call === undefined ? [{ text: said.words.join('') }] : [{ toolUse: { ...toolUse(said), input: said.call.args } }]
  return { output: { message: { role: 'assistant', content } }, stopReason: stopOf(said), usage: usageOf(said), metrics: { latencyMs: 1 } }
}

function streamed(said: Reply): Answer {
  const deltas =
    said.call === undefined ? said.words.map((word) => ({ text: word })) : [{ toolUse: { input: JSON.stringify(said.call.args) } }]
  const frames = [
    frame('messageStart', { role: 'assistant' }),
    ...(said.call === undefined ? [] : [frame('contentBlockStart', { start: { toolUse: toolUse(said) }, contentBlockIndex: 0 })]),
    ...deltas.map((delta) => frame('contentBlockDelta', { delta, contentBlockIndex: 0 })),
    frame('contentBlockStop', { contentBlockIndex: 0 }),
    frame('messageStop', { stopReason: stopOf(said) }),
    frame('metadata', { usage: usageOf(said), metrics: { latencyMs: 1 } }),
  ]
  return { status: 200, headers: { 'content-type': 'application/vnd.amazon.eventstream' }, pieces: frames }
}

/** Only enough for a model of Anthropic's, whose body and answer are that vendor's own. */
function invoked(body: Readonly<Record<string, unknown>>): Answer {
  const [last] = listIn(body['messages']).slice(-1)
  const said = reply({ turns: [{ role: 'user', text: String(last?.['content']), media: [] }], tools: [], most: undefined })
  const usage = { input_tokens: said.tokens.input, output_tokens: said.tokens.output }
  const content = [{ type: 'text', text: said.words.join('') }]
  const counts = {
    'x-amzn-bedrock-input-token-count': String(said.tokens.input),
    'x-amzn-bedrock-output-token-count': String(said.tokens.output),
  }
  return json(200, { id: 'msg_bedrock', type: 'message', role: 'assistant', content, stop_reason: 'end_turn', usage }, counts)
}

function toolUse({ call }: Reply): { toolUseId: string; name: string } {
  return { toolUseId: 'tooluse_sandbox', name: call!.name }
}

function stopOf({ call, cut }: Reply): string {
  if (call !== undefined) return 'tool_use'
  return cut ? 'max_tokens' : 'end_turn'
}

function usageOf({ tokens: { input, output } }: Reply): object {
  return { inputTokens: input, outputTokens: output, totalTokens: input + output }
}

/**
 * One message of AWS's event stream: lengths and their checksum, headers, the payload, and a checksum of it all.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
 */
export function frame(type: string, payload: object): Buffer {
  const headers = Buffer.concat([
    textHeader(':event-type', type),
    textHeader(':content-type', 'application/json'),
    textHeader(':message-type', 'event'),
  ])
  const data = Buffer.from(JSON.stringify(payload))
  const prelude = Buffer.alloc(12)
  prelude.writeUInt32BE(headers.length + data.length + 16, 0)
  prelude.writeUInt32BE(headers.length, 4)
  prelude.writeUInt32BE(crc32(prelude.subarray(0, 8)), 8)
  const message = Buffer.concat([prelude, headers, data])
  const end = Buffer.alloc(4)
  end.writeUInt32BE(crc32(message))
  return Buffer.concat([message, end])
}

const TEXT = 7

function textHeader(name: string, value: string): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(Buffer.byteLength(value))
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(name), Buffer.from([TEXT]), length, Buffer.from(value)])
}

function refuse(refusal: Refusal): Answer {
  const error = (status: number, type: string, message: string): Answer => json(status, { message }, { 'x-amzn-errortype': type })
  switch (refusal.why) {
    case 'no key':
      return error(403, 'MissingAuthenticationTokenException', 'Missing Authentication Token')
    case 'wrong key':
      return error(403, 'UnrecognizedClientException', 'The security token included in the request is invalid.')
    case 'not found':
      return error(404, 'UnknownOperationException', 'Unknown operation')
    case 'no model':
      return error(400, 'ValidationException', 'The provided model identifier is invalid.')
    case 'fault':
      return error(400, 'ValidationException', `Malformed input request: ${refusal.fault.at}, wanted ${refusal.fault.wanted}`)
    default:
      return error(400, 'SerializationException', 'The body is no JSON.')
  }
}
