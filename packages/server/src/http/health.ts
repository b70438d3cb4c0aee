/**
 * Owns the two questions that a supervisor asks. Refuses details: outside, a node is up or ready or it isn't (battery X-06).
 *   /healthz  the process answers
 *   /readyz   it should get traffic: not draining, database reachable and migrated, nothing unsaved; `degraded` when Redis is away
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { formatId, newId } from '@sallyport/core'
import { EDGE_HEADERS } from './edge-headers.ts'

/** `degraded`: traffic is welcome, and something that makes it faster is away. */
export type Readiness = 'ok' | 'degraded'

export interface Health {
  /** Rejects when this node should get no traffic. Asked on each `/readyz`; must answer or fail in bounded time. */
  readonly ready: () => Promise<Readiness>
  readonly draining: () => boolean
  /** Of every answer, beside those that are always there. */
  readonly headers: Readonly<Record<string, string>>
}

/** Answers the two paths; false for any other request. Stands before everything else: it works while the rest is refused. */
export function createHealthListener(health: Health): (request: IncomingMessage, response: ServerResponse) => boolean {
  return (request, response) => {
    const path = request.url?.split('?', 1)[0]
    if (request.method !== 'GET' && request.method !== 'HEAD') return false
    if (path === '/healthz') answer(response, 'ok', health.headers)
    else if (path === '/readyz') void readinessOf(health).then((ready) => answer(response, ready, health.headers))
    else return false
    return true
  }
}

/** Any failure means no: why is in the log of whoever failed. */
async function readinessOf(health: Health): Promise<Readiness | 'unavailable'> {
  if (health.draining()) return 'unavailable'
  return health.ready().then(
    (ready) => (health.draining() ? 'unavailable' : ready),
    () => 'unavailable',
  )
}

function answer(response: ServerResponse, status: Readiness | 'unavailable', more: Readonly<Record<string, string>>): void {
  const good = status !== 'unavailable'
  const body = JSON.stringify({ status })
  response.writeHead(good ? 200 : 503, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...EDGE_HEADERS,
    ...more,
    'sallyport-request-id': formatId('req', newId('req')),
    ...(good ? {} : { 'retry-after': '1', 'sallyport-error-source': 'gateway' }),
  })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}
