/** Owns what vendors do on bad days, as answers in their stead. */
import { setTimeout as pause } from 'node:timers/promises'
import type { ServerResponse } from 'node:http'
import { frame } from './bedrock.ts'
import type { Instead } from './upstream.ts'

/** Of each client's calls to one address the first `times` have this status and these headers, in the vendor's own form; the rest are the vendor's. */
export function statusThenVendor(status: number, times: number, headers: Readonly<Record<string, string>> = {}): Instead {
  const counts = new Map<string, number>()
  return (request, response) => {
    const caller = `${request.headers['user-agent'] ?? ''} ${request.url ?? ''}`
    const count = (counts.get(caller) ?? 0) + 1
    counts.set(caller, count)
    if (count > times) return false
    request.resume()
    const body = JSON.stringify(errorOf(request.url ?? '', status))
    const type = status === 429 ? 'ThrottlingException' : 'InternalServerException'
    response.writeHead(status, { 'content-type': 'application/json', 'x-amzn-errortype': type, ...headers }).end(body)
    return true
  }
}

function errorOf(url: string, status: number): object {
  const message = 'not now'
  if (url.startsWith('/anthropic/')) return { type: 'error', error: { type: status === 429 ? 'rate_limit_error' : 'api_error', message } }
  if (isGoogles(url)) return { error: { code: status, message, status: status === 429 ? 'RESOURCE_EXHAUSTED' : 'INTERNAL' } }
  if (url.startsWith('/bedrock/') || url.startsWith('/cohere/')) return { message }
  return { error: { message, type: status === 429 ? 'rate_limit_exceeded' : 'server_error', param: null, code: null } }
}

function isGoogles(url: string): boolean {
  return url.startsWith('/gemini/') || url.startsWith('/vertex/')
}

/** Pieces of a stream in the vendor's words, one every `everyMs`, until the caller goes. Never a last one. */
export function endlessStream(everyMs = 10): Instead {
  return (request, response) => {
    request.resume()
    const speaker = speakerOf(request.url ?? '')
    response.writeHead(200, { 'content-type': speaker.type })
    void write(response, everyMs, speaker)
    return true
  }
}

/** The head of a stream and `chunks` of it, and then the connection is gone. */
export function cutStream(chunks: number): Instead {
  return (request, response) => {
    request.resume()
    const { type, begin, say } = speakerOf(request.url ?? '')
    response.writeHead(200, { 'content-type': type })
    response.write(begin)
    for (let number = 0; number < chunks; number++) response.write(say(`${number} `))
    // What was written is on its way before the end is.
    setImmediate(() => response.destroy())
    return true
  }
}

async function write(response: ServerResponse, everyMs: number, { begin, say }: Speaker): Promise<void> {
  response.write(begin)
  for (let number = 0; !response.destroyed; number++) {
    response.write(say(`${number} `))
    await pause(everyMs)
  }
}

interface Speaker {
  readonly type: string
  /** What comes before the first word. */
  readonly begin: string | Buffer
  readonly say: (words: string) => string | Buffer
}

function speakerOf(url: string): Speaker {
  if (url.startsWith('/anthropic/')) return ANTHROPIC
  if (url.startsWith('/bedrock/')) return BEDROCK
  return isGoogles(url) ? GEMINI : OPENAI
}

/** With its name, where the vendor names its events. */
function event(data: object): string {
  const name = 'type' in data && typeof data.type === 'string' ? `event: ${data.type}\n` : ''
  return `${name}data: ${JSON.stringify(data)}\n\n`
}

const EVENTS = 'text/event-stream'

const OPENAI: Speaker = {
  type: EVENTS,
  begin: '',
  say: (content) => event(chunkOf({ index: 0, delta: { content }, finish_reason: null })),
}

function chunkOf(choice: object): object {
  return { id: 'chatcmpl-bad-day', object: 'chat.completion.chunk', created: 1, model: 'x', choices: [choice] }
}

const USAGE = { input_tokens: 1, output_tokens: 1 }
const MESSAGE = {
  id: 'msg_bad_day',
  type: 'message',
  role: 'assistant',
  model: 'x',
  content: [],
  stop_reason: null,
  stop_sequence: null,
  usage: USAGE,
}

const ANTHROPIC: Speaker = {
  type: EVENTS,
  begin:
    event({ type: 'message_start', message: MESSAGE }) +
    event({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
  say: (text) => event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } }),
}

const GEMINI: Speaker = {
  type: EVENTS,
  begin: '',
  say: (text) => event({ candidates: [{ content: { parts: [{ text }], role: 'model' }, index: 0 }], modelVersion: 'x' }),
}

const BEDROCK: Speaker = {
  type: 'application/vnd.amazon.eventstream',
  begin: frame('messageStart', { role: 'assistant' }),
  say: (text) => frame('contentBlockDelta', { delta: { text }, contentBlockIndex: 0 }),
}
