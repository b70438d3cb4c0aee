import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, it, vi } from 'vitest'
import { EgressError, formatId, newId, noMetrics, systemClock } from '@sallyport/core'
import { PLAIN_CALLS } from '../db/index.ts'
import type { ProxyTarget } from '../db/index.ts'
import { REFUSED_KEY } from '../identity/index.ts'
import { createDataPlane } from './data-plane.ts'
import type { DataPlaneOptions } from './data-plane.ts'
import type { OutboundCall } from './outbound.ts'

/** A data plane up to where a call waits for its turn; everything behind that is not there. */
function trial() {
  const connection = newId('conn')
  const candidate = { id: connection, status: 'active', trouble: null, retryAt: null, generation: 1, credential: null } as const
  const policy = { ...PLAIN_CALLS, qps: 1 }
  const target: ProxyTarget = {
    now: new Date(),
    integration: { id: newId('int'), provider: 'github', policy },
    connections: [{ ...candidate, credential: { seq: 1n, sealed: Buffer.of(0), obtainedAt: new Date(), expiresAt: null } }],
  }
  const principal = {
    kind: 'key',
    keyId: newId('key'),
    org: newId('org'),
    project: newId('proj'),
    environment: 'test',
    scopes: new Set(['proxy:call']),
    connection,
    auditUseMode: 'batched',
    bounds: null,
  }
  const read = Promise.withResolvers<ProxyTarget>()
  const turns: OutboundCall[] = []
  const options: Partial<Record<keyof DataPlaneOptions, unknown>> = {
    authenticator: { judge: () => principal },
    keyUses: { note: () => undefined },
    crossOrigin: { answerFor: () => undefined },
    limiter: { admit: () => ({ standard: [], older: [] }) },
    targets: { peek: () => undefined, load: () => read.promise },
    routes: () => ({ allows: () => true, host: 'api.example' }),
    life: { isUsable: () => true },
    outbound: {
      turn: (_policy: unknown, call: OutboundCall) => {
        turns.push(call)
        return Promise.reject(new EgressError('client_gone', 'connection'))
      },
    },
    explained: (error: unknown) => Promise.resolve(error),
    useLog: { request: () => undefined },
    logger: { error: () => undefined },
    clock: systemClock,
    metrics: noMetrics,
    transport: { fields: {}, flat: [] },
    maxRequestBytes: 1,
    isFromMemory: () => false,
  }
  const response = Object.assign(new EventEmitter(), { destroyed: false, headersSent: false, destroy: () => undefined })
  const rawHeaders = ['Authorization', 'Bearer not-a-real-key', 'Sallyport-Connection', formatId('conn', connection)]
  const request = { url: '/proxy/github/a', method: 'GET', headers: {}, rawHeaders, complete: true }
  const plane = createDataPlane(options as unknown as DataPlaneOptions)
  plane.handle(request as unknown as IncomingMessage, response as unknown as ServerResponse)
  return { plane, response, turns, read: () => read.resolve(target) }
}

/** A call with a key that memory refuses; whatever else it might ask fails the test. */
function refusedTrial(rawHeaders: readonly string[] = ['Authorization', 'Bearer not-a-real-key']) {
  const asked = vi.fn(() => Promise.reject(new TypeError('nothing is asked')))
  const counted: unknown[] = []
  const options: Partial<Record<keyof DataPlaneOptions, unknown>> = {
    authenticator: { judge: () => REFUSED_KEY, authenticate: asked },
    keyUses: { note: asked },
    limiter: { admit: asked },
    targets: { peek: asked, load: asked },
    useLog: { request: asked, use: asked },
    logger: { error: asked, debug: () => undefined },
    clock: systemClock,
    metrics: { ...noMetrics, count: (...args: unknown[]) => void counted.push(args) },
    transport: { fields: {}, flat: [] },
  }
  const said: { status?: number; ended: boolean } = { ended: false }
  const response = Object.assign(new EventEmitter(), {
    req: { method: 'GET' },
    headersSent: false,
    writeHead: (status: number) => void (said.status = status),
    end: () => void (said.ended = true),
  })
  const request = { url: '/proxy/github/a', method: 'GET', headers: {}, rawHeaders, complete: false }
  const plane = createDataPlane(options as unknown as DataPlaneOptions)
  plane.handle(request as unknown as IncomingMessage, response as unknown as ServerResponse)
  return { plane, said, asked, counted, response }
}

describe('a call with a bad key', () => {
  it('D-01 is answered before anything is waited for, counted once, and neither asks nor writes anything', async () => {
    const { plane, said, asked, counted } = refusedTrial()
    expect(said).toEqual({ status: 401, ended: true })
    expect(counted).toEqual([['http_requests_total', { provider: 'none', method: 'GET', status: '4xx', source: 'gateway' }]])
    expect(asked).not.toHaveBeenCalled()
    await plane.idle()
  })

  it('D-01 is answered so without any key, and with two', () => {
    expect(refusedTrial([]).said).toEqual({ status: 401, ended: true })
    expect(refusedTrial(['Authorization', 'Bearer a', 'authorization', 'Bearer b']).said).toEqual({ status: 400, ended: true })
  })

  it('keeps the connection of one that sends no body, and waits a moment for the rest of one that does', () => {
    const key = ['Authorization', 'Bearer not-a-real-key']
    const listeners = (rawHeaders: string[]) => refusedTrial([...key, ...rawHeaders]).response.listenerCount('finish')
    expect(listeners([])).toBe(0)
    expect(listeners(['Content-Length', '0'])).toBe(0)
    expect(listeners(['Content-Length', '5'])).toBe(1)
    expect(listeners(['Transfer-Encoding', 'chunked'])).toBe(1)
  })
})

describe('a call whose caller is gone', () => {
  it('F-11 before the database has said where it goes is gone for whatever it would wait for', async () => {
    const { plane, response, turns, read } = trial()
    response.destroyed = true
    response.emit('close')
    read()
    await plane.idle()
    expect(turns.map(({ gone }) => gone.aborted)).toEqual([true])
  })
})
