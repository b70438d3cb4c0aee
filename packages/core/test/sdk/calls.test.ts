/** Calls in a user's name, against an API that answers as each test says, and what the SDK tells of them. */
import { Readable } from 'node:stream'
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Sallyport } from '../../src/index.ts'
import type { SallyportConfig, SallyportEvent } from '../../src/index.ts'
import { startUpstream } from '../../../testkit/src/upstream/index.ts'
import type { Upstream } from '../../../testkit/src/upstream/index.ts'
import { signIn } from '../oauth/sign-in.ts'
import { CLIENT_SECRET, configOn, REDIRECT_URI, recordAt, renewed, startGround } from './ground.ts'
import type { Ground } from './ground.ts'

const of = { provider: 'strict', userId: 'ada' }
let ground: Ground
let api: Upstream
let sallyport: Sallyport
let lines: string[]

beforeAll(async () => {
  ground = await startGround()
})
afterAll(() => ground.close())
beforeEach(async () => {
  api = await startUpstream()
  lines = []
})
afterEach(async () => {
  await sallyport.close()
  await api.close()
})

async function start(changes: Partial<SallyportConfig> = {}): Promise<void> {
  const config = configOn(
    ground,
    { backend: 'memory' },
    {
      connectors: [recordAt(ground.origin, api.origin)],
      insecureAllowOrigins: [ground.origin, api.origin],
      http: { retry: { baseDelay: 1, maxDelay: 50 } },
      logging: { level: 'debug', write: (line) => lines.push(line) },
      ...changes,
    },
  )
  sallyport = await Sallyport.init(config)
  const { url } = await sallyport.connect(of)
  await sallyport.handleCallback(await signIn(url, REDIRECT_URI), { userId: 'ada' })
}

const tokensSeen = (): string[] => api.seen.map(({ headers }) => headers.authorization ?? '')

