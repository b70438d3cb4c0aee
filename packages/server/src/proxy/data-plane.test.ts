import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import { EgressError, formatId, newId, noMetrics, systemClock } from '@sallyport/core'
import { PLAIN_CALLS } from '../db/index.ts'
import type { ProxyTarget } from '../db/index.ts'
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
    authenticator: { cached: () => principal },
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
