/** What stands around the SDK's calls when a provider limits, fails, floods or lets its answers be kept. */
import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Sallyport } from '../../src/index.ts'
import type { SallyportConfig } from '../../src/index.ts'
import { startTestRedis } from '../../../testkit/src/servers/index.ts'
import { startUpstream } from '../../../testkit/src/upstream/index.ts'
import type { Upstream } from '../../../testkit/src/upstream/index.ts'
import { signIn } from '../oauth/sign-in.ts'
import { configOn, recordAt, REDIRECT_URI, startGround } from './ground.ts'
import type { Ground } from './ground.ts'

const ada = { provider: 'strict', userId: 'ada' }
const bob = { provider: 'strict', userId: 'bob' }
let ground: Ground
let api: Upstream
const open: Sallyport[] = []

beforeAll(async () => {
  ground = await startGround()
})
afterAll(() => ground.close())
beforeEach(async () => {
  api = await startUpstream()
})
afterEach(async () => {
  for (const sallyport of open.splice(0)) await sallyport.close()
  await api.close()
})

async function connect(sallyport: Sallyport, of: typeof ada): Promise<void> {
  const { url } = await sallyport.connect(of)
  await sallyport.handleCallback(await signIn(url, REDIRECT_URI), { userId: of.userId })
}

/** With `ada` connected, and `bob`. */
async function start(http: SallyportConfig['http'] = {}, changes: Partial<SallyportConfig> = {}): Promise<Sallyport> {
  const sallyport = await Sallyport.init(
    configOn(
      ground,
      { backend: 'memory' },
      {
        connectors: [recordAt(ground.origin, api.origin)],
        insecureAllowOrigins: [ground.origin, api.origin],
        http: { retry: { maxRetries: 0 }, ...http },
        ...changes,
      },
    ),
  )
  open.push(sallyport)
  for (const of of [ada, bob]) await connect(sallyport, of)
  return sallyport
}

const failing = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error)

describe('the breaker of an SDK', () => {
  it('S43 D-12 opens for no number of 404s', async () => {
    const sallyport = await start()
    api.answer((_request, response) => void response.writeHead(404).end())
    for (let i = 0; i < 12; i++) expect((await sallyport.request({ ...ada, path: '/a' })).status).toBe(404)
    expect(api.seen).toHaveLength(12)
  })

  it('S43 F-21 sends nothing after five failures in a row, tells of it, and goes on when the one call it lets through succeeds', async () => {
    const sallyport = await start({ circuitBreaker: { resetTimeout: 60_000 } })
    const told: object[] = []
    for (const name of ['circuit_opened', 'circuit_closed'] as const) sallyport.on(name, (event) => told.push({ name, ...event }))
    api.answer((_request, response) => void response.writeHead(503).end())
    for (let i = 0; i < 5; i++) await sallyport.request({ ...ada, path: '/a' })
    const refusals = await Promise.all(Array.from({ length: 20 }, () => failing(sallyport.request({ ...bob, path: '/b' }))))
    expect(new Set(refusals.map((error) => (error as { code: string }).code))).toEqual(new Set(['circuit_open']))
    expect(api.seen).toHaveLength(5)
    const { host } = new URL(api.origin)
    expect((await sallyport.getHealth()).providers['strict']).toMatchObject({ state: 'failing', openCircuits: [host] })
    expect(sallyport.metricsText()).toContain('circuit_breaker_state{provider="strict",state="open"} 1')
    expect(told).toEqual([{ name: 'circuit_opened', provider: 'strict', host }])
  })

  it('S43 takes the figures of its configuration', async () => {
    const sallyport = await start({ circuitBreaker: { failureThreshold: 2, resetTimeout: 1 } })
    let told = 0
    sallyport.on('circuit_closed', () => told++)
    api.answer((request, response) => void response.writeHead(request.url === '/down' ? 500 : 200).end())
    for (let i = 0; i < 2; i++) await sallyport.request({ ...ada, path: '/down' })
    await expect.poll(() => failing(sallyport.request({ ...ada, path: '/up' }))).toMatchObject({ status: 200 })
    expect(told).toBe(1)
  })
})