describe('a call through the SDK', () => {
  it('carries the token last and nothing of the caller’s own credentials', async () => {
    await start()
    api.answer((_request, response) => void response.writeHead(200, { 'set-cookie': 'a=b', 'x-kept': 'yes' }).end('{"a":1}'))
    const headers = { Authorization: 'Bearer own', Cookie: 'c=d', 'X-Own': 'kept' }
    const answer = await sallyport.request({ ...of, method: 'post', path: '/things?a=b', query: { 'c d': 1 }, headers, json: { b: 2 } })
    expect(await answer.json()).toEqual({ a: 1 })
    expect([answer.ok, answer.headers.get('x-kept'), answer.headers.get('set-cookie')]).toEqual([true, 'yes', null])
    const [seen] = api.seen
    expect([seen!.method, seen!.url, Buffer.concat(seen!.body).toString()]).toEqual(['POST', '/things?a=b&c+d=1', '{"b":2}'])
    expect(seen!.headers).toMatchObject({ 'x-own': 'kept', 'x-from': 'record', 'content-type': 'application/json' })
    expect(seen!.headers.authorization).toMatch(/^Bearer (?!own)/u)
    expect(seen!.headers.cookie).toBeUndefined()
  })

  it.each(['https://other.example/', '//other.example/', '/a/../b', '/a%2e%2e/b', '\\\\other.example', 'users'])(
    'goes nowhere for the path %s',
    async (path) => {
      await start()
      await expect(sallyport.request({ ...of, path })).rejects.toMatchObject({ code: 'path_refused' })
      expect(api.seen).toEqual([])
    },
  )

  it('gets a 401 as its answer when the token was given out a moment ago: another would not help', async () => {
    await start()
    api.answer((_request, response) => void response.writeHead(401).end())
    expect((await sallyport.request({ ...of, path: '/a' })).status).toBe(401)
    expect(new Set(tokensSeen()).size).toBe(1)
  })

  it('of a stream is sent once', async () => {
    await start()
    api.answer((request, response) => void request.resume().on('end', () => response.writeHead(503).end()))
    const body = Readable.from([Buffer.from('once')])
    expect((await sallyport.request({ ...of, method: 'PUT', path: '/a', body })).status).toBe(503)
    expect(api.seen).toHaveLength(1)
  })

  it('is repeated after a 503 and a 429, and gets the last answer when all fail', async () => {
    await start()
    let calls = 0
    api.answer((_request, response) => {
      calls += 1
      if (calls < 3) response.writeHead(calls === 1 ? 503 : 429, { 'retry-after': '0' }).end()
      else response.writeHead(200).end('done')
    })
    expect(await (await sallyport.request({ ...of, path: '/a' })).text()).toBe('done')
    api.answer((_request, response) => void response.writeHead(500).end())
    expect((await sallyport.request({ ...of, path: '/a' })).status).toBe(500)
    expect(api.seen).toHaveLength(7)
  })

  it('that is cut does not look whole, and ends no process where nobody reads it', async () => {
    await start()
    api.answer((_request, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('half', () => response.destroy())
    })
    const answer = await sallyport.request({ ...of, path: '/a' })
    await expect(answer.text()).rejects.toMatchObject({ code: 'upstream_reset' })
    expect((await sallyport.request({ ...of, path: '/a' })).status).toBe(200)
  })

  it('gathers no more than fits, and streams what is larger', async () => {
    await start()
    const megabyte = Buffer.alloc(1024 * 1024, 'x')
    const large = (): Readable => Readable.from(Array.from({ length: 40 }, () => megabyte))
    api.answer((_request, response) => void large().pipe(response.writeHead(200)))
    await expect((await sallyport.request({ ...of, path: '/a' })).text()).rejects.toMatchObject({ code: 'upstream_too_large' })
    let size = 0
    for await (const chunk of (await sallyport.request({ ...of, path: '/a' })).body) size += (chunk as Buffer).length
    expect(size).toBe(40 * megabyte.length)
  })

  it('says that an answer is no JSON without quoting it', async () => {
    await start()
    api.answer((_request, response) => void response.writeHead(200).end('<secret>'))
    const failure = await (await sallyport.request({ ...of, path: '/a' })).json().catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'upstream_invalid' })
    expect(inspect(failure)).not.toContain('<secret>')
  })

  it('ends with its signal', async () => {
    await start()
    const gone = new AbortController()
    api.answer(() => gone.abort(new Error('no longer wanted')))
    await expect(sallyport.request({ ...of, path: '/a', signal: gone.signal })).rejects.toThrow('no longer wanted')
  })

  it('waits for the limits of its provider, whose queue is counted', async () => {
    await start({ rateLimits: { strict: { concurrency: 1 } } })
    let [inside, most] = [0, 0]
    api.answer((_request, response) => {
      most = Math.max(most, ++inside)
      setImmediate(() => {
        inside -= 1
        response.writeHead(200).end()
      })
    })
    await Promise.all(Array.from({ length: 10 }, () => sallyport.request({ ...of, path: '/a' })))
    expect(most).toBe(1)
    expect(sallyport.metricsText()).toContain('rate_limit_queue_size{provider="strict"} 0')
  })

  it('tells of a provider that fails, and of its return', async () => {
    await start({ http: { retry: { maxRetries: 0 }, circuitBreaker: { resetTimeout: 1 } } })
    const told: string[] = []
    sallyport.on('provider_failing', ({ provider }) => told.push(`${provider} fails`))
    sallyport.on('provider_up', ({ provider }) => told.push(`${provider} is up`))
    const state = async () => (await sallyport.getHealth()).providers['strict']!.state
    expect(await state()).toBe('unknown')
    api.answer((_request, response) => void response.writeHead(404).end())
    for (let i = 0; i < 6; i++) await sallyport.request({ ...of, path: '/a' })
    expect(await state()).toBe('up')
    expect(sallyport.metricsText()).toContain('provider_up{provider="strict"} 1')
    api.answer((_request, response) => void response.writeHead(502).end())
    for (let i = 0; i < 5; i++) await sallyport.request({ ...of, path: '/a' })
    expect([await state(), (await sallyport.getHealth()).status]).toEqual(['failing', 'degraded'])
    expect(sallyport.metricsText()).toContain('provider_up{provider="strict"} 0')
    api.answer((_request, response) => void response.writeHead(200).end())
    await expect.poll(() => sallyport.request({ ...of, path: '/a' }).catch(() => undefined)).toBeDefined()
    expect(await state()).toBe('up')
    expect(told).toEqual(['strict fails', 'strict is up'])
  })

  it('S53 tells of what its provider announces the end of, and logs it without the provider’s words', async () => {
    await start()
    const told: object[] = []
    sallyport.on('deprecation_announced', (event) => told.push(event))
    const headers = { deprecation: '@1688169599', link: '<https://docs.example/v1-canary>; rel="deprecation"' }
    api.answer((_request, response) => void response.writeHead(200, headers).end())
    for (let i = 0; i < 2; i++) await (await sallyport.request({ ...of, path: '/v1/things' })).text()
    const notice = { provider: 'strict', host: new URL(api.origin).host, deprecatedAt: 1_688_169_599_000, sunsetAt: null }
    expect(told).toEqual([{ ...notice, documentation: 'https://docs.example/v1-canary' }])
    expect(lines.filter((line) => line.includes('announces the end'))).toHaveLength(1)
    expect(lines.join()).not.toContain('v1-canary')
    expect(sallyport.metricsText()).toContain('http_deprecated_answers_total{provider="strict"} 2')
  })

  it('S48 finds by its probe, without a credential, that a provider is back, and asks it when it is told to', async () => {
    const record = recordAt(ground.origin, api.origin) as { api: object }
    const connectors = [{ ...record, api: { ...record.api, probe: { method: 'HEAD', path: '/lives' } } }]
    await start({ connectors, http: { retry: { maxRetries: 0 }, probeInterval: 5 } })
    const state = async (options = {}) => (await sallyport.getHealth(options)).providers['strict']!.state
    api.answer((_request, response) => void response.writeHead(500).end())
    for (let i = 0; i < 5; i++) await sallyport.request({ ...of, path: '/a' })
    expect(await state()).toBe('failing')
    const probes = () => api.seen.filter(({ url }) => url === '/lives')
    await expect.poll(() => probes().length).toBeGreaterThan(1)
    api.answer((_request, response) => void response.writeHead(401).end())
    await expect.poll(() => state()).toBe('up')
    const before = probes().length
    expect(await state({ probe: true })).toBe('up')
    expect(probes().length).toBe(before + 1)
    expect(probes().every(({ method, headers }) => method === 'HEAD' && headers.authorization === undefined)).toBe(true)
  })

  it('S-18 keeps to the rules of a record', async () => {
    const record = recordAt(ground.origin, api.origin) as { api: object }
    await start({ connectors: [{ ...record, api: { ...record.api, rules: [{ methods: ['GET'], pathPrefix: '/open' }] } }] })
    api.answer((_request, response) => void response.writeHead(200).end())
    expect((await sallyport.request({ ...of, path: '/open/a' })).status).toBe(200)
    for (const call of [{ path: '/opened' }, { path: '/open', method: 'DELETE' }])
      await expect(sallyport.request({ ...of, ...call })).rejects.toMatchObject({ code: 'path_outside_rules' })
  })
})

