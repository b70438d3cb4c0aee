/** Owns the counterparts of the egress tests: hostile upstreams on raw sockets, a small gateway around forward, and raw clients. */
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { cleanRequestHeaders, createEgress, DEFAULT_EGRESS_POLICY, EgressError, judgePath, parseApiBase } from '../../src/http/index.ts'
import type { Egress, EgressPolicy, ForwardCall, ForwardResult } from '../../src/http/index.ts'

/** Things to close when a test ends, last opened first. */
export class Cleanup {
  readonly #tasks: (() => unknown)[] = []

  add(task: () => unknown): void {
    this.#tasks.push(task)
  }

  async run(): Promise<void> {
    for (let task = this.#tasks.pop(); task !== undefined; task = this.#tasks.pop()) await task()
  }
}

export interface Upstream {
  readonly origin: string
  readonly port: number
  /** Heads of the requests that arrived, in order. */
  readonly requests: string[]
  readonly sockets: Set<net.Socket>
  connections: number
}

/** An upstream that answers the n-th complete request head on a raw socket however it likes. */
export async function rawUpstream(
  cleanup: Cleanup,
  answer: (socket: net.Socket, head: string, count: number) => void,
  host = '127.0.0.1',
): Promise<Upstream> {
  const requests: string[] = []
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    upstream.connections += 1
    sockets.add(socket)
    socket.on('error', () => sockets.delete(socket))
    socket.on('close', () => sockets.delete(socket))
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const head = text.slice(0, end)
        text = text.slice(end + 4)
        if (!/^[A-Z]+ \S+ HTTP\/1\.1/.test(head)) continue
        requests.push(head)
        answer(socket, head, requests.length)
      }
    })
  })
  server.listen(0, host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const upstream: Upstream = {
    origin: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    requests,
    sockets,
    connections: 0,
  }
  cleanup.add(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return upstream
}

/** An upstream on node:http. */
export async function httpUpstream(cleanup: Cleanup, listener: http.RequestListener): Promise<{ origin: string; server: http.Server }> {
  const server = http.createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanup.add(() => {
    server.closeAllConnections()
    server.close()
  })
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server }
}

/** Times are out of a test's reach unless it sets them: what ends a call early must then be what the test is about. */
export function testEgress(cleanup: Cleanup, policy: Partial<EgressPolicy>): Egress {
  const egress = createEgress({
    ...DEFAULT_EGRESS_POLICY,
    headersTimeoutMs: 600_000,
    idleTimeoutMs: 600_000,
    totalTimeoutMs: 600_000,
    ...policy,
  })
  cleanup.add(() => egress.close())
  return egress
}

export type Outcome = { readonly result: ForwardResult } | { readonly error: EgressError }

export interface Gateway {
  readonly origin: string
  readonly port: number
  /** What forward said about the n-th call, from 0; waits for it. */
  outcome(index: number): Promise<Outcome>
}

/** A gateway of twenty lines: judge, clean, forward; its own answer is 502 with the code as its body. */
export async function gateway(
  cleanup: Cleanup,
  egress: Egress,
  apiBase: string,
  more: Partial<ForwardCall> | ((response: http.ServerResponse) => Partial<ForwardCall>) = {},
): Promise<Gateway> {
  const base = parseApiBase(apiBase, { allowedPorts: [443], insecureAllowOrigins: [new URL(apiBase).origin] })
  const outcomes: PromiseWithResolvers<Outcome>[] = []
  const slot = (index: number) => (outcomes[index] ??= Promise.withResolvers<Outcome>())
  let calls = 0
  const listener = async (request: http.IncomingMessage, response: http.ServerResponse) => {
    const { resolve } = slot(calls++)
    const length = request.headers['content-length']
    const hasBody = length !== undefined || request.headers['transfer-encoding'] !== undefined
    try {
      const result = await egress.forward({
        base,
        method: request.method!,
        path: judgePath(request.url!),
        headers: cleanRequestHeaders(request.rawHeaders),
        inject: [],
        body: hasBody ? request : null,
        ...(length === undefined ? {} : { contentLength: Number(length) }),
        maxRequestBytes: 10 * 1024 * 1024,
        response,
        rewriteTo: 'https://gate.example/proxy/x',
        ...(typeof more === 'function' ? more(response) : more),
      })
      resolve({ result })
    } catch (error) {
      if (!(error instanceof EgressError)) throw error
      response.writeHead(error.code === 'request_too_large' ? 413 : 502, { connection: 'close' }).end(error.code)
      resolve({ error })
    }
  }
  const server = http.createServer((request, response) => void listener(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanup.add(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { origin: `http://127.0.0.1:${port}`, port, outcome: (index) => slot(index).promise }
}

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly trailers: NodeJS.Dict<string>
  readonly body: Buffer
  /** False when the connection broke before the answer was whole. */
  readonly whole: boolean
}

/** One request with node's own client, so that a cut answer can be told from a whole one. */
export function call(origin: string, path = '/', options: http.RequestOptions & { body?: string | Buffer } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(`${origin}${path}`, { agent: false, ...options }, (response) => {
      const chunks: Buffer[] = []
      const conclude = () =>
        resolve({
          status: response.statusCode!,
          headers: response.headers,
          rawHeaders: response.rawHeaders,
          trailers: response.trailers,
          body: Buffer.concat(chunks),
          whole: response.complete,
        })
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', () => undefined)
      response.on('close', conclude)
    })
    request.on('error', reject)
    request.end(options.body)
  })
}
