/**
 * The Node limit that everything is compared with: a bare `http` server that hands each request to undici's `dispatch` and pipes the answer back. It
 * checks nothing, injects nothing and writes nothing down. The upstream's origin is in `BENCH_UPSTREAM`.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Agent } from 'undici'
import type { Dispatcher } from 'undici'

const origin = process.env['BENCH_UPSTREAM'] ?? ''
/** As the gateway's own pool. */
const agent = new Agent({ connections: 1_024, pipelining: 1, keepAliveTimeout: 4_000, allowH2: false })

/** What stays on each hop (RFC 9110 section 7.6.1), and the length, which goes with the body. */
const OWN = new Set(['connection', 'content-length', 'host', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'])

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  agent.dispatch(
    {
      origin,
      path: request.url!,
      method: request.method!,
      headers: headersOf(request),
      body: request.headers['content-length'] === undefined ? null : request,
    },
    new Passage(response),
  )
})

function headersOf(request: IncomingMessage): string[] {
  const kept: string[] = []
  const { rawHeaders } = request
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (!OWN.has(rawHeaders[i]!.toLowerCase())) kept.push(rawHeaders[i]!, rawHeaders[i + 1]!)
  }
  const length = request.headers['content-length']
  if (length !== undefined) kept.push('content-length', length)
  return kept
}

class Passage implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse

  constructor(response: ServerResponse) {
    this.#response = response
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#response.on('drain', () => controller.resume())
    this.#response.on('close', () => {
      if (!this.#response.writableFinished) controller.abort(new Error('the client is gone'))
    })
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    const raw = controller.rawHeaders as readonly Buffer[]
    const headers: string[] = []
    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i]!.toString('latin1')
      if (name === 'content-length' || !OWN.has(name.toLowerCase())) headers.push(name, raw[i + 1]!.toString('latin1'))
    }
    this.#response.writeHead(status, headers)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#response.write(chunk)) controller.pause()
  }

  onResponseEnd(): void {
    this.#response.end()
  }

  onResponseError(): void {
    if (this.#response.headersSent) this.#response.destroy()
    else this.#response.writeHead(502).end()
  }
}

server.listen(0, '127.0.0.1', () => process.send?.({ type: 'ready', port: (server.address() as AddressInfo).port }))
process.on('disconnect', () => process.exit(0))
process.on('SIGTERM', () => process.exit(0))
