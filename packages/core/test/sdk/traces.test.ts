/** Traces of the SDK in an application that has OpenTelemetry's own SDK on, and none in one that has not. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Sallyport } from '../../src/index.ts'
import type { Item } from '../../src/index.ts'
import { startUpstream } from '../../../testkit/src/upstream/index.ts'
import type { Upstream } from '../../../testkit/src/upstream/index.ts'
import { configOn, recordAt, REDIRECT_URI, renewed } from './ground.ts'

const of = { provider: 'strict', userId: 'ada-of-the-traces' }
const NOTHING: Item = {
  kind: 'post',
  id: null,
  title: null,
  text: null,
  url: null,
  author: null,
  createdAt: null,
  updatedAt: null,
  startsAt: null,
  endsAt: null,
  faults: [],
  raw: null,
}
const exporter = new InMemorySpanExporter()
const application = trace.getTracer('an application')
let provider: Upstream
let sallyport: Sallyport
let newest: number

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
})
afterAll(() => {
  trace.disable()
  context.disable()
})
beforeEach(async () => {
  newest = 0
  provider = await startUpstream()
  answerApi(200)
  await begin()
  exporter.reset()
})
afterEach(async () => {
  await sallyport.close()
  await provider.close()
})

async function begin(): Promise<void> {
  const { origin } = provider
  const client = { clientId: 'an-id', clientSecret: 'a fake secret', redirectUri: REDIRECT_URI }
  const ground = { origin, record: recordAt(origin), client, close: async () => undefined }
  const http = { retry: { maxRetries: 1, baseDelay: 1, maxDelay: 1 } }
  sallyport = await Sallyport.init(configOn(ground, { backend: 'memory' }, { http }))
  const { state } = await sallyport.connect(of)
  await sallyport.handleCallback(new URLSearchParams({ state, code: 'a-canary-code', iss: origin }), { userId: of.userId })
}

function answerApi(status: number): void {
  provider.answer(async (request, response) => {
    for await (const _chunk of request) void _chunk
    const answer =
      request.url === '/token'
        ? { code: 200, body: nextTokens() }
        : request.url === '/me'
          ? { code: 200, body: { sub: 'grace', email: null } }
          : { code: status, body: {} }
    response.writeHead(answer.code, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body))
  })
}

function nextTokens(): object {
  newest += 1
  const tokens = { access_token: `canary-access-${newest}`, refresh_token: `canary-refresh-${newest}` }
  return { ...tokens, token_type: 'bearer', expires_in: 3600 }
}

const spans = (): ReadableSpan[] => exporter.getFinishedSpans()
const named = (name: string): ReadableSpan => spans().find((span) => span.name === name)!
const parentOf = (span: ReadableSpan): ReadableSpan | undefined =>
  spans().find((other) => other.spanContext().spanId === span.parentSpanContext?.spanId)

describe('traces of the SDK', () => {
  it('have a call under the application’s own span, with a client span by the conventions for HTTP', async () => {
    await application.startActiveSpan('a request of the application', async (span) => {
      await (await sallyport.request({ ...of, path: '/things?token=canary-in-a-query', query: { q: 'canary-2' } })).text()
      span.end()
    })
    await expect.poll(() => spans().map(({ name }) => name)).toContain('GET')
    const call = named('GET')
    expect(call.kind).toBe(SpanKind.CLIENT)
    const { hostname, port } = new URL(provider.origin)
    expect(call.attributes).toEqual({
      'http.request.method': 'GET',
      'server.address': hostname,
      'server.port': Number(port),
      'url.scheme': 'http',
      'http.response.status_code': 200,
    })
    expect([parentOf(call)!.name, parentOf(parentOf(call)!)!.name]).toEqual(['sallyport.request', 'a request of the application'])
    expect(named('sallyport.request').attributes).toEqual({ 'sallyport.provider': 'strict' })
    expect(new Set(spans().map((span) => span.spanContext().traceId)).size).toBe(1)
  })

  it('have one span a try, and the status of what failed', async () => {
    answerApi(503)
    await (await sallyport.request({ ...of, path: '/things' })).text()
    await expect.poll(() => spans().filter(({ name }) => name === 'GET').length).toBe(2)
    for (const call of spans().filter(({ name }) => name === 'GET'))
      expect([call.status.code, call.attributes['error.type']]).toEqual([SpanStatusCode.ERROR, '503'])
  })

  it('have one span over all pages of a walk, from its first item to its last, with a client span a page', async () => {
    sallyport.registerConnector(
      { ...recordAt(provider.origin), id: 'own' },
      { clientId: 'an-id', clientSecret: 'a fake secret', redirectUri: REDIRECT_URI },
      {
        collections: {
          async *things(request) {
            for (const path of ['/canary-page-1', '/canary-page-2']) {
              await (await request({ method: 'GET', path })).text()
              yield { ...NOTHING, id: path }
            }
          },
        },
      },
    )
    const { state } = await sallyport.connect({ ...of, provider: 'own' })
    await sallyport.handleCallback(new URLSearchParams({ state, code: 'a-canary-code', iss: provider.origin }), { userId: of.userId })
    exporter.reset()
    await application.startActiveSpan('a request of the application', async (span) => {
      for await (const item of sallyport.fetch({ ...of, provider: 'own', collection: 'things' })) expect(item.id).toContain('/canary-page')
      span.end()
    })
    await expect.poll(() => spans().filter(({ name }) => name === 'GET').length).toBe(2)
    const walk = named('sallyport.fetch')
    expect(walk.attributes).toEqual({ 'sallyport.provider': 'own', 'sallyport.collection': 'things', 'sallyport.items': 2 })
    expect(parentOf(walk)!.name).toBe('a request of the application')
    for (const call of spans().filter(({ name }) => name === 'GET')) expect(parentOf(call)).toBe(walk)
    answerApi(403)
    exporter.reset()
    const failing = sallyport.fetch({ provider: 'feed', url: `${provider.origin}/feed` })
    await expect(failing.next()).rejects.toMatchObject({ code: 'collection_refused' })
    expect(named('sallyport.fetch').attributes).toMatchObject({ 'sallyport.provider': 'feed', 'error.type': 'collection_refused' })
    exporter.reset()
    const left = sallyport.fetch({ ...of, provider: 'own', collection: 'things' })
    await left.next()
    expect(spans().filter(({ name }) => name === 'sallyport.fetch')).toEqual([])
    await left.return()
    expect(named('sallyport.fetch').attributes['sallyport.items']).toBe(1)
  })

  it('have a refresh and its wait for the lease, and the token call within', async () => {
    await renewed(sallyport, of)
    const [refresh, wait, call] = [named('sallyport.token.refresh'), named('sallyport.lease.wait'), named('POST')]
    expect(refresh.attributes).toEqual({
      'sallyport.provider': 'strict',
      'sallyport.refresh.attempt': 1,
      'sallyport.refresh.outcome': 'tokens',
    })
    expect(wait.attributes).toEqual({ 'sallyport.lease.outcome': 'held' })
    expect([parentOf(refresh)!.name, parentOf(wait)!.name, parentOf(call)!.name]).toEqual([
      'sallyport.refresh',
      'sallyport.refresh',
      'sallyport.token.refresh',
    ])
  })

  it('say by which code a verb failed, and nothing of its words', async () => {
    await expect(sallyport.request({ ...of, path: '//elsewhere' })).rejects.toMatchObject({ code: 'path_refused' })
    await expect(sallyport.connect({ provider: 'canary-provider', userId: 'ada' })).rejects.toMatchObject({ code: 'provider_unknown' })
    expect(named('sallyport.request')).toMatchObject({
      status: { code: SpanStatusCode.ERROR },
      attributes: { 'error.type': 'path_refused' },
    })
    expect(named('sallyport.connect').attributes).toEqual({ 'error.type': 'provider_unknown' })
    expect(spans().every(({ status, events }) => status.message === undefined && events.length === 0)).toBe(true)
  })

  it('N15 L-07 hold no token, code, path, query, header or user', async () => {
    await renewed(sallyport, of)
    await (await sallyport.request({ ...of, path: '/things?token=canary-in-a-query', headers: { 'x-own': 'canary-header' } })).text()
    provider.answer((request) => void request.socket.resetAndDestroy())
    await expect(sallyport.request({ ...of, method: 'POST', path: '/things', body: 'canary-body' })).rejects.toThrow()
    await sallyport.disconnect(of)
    const told = spans().map(({ name, attributes, status, events, links, resource }) => [
      name,
      attributes,
      status,
      events,
      links,
      resource.attributes,
    ])
    expect(told.length).toBeGreaterThan(8)
    for (const word of ['canary', of.userId, 'a fake secret', '?', '/things']) expect(JSON.stringify(told)).not.toContain(word)
  })

  it('are made by nobody else of what the SDK sends', async () => {
    // As an instrumentation of undici would.
    const instrument = (): void => application.startSpan('by an instrumentation', {}, context.active()).end()
    subscribe('undici:request:create', instrument)
    await (await sallyport.request({ ...of, path: '/things' })).text()
    await renewed(sallyport, of)
    unsubscribe('undici:request:create', instrument)
    application.startSpan('of its own').end()
    expect(named('of its own')).toBeDefined()
    expect(named('by an instrumentation')).toBeUndefined()
  })

  it('do not hang the background on the span in which the SDK was begun', async () => {
    let inside: Sallyport | undefined
    await application.startActiveSpan('the start of the application', async (span) => {
      const client = { clientId: 'an-id', clientSecret: 'a fake secret', redirectUri: REDIRECT_URI }
      inside = await Sallyport.init(
        configOn(
          { origin: provider.origin, record: recordAt(provider.origin), client, close: async () => undefined },
          { backend: 'memory' },
        ),
      )
      span.end()
    })
    await inside!.close()
    expect(spans().map(({ name }) => name)).toEqual(['the start of the application'])
  })

  it('are none where no provider is registered, until one is', async () => {
    await sallyport.close()
    trace.disable()
    await begin()
    await (await sallyport.request({ ...of, path: '/things' })).text()
    expect(spans()).toEqual([])
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
    await (await sallyport.request({ ...of, path: '/things' })).text()
    await expect.poll(() => spans().map(({ name }) => name)).toContain('GET')
  })
})
