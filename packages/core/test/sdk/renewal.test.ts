/** What the SDK does when tokens end, against a provider that answers as each test says, in a time moved by hand. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Sallyport } from '../../src/index.ts'
import type { SallyportEvent } from '../../src/index.ts'
import { startUpstream } from '../../../testkit/src/upstream/index.ts'
import type { Upstream } from '../../../testkit/src/upstream/index.ts'
import { configOn, recordAt, REDIRECT_URI } from './ground.ts'

const of = { provider: 'strict', userId: 'ada' }
const MINUTE = 60_000
let provider: Upstream
let sallyport: Sallyport
let told: string[]
/** Number of the newest token; each refresh adds one. */
let newest: number
/** What the token endpoint answers to a refresh. */
let refreshing: 'gives' | 'invalid_grant' | 'limits'
/** An access token that the API no longer takes. */
let refused: string

function json(status: number, body: object): { readonly status: number; readonly text: string } {
  return { status, text: JSON.stringify(body) }
}

function tokenAnswer(form: URLSearchParams): ReturnType<typeof json> {
  const refreshes = form.get('grant_type') === 'refresh_token'
  if (refreshes && refreshing === 'limits') return json(429, {})
  if (refreshes && (refreshing === 'invalid_grant' || form.get('refresh_token') !== `refresh-${newest}`))
    return json(400, { error: 'invalid_grant' })
  if (refreshes) newest += 1
  return json(200, { access_token: `access-${newest}`, refresh_token: `refresh-${newest}`, token_type: 'bearer', expires_in: 3600 })
}

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'], now: Date.now() })
  ;[newest, told, refreshing, refused] = [1, [], 'gives', '']
  provider = await startUpstream()
  const { origin } = provider
  provider.answer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const answer =
      request.url === '/token'
        ? tokenAnswer(new URLSearchParams(Buffer.concat(chunks).toString()))
        : request.url === '/me'
          ? json(200, { sub: 'grace', email: null })
          : request.url === '/kept'
            ? { ...json(200, { kept: 1 }), cache: 'max-age=1' }
            : json(request.headers.authorization === `Bearer ${refused}` ? 401 : 200, {})
    response
      .writeHead(answer.status, {
        'content-type': 'application/json',
        ...('cache' in answer ? { 'cache-control': answer.cache, date: new Date().toUTCString() } : {}),
      })
      .end(answer.text)
  })
  const ground = {
    origin,
    record: recordAt(origin),
    client: { clientId: 'an-id', clientSecret: 'a fake secret', redirectUri: REDIRECT_URI },
    close: async () => undefined,
  }
  sallyport = await Sallyport.init(configOn(ground, { backend: 'memory' }))
  for (const name of ['refreshed', 'refresh_failed', 'reconnect_required', 'recovered'] satisfies SallyportEvent[])
    sallyport.on(name, () => told.push(name))
  const { state } = await sallyport.connect(of)
  await sallyport.handleCallback(new URLSearchParams({ state, code: 'a-code', iss: origin }), { userId: 'ada' })
})
afterEach(async () => {
  await sallyport.close()
  await provider.close()
  vi.useRealTimers()
})

const refreshes = (): number =>
  provider.seen.filter(({ url, body }) => url === '/token' && Buffer.concat(body).toString().includes('grant_type=refresh_token')).length

describe('a connection of the SDK', () => {
  it('is renewed five minutes before its token ends, once for all callers', async () => {
    await sallyport.request({ ...of, path: '/a' })
    expect(refreshes()).toBe(0)
    vi.advanceTimersByTime(56 * MINUTE)
    const answers = await Promise.all(Array.from({ length: 20 }, () => sallyport.request({ ...of, path: '/a' })))
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
    expect([refreshes(), told]).toEqual([1, ['refreshed']])
  })

  it('is renewed once after a 401, and the call made again with the new token', async () => {
    refused = 'access-1'
    vi.advanceTimersByTime(10 * MINUTE)
    const answer = await sallyport.request({ ...of, method: 'POST', path: '/a', json: { a: 1 } })
    expect(answer.status).toBe(200)
    const calls = provider.seen.filter(({ url }) => url === '/a')
    expect(calls.map(({ headers }) => headers.authorization)).toEqual(['Bearer access-1', 'Bearer access-2'])
    expect(calls.map(({ body }) => Buffer.concat(body).toString())).toEqual(['{"a":1}', '{"a":1}'])
    expect(refreshes()).toBe(1)
  })

  it('gets a 401 as its answer when the token was given out a moment ago: another would not help', async () => {
    refused = 'access-1'
    expect((await sallyport.request({ ...of, path: '/a' })).status).toBe(401)
    expect(refreshes()).toBe(0)
  })

  it('tells when the person has to connect again, and says so to each caller', async () => {
    refreshing = 'invalid_grant'
    vi.advanceTimersByTime(2 * 60 * MINUTE)
    await expect(sallyport.request({ ...of, path: '/a' })).rejects.toMatchObject({ code: 'reconnect_required' })
    expect(told).toEqual(['reconnect_required'])
    expect(await sallyport.getConnectionHealth(of)).toMatchObject({ health: 'reconnect_required', trouble: 'grant_expired' })
  })

  it('F-20 is given what was kept of the provider while its token has died and can not be renewed, and nothing once the grant is over', async () => {
    vi.advanceTimersByTime(30 * MINUTE)
    expect(await (await sallyport.request({ ...of, path: '/kept' })).json()).toEqual({ kept: 1 })
    refreshing = 'limits'
    vi.advanceTimersByTime(31 * MINUTE)
    const stale = await sallyport.request({ ...of, path: '/kept' })
    expect([await stale.json(), stale.kept]).toEqual([{ kept: 1 }, 'stale'])
    await expect(sallyport.request({ ...of, path: '/other' })).rejects.toMatchObject({ code: 'provider_rate_limited' })
    refreshing = 'invalid_grant'
    vi.advanceTimersByTime(20 * MINUTE)
    await expect(sallyport.request({ ...of, path: '/kept' })).rejects.toMatchObject({ code: 'reconnect_required' })
  })

  it('S46 goes on with a token that lives while it can not be renewed, with a warning, and recovers', async () => {
    refreshing = 'limits'
    expect((await sallyport.request({ ...of, path: '/a' })).warnings).toEqual([])
    vi.advanceTimersByTime(56 * MINUTE)
    expect(await sallyport.request({ ...of, path: '/a' })).toMatchObject({ status: 200, warnings: ['credential_stale'] })
    expect(told).toEqual(['refresh_failed'])
    refreshing = 'gives'
    vi.advanceTimersByTime(3 * MINUTE)
    expect(await sallyport.request({ ...of, path: '/a' })).toMatchObject({ status: 200, warnings: [] })
    expect(told).toEqual(['refresh_failed', 'recovered'])
  })
})
