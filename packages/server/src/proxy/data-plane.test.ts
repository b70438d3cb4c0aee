import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, it, vi } from 'vitest'
import { EgressError, formatId, listProviders, newId, noMetrics, providerRoute, systemClock } from '@sallyport/core'
import { PLAIN_CALLS } from '../db/index.ts'
import type { ProxyTarget } from '../db/index.ts'
import { REFUSED_KEY } from '../identity/index.ts'
import { createDataPlane } from './data-plane.ts'
import type { DataPlaneOptions } from './data-plane.ts'
import type { OutboundCall } from './outbound.ts'

/** A data plane up to where a call waits for its turn; everything behind that is not there. */
function trial({ path = '/a', allows = () => true }: { path?: string; allows?: (method: string, path: string) => boolean } = {}) {
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
  const opened = vi.fn(() => Promise.reject(new TypeError('no credential is opened')))
  const options: Partial<Record<keyof DataPlaneOptions, unknown>> = {
    authenticator: { judge: () => principal },
    keyUses: { note: () => undefined },
    crossOrigin: { answerFor: () => undefined },
    limiter: { admit: () => ({ standard: [], older: [] }) },
    targets: { peek: () => undefined, load: () => read.promise },
    routes: () => ({ allows, host: 'api.example' }),
    life: { isUsable: () => true },
    outbound: {
      turn: (_policy: unknown, call: OutboundCall) => {
        turns.push(call)
        return Promise.reject(new EgressError('client_gone', 'connection'))
      },
    },
    explained: (error: unknown) => Promise.resolve(error),
    useLog: { request: () => undefined },
    logger: { error: () => undefined, debug: () => undefined },
    vault: { openCached: () => opened(), open: () => opened() },
    clock: systemClock,
    metrics: noMetrics,
    transport: { fields: {}, flat: [] },
    maxRequestBytes: 1,
    isFromMemory: () => false,
  }
  const said: { status?: number; text?: string } = {}
  const response = Object.assign(new EventEmitter(), {
    req: { method: 'GET' },
    destroyed: false,
    headersSent: false,
    destroy: () => undefined,
    writeHead: (status: number) => void (said.status = status),
    end: (body: Buffer) => void (said.text = String(body)),
  })
  const rawHeaders = ['Authorization', 'Bearer not-a-real-key', 'Sallyport-Connection', formatId('conn', connection)]
  const request = { url: `/proxy/github${path}`, method: 'GET', headers: {}, rawHeaders, complete: true }
  const plane = createDataPlane(options as unknown as DataPlaneOptions)
  plane.handle(request as unknown as IncomingMessage, response as unknown as ServerResponse)
  return { plane, response, turns, said, opened, read: () => read.resolve(target) }
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

describe('a call outside the rules of its provider’s record', () => {
  const policy = { allowedPorts: [443], insecureAllowOrigins: [] }
  const { api } = listProviders().find(({ id }) => id === 'github')!
  const route = providerRoute({ api: { ...api, rules: [{ methods: ['GET'], pathPrefix: '/open' }] } }, policy)

  it.each(['/closed', '/opened', '/open?$httpMethod=DELETE', '/open?_method=delete'])(
    'S-18 is refused before its turn and before its credential is opened: %s',
    async (path) => {
      const { plane, turns, said, opened, read } = trial({ path, allows: (method, at) => route.allows(method, at) })
      read()
      await plane.idle()
      expect([said.status, turns, opened.mock.calls]).toEqual([400, [], []])
      expect(JSON.parse(said.text!)).toMatchObject({
        code: 'path_refused',
        detail: expect.stringContaining('not allowed by the integration'),
      })
    },
  )

  it('S-18 goes on inside of them', async () => {
    const { plane, turns, read } = trial({ path: '/open/a?page=2', allows: (method, at) => route.allows(method, at) })
    read()
    await plane.idle()
    expect(turns).toHaveLength(1)
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
