/**
 * Owns the metrics' own port: one server that answers `GET /metrics` in the Prometheus text format and nothing else. Refuses pages of browsers
 * (nobody signs in here, so nothing but the address guards it), names that lead to its loopback, and any other path or method.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import type { AddressInfo } from 'node:net'
import { METRICS_CONTENT_TYPE } from '@sallyport/core'

export interface MetricsServer {
  /** The port it got. */
  readonly port: number
  /** Stops listening and ends every connection. Idempotent. */
  close(): Promise<void>
}

/** Nobody has a reason to be slower, or to send more. */
const LIMITS = { headersTimeout: 5_000, requestTimeout: 5_000, keepAliveTimeout: 65_000, maxHeaderSize: 8_192 }
const MAX_CONNECTIONS = 16

/**
 * @param render everything, as it is now
 * @throws the operating system's error when the address can't be listened on
 */
export async function startMetricsServer(at: { host: string; port: number }, render: () => string): Promise<MetricsServer> {
  const server = createServer(LIMITS, (request, response) => answer(request, response, render))
  server.maxConnections = MAX_CONNECTIONS
  server.listen(at.port, at.host)
  await once(server, 'listening')
  let closing: Promise<void> | undefined
  return {
    port: (server.address() as AddressInfo).port,
    close: () => (closing ??= close(server)),
  }
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}

function answer(request: IncomingMessage, response: ServerResponse, render: () => string): void {
  const path = request.url?.split('?', 1)[0]
  if (path !== '/metrics') return plain(response, 404, 'Not found. The metrics are at /metrics.\n')
  if (request.method !== 'GET' && request.method !== 'HEAD') return plain(response, 405, 'Use GET.\n', { allow: 'GET, HEAD' })
  // A page that a person opened could read this machine's loopback, or have a name of its own lead there; a scraper does neither.
  const named = request.socket.localAddress !== undefined && isLoopback(request.socket.localAddress) && !isOwnName(request.headers.host)
  if (named || request.headers.origin !== undefined || (request.headers['sec-fetch-site'] ?? 'none') !== 'none') {
    return plain(response, 403, 'Not for web pages.\n')
  }
  return plain(response, 200, render(), { 'content-type': METRICS_CONTENT_TYPE })
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\./iu.test(address)
}

/** An address, or the one name that leads nowhere else: no other can be rebound to here. */
function isOwnName(host = ''): boolean {
  const name = host.replace(/:\d+$/u, '').replace(/^\[(.*)\]$/u, '$1')
  return isIP(name) !== 0 || name.toLowerCase() === 'localhost'
}

function plain(response: ServerResponse, status: number, text: string, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
  })
  response.end(response.req.method === 'HEAD' ? undefined : text)
}
