/** The way from a front to its emulator, on loopback. It streams both ways and adds nothing; hop-by-hop headers stay where they are. */
import { Agent, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'

export interface UpstreamAnswer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** No answer of the emulator that the front reads whole is larger. */
const MAX_READ_BYTES = 4 * 1024 * 1024

export class Upstream {
  readonly #agent = new Agent({ keepAlive: true })
  readonly #port: number
  readonly #host: string

  /** `host` is the front's own `127.0.0.1:port`: the emulator builds Link headers from it. */
  constructor(port: number, host: string) {
    this.#port = port
    this.#host = host
  }

  /** Sends a small request and reads the whole answer. */
  async ask(method: string, path: string, headers: Record<string, string>, body?: string): Promise<UpstreamAnswer> {
    const response = await this.#send(method, path, { ...headers, ...lengthOf(body) }, (outgoing) => outgoing.end(body))
    return { status: response.statusCode ?? 502, headers: response.headers, body: await readText(response, MAX_READ_BYTES) }
  }

  /** Streams `incoming` to the emulator and its answer back. A caller that goes away takes the call with it. */
  async relay(incoming: IncomingMessage, outgoing: ServerResponse, authorization: string | undefined): Promise<void> {
    const headers = withoutHopByHop(incoming.headers)
    delete headers.authorization
    if (authorization !== undefined) headers.authorization = authorization
    // A body of unknown length keeps its framing; Node would send it bare on methods that seldom have one.
    if (incoming.headers['transfer-encoding'] !== undefined) headers['transfer-encoding'] = 'chunked'
    const response = await this.#send(incoming.method ?? 'GET', incoming.url ?? '/', headers, (sent) => {
      outgoing.once('close', () => {
        if (!outgoing.writableFinished) sent.destroy()
      })
      incoming.pipe(sent)
    })
    outgoing.writeHead(response.statusCode ?? 502, withoutHopByHop(response.headers))
    await pipeline(response, outgoing)
  }

  close(): void {
    this.#agent.destroy()
  }

  #send(
    method: string,
    path: string,
    headers: IncomingHttpHeaders,
    write: (outgoing: ReturnType<typeof httpRequest>) => void,
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const outgoing = httpRequest(
        { host: '127.0.0.1', port: this.#port, method, path, agent: this.#agent, headers: { ...headers, host: this.#host } },
        resolve,
      )
      outgoing.on('error', reject)
      write(outgoing)
    })
  }
}

export class BodyTooLarge extends Error {}

/** Reads a whole body as UTF-8. @throws BodyTooLarge over `limit` bytes. */
export async function readText(stream: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > limit) throw new BodyTooLarge(`The body is over ${limit} bytes.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function lengthOf(body: string | undefined): Record<string, string> {
  return body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
}

function withoutHopByHop(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)))
}