describe('the limits of a provider, around an SDK’s calls', () => {
  it('S47 D-13 hand an endless Retry-After on, and hold that user back no longer than a cap', async () => {
    const sallyport = await start()
    api.answer((_request, response) => void response.writeHead(429, { 'retry-after': '99999999' }).end())
    expect((await sallyport.request({ ...ada, path: '/a' })).status).toBe(429)
    const held = (await failing(sallyport.request({ ...ada, path: '/a' }))) as { code: string; retryAfterMs: number }
    expect(held.code).toBe('quota_exhausted')
    expect(held.retryAfterMs).toBeLessThanOrEqual(900_000)
    api.answer((_request, response) => void response.writeHead(200).end())
    expect((await sallyport.request({ ...bob, path: '/a' })).status).toBe(200)
    expect(api.seen).toHaveLength(2)
  })

  it('S52 are kept by what the provider says of its quota', async () => {
    const sallyport = await start()
    const quota = { 'x-ratelimit-limit': '60', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '3600' }
    api.answer((_request, response) => void response.writeHead(200, quota).end())
    expect((await sallyport.request({ ...ada, path: '/a' })).status).toBe(200)
    await expect(sallyport.request({ ...ada, path: '/b' })).rejects.toMatchObject({ code: 'quota_exhausted' })
    expect(api.seen).toHaveLength(1)
  })

  it('free a place when the provider is done, whether or not its answer is read', async () => {
    const sallyport = await start({}, { rateLimits: { strict: { concurrency: 1, queue: 10 } } })
    api.answer((_request, response) => void response.writeHead(200).end('nobody reads this'))
    const answers = await Promise.all(Array.from({ length: 8 }, () => sallyport.request({ ...ada, path: '/a' })))
    expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(Array(8).fill('nobody reads this'))
  })

  it('refuse a queue without end', async () => {
    const sallyport = await start({}, { rateLimits: { strict: { concurrency: 1, queue: 2 } } })
    const arrived = Promise.withResolvers<void>()
    const go = Promise.withResolvers<void>()
    api.answer(async (_request, response) => {
      arrived.resolve()
      await go.promise
      response.writeHead(200).end()
    })
    const first = sallyport.request({ ...ada, path: '/a' })
    await arrived.promise
    const others = Array.from({ length: 3 }, () => failing(sallyport.request({ ...ada, path: '/a' })))
    expect(await Promise.race(others)).toMatchObject({ code: 'queue_full' })
    go.resolve()
    expect((await first).status).toBe(200)
    await Promise.all(others)
  })
})