describe('the SDK', () => {
  it('N15 lets no access token, client secret or code out through log, error, metric, event, inspection, JSON or crash report', async () => {
    await start()
    const told: unknown[] = []
    for (const name of ['refreshed', 'disconnected', 'reconnect_required'] satisfies SallyportEvent[])
      sallyport.on(name, (event) => told.push(event))
    sallyport.on('refreshed', () => {
      throw new Error('a listener that fails')
    })
    const failures: unknown[] = []
    const failing = async (work: Promise<unknown>): Promise<void> => void failures.push(await work.catch((error: unknown) => error))
    api.answer(
      (request, response) => void response.writeHead(200, { 'x-echo': request.headers.authorization! }).end(request.headers.authorization),
    )
    const answer = await sallyport.request({ ...of, path: '/a' })
    const echoed = [await answer.text(), ...answer.headers.values()]
    await renewed(sallyport, of)
    await sallyport.request({ ...of, path: '/a' })
    api.answer((request) => void request.socket.resetAndDestroy())
    await failing(sallyport.request({ ...of, method: 'POST', path: '/a' }))
    const callback = new URLSearchParams({ state: (await sallyport.connect(of)).state, code: 'a-canary-code', iss: ground.origin })
    await failing(sallyport.handleCallback(callback, { userId: 'ada' }))
    await sallyport.disconnect(of)
    await failing(sallyport.request({ ...of, path: '/a' }))
    const sinks = [
      ...lines,
      ...echoed,
      sallyport.metricsText(),
      JSON.stringify([told, failures, sallyport, answer]),
      inspect([told, failures, sallyport], { depth: Infinity, showHidden: true }),
      ...failures.map((failure) => (failure as Error).stack ?? ''),
      JSON.stringify(process.report.getReport(failures[0] as Error)),
    ].join('\n')
    expect(lines.join('\n')).toMatch(/A listener of an event failed/u)
    expect(failures).toHaveLength(3)
    const canaries = [...tokensSeen().map((value) => value.replace('Bearer ', '')), CLIENT_SECRET, 'a-canary-code']
    expect(canaries.length).toBeGreaterThan(4)
    for (const canary of canaries) expect(sinks).not.toContain(canary)
  })

  it('adds a connector while it runs, and refuses one that breaks the rules', async () => {
    await start()
    const record = { ...recordAt(ground.origin, api.origin), id: 'added' }
    sallyport.registerConnector(record, ground.client)
    expect((await sallyport.connect({ provider: 'added', userId: 'ada' })).url).toContain(`${ground.origin}/auth?`)
    expect(() => sallyport.registerConnector(record, ground.client)).toThrow(/configured already/u)
    expect(() => sallyport.registerConnector({ ...record, id: 'other', origins: [ground.origin] }, ground.client)).toThrow(/does not list/u)
    await expect(sallyport.connect({ provider: 'nobody', userId: 'ada' })).rejects.toMatchObject({ code: 'provider_unknown' })
  })

  it('V-08 keeps tokens that are not taken back yet, ended, and goes on when it is asked again', async () => {
    const record = recordAt(ground.origin, api.origin) as { revocation: object; origins: string[] }
    await start({ connectors: [{ ...record, revocation: { ...record.revocation, endpoint: `${api.origin}/revoke` } }] })
    // So long that nothing but this test asks again.
    api.answer((_request, response) => void response.writeHead(503, { 'retry-after': '3600' }).end())
    expect(await sallyport.disconnect(of)).toEqual({ kind: 'pending', reason: 'provider_down' })
    await expect(sallyport.request({ ...of, path: '/a' })).rejects.toMatchObject({ code: 'reconnect_required' })
    expect(await sallyport.getConnectionHealth(of)).toMatchObject({ health: 'revoked' })
    expect((await sallyport.getHealth()).pendingRevocations).toBe(1)
    const shown = api.seen.length
    api.answer((_request, response) => void response.writeHead(200).end())
    expect(await sallyport.disconnect(of)).toEqual({ kind: 'done' })
    const forms = api.seen.slice(shown).map(({ body }) => new URLSearchParams(Buffer.concat(body).toString()).get('token_type_hint'))
    expect(forms).toEqual(['refresh_token', 'access_token'])
    expect(await sallyport.getConnectionHealth(of)).toBeUndefined()
  })
})
