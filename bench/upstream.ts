/**
 * The provider's API as the benchmark needs it, on raw sockets with answers that are built once: it shares a core with the load and must never be
 * what is measured. Every request must carry the token of `BENCH_TOKEN`, or it is answered with 401: a proxy that didn't inject it shows as errors.
 *
 *   GET /bytes/<n>      n bytes of JSON, n one of 1024, 102400, 1048576
 *   POST /upload        reads the body, answers 1024 bytes
 *   GET /events/short   two events, a moment apart, then the end        GET /events/open   one event, then silence
 *   GET /user           whose account it is
 */
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

const TOKEN = process.env['BENCH_TOKEN'] ?? ''
const HEAD_END = Buffer.from('\r\n\r\n')
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i
const EMPTY = Buffer.alloc(0)

/** Between the events of a short stream, so that the first leaves alone. */
const PAUSE_MS = 2

const STREAM_HEAD =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n'
const EVENT = chunk('event: tick\ndata: {"text":"one event of a stream, about as long as a word or two of a model"}\n\n')
const LAST_CHUNK = '0\r\n\r\n'

const UNAUTHORIZED = answer(401, '{"message":"Bad credentials"}')
const ABSENT = answer(404, '{"message":"Not Found"}')
const UNREADABLE = answer(411, '{"message":"Length Required"}')
const KILOBYTE = answer(200, jsonOf(1024))
const ANSWERS = new Map<string, Buffer>([
  ...[1024, 102_400, 1_048_576].map((bytes) => [`GET /bytes/${bytes}`, answer(200, jsonOf(bytes))] as const),
  ['POST /upload', KILOBYTE],
  ['GET /user', answer(200, '{"id":7,"login":"bench"}')],
])

/** One connection: a request at a time, as HTTP/1.1 without pipelining has it. */
class Conversation {
  readonly #socket: Socket
  #kept: Buffer = EMPTY
  #bodyLeft = 0
  #answer: Buffer = EMPTY

  constructor(socket: Socket) {
    this.#socket = socket
  }

  take(chunk: Buffer): void {
    if (this.#bodyLeft > 0) return this.#body(chunk)
    const data = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk])
    const end = data.indexOf(HEAD_END)
    this.#kept = end < 0 ? data : EMPTY
    if (end >= 0) this.#head(data.toString('latin1', 0, end), data.subarray(end + HEAD_END.length))
  }

  #head(head: string, rest: Buffer): void {
    const target = head.slice(0, head.indexOf(' HTTP/1.1'))
    if (!head.includes(TOKEN)) this.#answer = UNAUTHORIZED
    else if (target.startsWith('GET /events/')) return this.#stream(target.endsWith('/short'))
    else this.#answer = ANSWERS.get(target) ?? ABSENT
    const length = CONTENT_LENGTH.exec(head)?.[1]
    if (length === undefined && target.startsWith('POST')) this.#answer = UNREADABLE
    this.#bodyLeft = Number(length ?? 0)
    this.#body(rest)
  }

  #body(data: Buffer): void {
    this.#bodyLeft -= data.length
    if (this.#bodyLeft === 0) this.#socket.write(this.#answer)
  }

  #stream(short: boolean): void {
    this.#socket.write(STREAM_HEAD + EVENT)
    if (short) setTimeout(() => this.#socket.write(EVENT + LAST_CHUNK), PAUSE_MS)
  }
}

const server = createServer({ noDelay: true }, (socket) => {
  const conversation = new Conversation(socket)
  socket.on('data', (chunk: Buffer) => conversation.take(chunk))
  // A proxy that gives up a connection is no concern of the upstream: the load generator sees what it did to the answer.
  socket.on('error', () => socket.destroy())
})

function answer(status: number, body: string): Buffer {
  const head = [
    `HTTP/1.1 ${status} Answer`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'cache-control: private, max-age=60',
    'etag: "6f1d2c3b4a"',
    'x-ratelimit-remaining: 4999',
  ]
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`)
}

/** A JSON list of exactly `bytes` bytes. */
function jsonOf(bytes: number): string {
  const item = '{"id":1296269,"name":"bench","private":false,"description":"one of many"}'
  const count = Math.floor((bytes - 24) / (item.length + 1))
  const list = `[${Array.from({ length: count }, () => item).join(',')},"`
  return `${list}${'.'.repeat(bytes - list.length - 2)}"]`
}

function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
}

server.listen(0, '127.0.0.1', () => process.send?.({ type: 'ready', port: (server.address() as AddressInfo).port }))
process.on('disconnect', () => process.exit(0))
process.on('SIGTERM', () => process.exit(0))