describe('answers that an SDK keeps', () => {
  it('S45 are asked about by their ETag, and given when the provider confirms them', async () => {
    const sallyport = await start()
    api.answer((request, response) => {
      if (request.headers['if-none-match'] === '"v1"') response.writeHead(304, { etag: '"v1"' }).end()
      else response.writeHead(200, { etag: '"v1"' }).end('the body')
    })
    const read = async () => {
      const answer = await sallyport.request({ ...ada, path: '/a' })
      return [answer.status, await answer.text(), answer.kept]
    }
    expect([await read(), await read()]).toEqual([
      [200, 'the body', null],
      [200, 'the body', 'confirmed'],
    ])
    expect(sallyport.metricsText()).toContain('http_cache_hits_total{provider="strict",answer="confirmed"} 1')
  })

  it('S44 F-20 L-13 stand in, marked, for a provider that is down; for no other user, page, query or grant', async () => {
    const sallyport = await start()
    api.answer((request, response) => {
      const whose = request.headers.authorization!
      response.writeHead(200, { etag: '"same for all"', 'cache-control': 'max-age=0' }).end(`${request.url} of ${whose}`)
    })
    const [own, other] = [await (await sallyport.request({ ...ada, path: '/a' })).text(), '/a?page=2']
    expect(own).toMatch(/^\/a of Bearer/u)
    await (await sallyport.request({ ...ada, path: other })).text()
    api.answer((_request, response) => void response.writeHead(503).end())
    const stale = await sallyport.request({ ...ada, path: '/a' })
    expect([await stale.text(), stale.kept, stale.status, stale.warnings]).toEqual([own, 'stale', 200, ['answer_stale']])
    expect(stale.headers.get('cache-status')).toContain('stale-if-error')
    expect(await (await sallyport.request({ ...ada, path: other })).text()).toMatch(/page=2 of/u)
    expect((await sallyport.request({ ...ada, path: '/a?page=3' })).status).toBe(503)
    expect((await sallyport.request({ ...bob, path: '/a' })).status).toBe(503)
    await connect(sallyport, ada)
    expect((await sallyport.request({ ...ada, path: '/a' })).status).toBe(503)
  })

  it('are none when that is configured, and of no answer to a POST', async () => {
    const sallyport = await start({ cache: { enabled: false } })
    api.answer((_request, response) => void response.writeHead(200, { 'cache-control': 'max-age=3600' }).end('x'))
    for (const method of ['GET', 'GET', 'POST', 'POST']) await (await sallyport.request({ ...ada, path: '/a', method })).text()
    expect(api.seen).toHaveLength(4)
  })

  it('D-08 are never large ones: 200 MB pass as a stream, and are refused as a text, with the connection', async () => {
    const sallyport = await start()
    const megabyte = Buffer.alloc(1024 * 1024, 'x')
    api.answer(async (_request, response) => {
      response.writeHead(200, { 'cache-control': 'max-age=3600' })
      for (let i = 0; i < 200 && !response.destroyed; i++)
        if (!response.write(megabyte)) await new Promise((resolve) => void response.once('drain', resolve).once('close', resolve))
      response.end()
    })
    const cut = api.nextAbort()
    await expect((await sallyport.request({ ...ada, path: '/a' })).text()).rejects.toMatchObject({ code: 'upstream_too_large' })
    await cut
    let size = 0
    for await (const chunk of (await sallyport.request({ ...ada, path: '/a' })).body) size += (chunk as Buffer).length
    expect(size).toBe(200 * megabyte.length)
    expect(api.seen).toHaveLength(2)
  })

  it('S45 L-10 are shared by processes on one Redis, sealed', async () => {
    const redis = await startTestRedis()
    try {
      const encryption = { key: randomBytes(32).toString('hex') }
      const changes = { tokenStore: { backend: 'redis' as const, url: redis.url, encryption } }
      const sharing = { cache: { store: 'redis' as const } }
      const first = await start(sharing, changes)
      api.answer((_request, response) => void response.writeHead(200, { 'cache-control': 'max-age=3600' }).end('a canary body'))
      await (await first.request({ ...ada, path: '/canary-path' })).text()
      const config = configOn(ground, changes.tokenStore, {
        connectors: [recordAt(ground.origin, api.origin)],
        insecureAllowOrigins: [ground.origin, api.origin],
        http: sharing,
      })
      const second = await Sallyport.init(config)
      open.push(second)
      await expect
        .poll(async () => {
          const answer = await second.request({ ...ada, path: '/canary-path' })
          return [await answer.text(), answer.kept]
        })
        .toEqual(['a canary body', 'fresh'])
      ;(await second.request({ ...ada, method: 'PUT', path: '/canary-path' })).discard()
      const asked = await first.request({ ...ada, path: '/canary-path' })
      expect(asked.kept).toBeNull()
      asked.discard()
      const client = new Redis(redis.url)
      const kept = (): Promise<string[]> => client.keys('sallyport:answer:*')
      for (const of of [ada, bob]) await (await first.request({ ...of, path: '/another' })).text()
      await expect.poll(async () => (await kept()).length).toBe(2)
      await second.disconnect(ada)
      expect(await kept()).toHaveLength(1)
      client.disconnect()
      for (const sallyport of open.splice(0)) await sallyport.close()
    } finally {
      await redis.stop()
    }
  })
})
