/** Owns an API on loopback whose answers a test writes. Refuses to answer anything it was not told to. */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export type Answer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

export interface SeenRequest {
  readonly method: string
  readonly url: string
  readonly rawHeaders: readonly string[]
  readonly headers: IncomingMessage['headers']
  /** What has arrived of the body; whole once the request has ended. */
  readonly body: Buffer[]
}

export interface Upstream {
  readonly origin: string
  /** Requests whose headers arrived, oldest first. */
  readonly seen: SeenRequest[]
  /** Connections made so far. */
  readonly connections: () => number
  /** Resolves when a request that is under way loses its connection. */
  readonly nextAbort: () => Promise<void>
  answer(how: Answer): void
  close(): Promise<void>
}

const unexpected: Answer = (_request, response) => void response.writeHead(599).end('no answer was written for this test')

export async function startUpstream(): Promise<Upstream> {
  let current = unexpected
  let connections = 0
  const seen: SeenRequest[] = []
  const aborts: (() => void)[] = []
  const server = createServer({ keepAliveTimeout: 30_000 }, (request, response) => {
    const record: SeenRequest = {
      method: request.method!,
      url: request.url!,
      rawHeaders: request.rawHeaders,
      headers: request.headers,
      body: [],
    }
    seen.push(record)
    request.on('data', (chunk: Buffer) => record.body.push(chunk))
    request.on('error', () => undefined)
    response.on('close', () => {
      if (!response.writableFinished) for (const resolve of aborts.splice(0)) resolve()
    })
    void current(request, response)
  })
  server.on('connection', (_socket: Socket) => (connections += 1))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    connections: () => connections,
    nextAbort: () => new Promise((resolve) => aborts.push(resolve)),
    answer: (how) => void (current = how),
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
