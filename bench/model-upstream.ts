/**
 * A provider of models as the benchmark needs it, on raw sockets with answers that are built once: it shares a core with the load and must never be what is
 * measured. Every request must carry the token of `BENCH_TOKEN`, or it is answered with 401. What is answered goes by the model that is asked for:
 *
 *   bench-answer   a chat completion in one piece        bench-stream   a hundred events in one go, then [DONE]
 *   bench-short    two events, a moment apart            bench-open     one event, then silence
 */
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

const TOKEN = process.env['BENCH_TOKEN'] ?? ''
const HEAD_END = Buffer.from('\r\n\r\n')
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i
const EMPTY = Buffer.alloc(0)
/** Between the events of a short stream, so that the first leaves alone. */
const PAUSE_MS = 2

const about = { id: 'chatcmpl-bench', created: 1_790_000_000, model: 'bench' }
const usage = { prompt_tokens: 120, completion_tokens: 100, total_tokens: 220 }

const STREAM_HEAD =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n'
const EVENT = eventOf({
  ...about,
  object: 'chat.completion.chunk',
  choices: [{ index: 0, delta: { content: ' word' }, finish_reason: null }],
})
const LAST = eventOf({ ...about, object: 'chat.completion.chunk', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], usage })
const END = `${LAST}${chunk('data: [DONE]\n\n')}0\r\n\r\n`

const message = { role: 'assistant', content: 'word '.repeat(100) }
const ANSWER = answer(200, { ...about, object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }], usage })
const UNAUTHORIZED = answer(401, { error: { message: 'no key', type: 'invalid_request_error' } })
const UNKNOWN = answer(404, { error: { message: 'no such model', type: 'invalid_request_error' } })

/** One connection: a request at a time. */
class Conversation {
  readonly #socket: Socket
  #kept: Buffer = EMPTY

  constructor(socket: Socket) {
    this.#socket = socket
  }

  take(piece: Buffer): void {
    const data = this.#kept.length === 0 ? piece : Buffer.concat([this.#kept, piece])
    const end = data.indexOf(HEAD_END)
    const head = end < 0 ? '' : data.toString('latin1', 0, end)
    const whole = end + HEAD_END.length + Number(CONTENT_LENGTH.exec(head)?.[1] ?? 0)
    this.#kept = end < 0 || data.length < whole ? data : EMPTY
    if (this.#kept === EMPTY) this.#answer(head, data)
  }

  #answer(head: string, request: Buffer): void {
    if (!head.includes(TOKEN)) this.#socket.write(UNAUTHORIZED)
    else if (request.includes('bench-answer')) this.#socket.write(ANSWER)
    else if (request.includes('bench-stream')) this.#socket.write(STREAM_HEAD + EVENT.repeat(100) + END)
    else if (request.includes('bench-open')) this.#socket.write(STREAM_HEAD + EVENT)
    else if (request.includes('bench-short')) this.#short()
    else this.#socket.write(UNKNOWN)
  }

  #short(): void {
    this.#socket.write(STREAM_HEAD + EVENT)
    setTimeout(() => this.#socket.write(END), PAUSE_MS)
  }
}

const server = createServer({ noDelay: true }, (socket) => {
  const conversation = new Conversation(socket)
  socket.on('data', (piece: Buffer) => conversation.take(piece))
  // A proxy that gives up a connection is no concern of the upstream: the load generator sees what it did to the answer.
  socket.on('error', () => socket.destroy())
})

function answer(status: number, body: object): Buffer {
  const text = JSON.stringify(body)
  return Buffer.from(
    `HTTP/1.1 ${status} Answer\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\nx-request-id: req-bench\r\n\r\n${text}`,
  )
}

function eventOf(body: object): string {
  return chunk(`data: ${JSON.stringify(body)}\n\n`)
}

function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
}

server.listen(0, '127.0.0.1', () => process.send?.({ type: 'ready', port: (server.address() as AddressInfo).port }))
process.on('disconnect', () => process.exit(0))
process.on('SIGTERM', () => process.exit(0))
