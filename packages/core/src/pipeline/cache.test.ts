import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hmacKey } from '../crypto/index.ts'
import { EgressError } from '../http/index.ts'
import { ManualClock } from '../kernel/index.ts'
import { MetricsRegistry } from '../observability/index.ts'
import { answerCache, cache } from './cache.ts'
import type { CacheOptions } from './cache.ts'
import { MemoryAnswerStore } from './cache-store.ts'
import type { AnswerPlace, AnswerStore } from './cache-store.ts'
import type { Answer, Call } from './call.ts'
import { PipelineError } from './errors.ts'
import { PIPELINE_METRICS } from './metrics.ts'

const SECOND = 1_000
const HOUR = 3_600 * SECOND
const KEY = hmacKey(randomBytes(32))

type Fields = Readonly<Record<string, string>>
type Reply = Answer | Error

function call(change: Partial<Omit<Call, 'headers'>> & { readonly headers?: Fields } = {}): Call {
  const fixed = { method: 'GET', url: 'https://api.example/x', body: null, owner: 'org-a', integration: 'i', provider: 'p' }
  return { ...fixed, connection: 'c', generation: 1, ...change, headers: new Headers(change.headers ?? {}) }
}

function reply(status: number, headers: Fields = {}, text = ''): Answer {
  return { status, headers: new Headers(headers), body: text === '' ? null : new Blob([text]).stream() }
}

/** A cache before a provider that `answers` what it likes; `asked` are the calls that reached it. */
function trial(answers: (call: Call, nth: number) => Reply | Promise<Reply>, options: Partial<CacheOptions> = {}) {
  const clock = new ManualClock()
  const asked: Call[] = []
  const store = new MemoryAnswerStore()
  const send = cache({ store, key: KEY, clock, ...options })(async (one) => {
    asked.push(one)
    const given = await answers(one, asked.length)
    if (given instanceof Error) throw given
    return given
  })
  const get = async (change: Parameters<typeof call>[0] = {}) => {
    const { status, headers, body } = await send(call(change))
    return { status, headers, text: await new Response(body).text(), said: headers.get('cache-status') }
  }
  return { clock, asked, store, get }
}

const fresh = (one: Call, nth: number): Reply => reply(200, { 'cache-control': 'max-age=60' }, `${one.url} ${nth}`)
const tagged =
  (headers: Fields = {}) =>
  (one: Call, nth: number): Reply =>
    one.headers.get('if-none-match') === '"v1"'
      ? reply(304, { etag: '"v1"', 'x-seen': String(nth) })
      : reply(200, { etag: '"v1"', ...headers }, 'body')
/** First an answer that is kept, then a provider that is down in the given way. */
const failing =
  (how: () => Reply, headers: Fields = {}) =>
  (_one: Call, nth: number): Reply =>
    nth === 1 ? reply(200, { etag: '"v1"', 'cache-control': 'max-age=60', ...headers }, 'kept') : how()

/** Keeps nothing and finds nothing. */
const NO_STORE: AnswerStore = {
  get: () => Promise.resolve({ bytes: undefined, seen: '' }),
  put: () => Promise.resolve(true),
  drop: () => Promise.resolve(),
  forget: () => Promise.resolve(),
  forgetGroup: () => Promise.resolve(),
}

describe('the cache of answers', () => {
  it('N7 gives a fresh answer without asking, with its age and a Cache-Status', async () => {
    const { get, clock, asked } = trial(fresh)
    expect((await get()).said).toBe('Sallyport; fwd=uri-miss; fwd-status=200; stored')
    clock.advance(20 * SECOND)
    const hit = await get()
    expect([hit.text, hit.headers.get('age'), hit.said]).toEqual(['https://api.example/x 1', '20', 'Sallyport; hit; ttl=40'])
    clock.advance(40 * SECOND)
    expect((await get()).text).toBe('https://api.example/x 2')
    expect(asked).toHaveLength(2)
  })

  it('S45 asks anew for what came longer ago than answers are kept, however long it would be fresh, whatever the store forgets', async () => {
    const { get, clock, asked } = trial((_one, nth) => reply(200, { 'cache-control': 'max-age=86400', etag: '"v1"' }, `body ${nth}`), {
      keepMs: HOUR,
    })
    await get()
    clock.advance(HOUR - SECOND)
    expect((await get()).text).toBe('body 1')
    clock.advance(SECOND)
    expect((await get()).text).toBe('body 2')
    expect(asked[1]!.headers.has('if-none-match')).toBe(false)
  })

  it('S45 asks about an answer that has an ETag alone each time, and merges the 304', async () => {
    const { get, asked } = trial(tagged({ 'content-type': 'text/plain' }))
    await get()
    const again = await get()
    expect([again.status, again.text, again.headers.get('x-seen')]).toEqual([200, 'body', '2'])
    expect([again.headers.get('content-type'), again.said]).toEqual(['text/plain', 'Sallyport; fwd=stale; fwd-status=304; ttl=0'])
    expect(asked).toHaveLength(2)
  })

  it('asks by Last-Modified too, and gives a changed answer as it comes', async () => {
    const modified = 'Tue, 03 Mar 2026 10:00:00 GMT'
    const { get, asked } = trial((_one, nth) => reply(200, { 'last-modified': modified }, `body ${nth}`))
    await get()
    expect((await get()).text).toBe('body 2')
    expect(asked[1]!.headers.get('if-modified-since')).toBe(modified)
  })

  it('asks anew, without a condition, when a 304 is about another version', async () => {
    const { get, asked } = trial((one, nth) =>
      one.headers.has('if-none-match') ? reply(304, { etag: '"v9"' }) : reply(200, { etag: `"v${nth}"` }, `body ${nth}`),
    )
    await get()
    expect((await get()).text).toBe('body 3')
    expect(asked[2]!.headers.has('if-none-match')).toBe(false)
  })

  it('takes the lifetime that a 304 brings', async () => {
    const { get, asked } = trial((one, nth) =>
      one.headers.has('if-none-match') ? reply(304, { 'cache-control': 'max-age=60' }) : reply(200, { etag: '"a"' }, `body ${nth}`),
    )
    await get()
    await get()
    expect((await get()).said).toBe('Sallyport; hit; ttl=60')
    expect(asked).toHaveLength(2)
  })

  it.each<[string, Fields]>([
    ['no-store', { 'cache-control': 'no-store, max-age=60', etag: '"a"' }],
    ['Vary: *', { 'cache-control': 'max-age=60', vary: 'Accept, *' }],
    ['a cookie', { 'cache-control': 'max-age=60', 'set-cookie': 'a=b' }],
    ['no lifetime and no validator', {}],
    ['no-store spelled in capitals', { 'cache-control': 'NO-STORE, Max-Age=60' }],
  ])('F-20 keeps nothing of an answer with %s', async (_what, headers) => {
    const { get, asked, store } = trial(() => reply(200, headers, 'x'))
    await get()
    await get()
    expect([asked.length, store.size]).toEqual([2, 0])
    expect(asked[1]!.headers.has('if-none-match')).toBe(false)
  })

  it.each([201, 206, 302, 307, 400, 401, 403, 429, 500, 503])('keeps nothing of a %i', async (status) => {
    const { get, asked } = trial(() => reply(status, { 'cache-control': 'max-age=60' }))
    await get()
    await get()
    expect(asked).toHaveLength(2)
  })

  it.each<[string, Fields]>([
    ['no-cache', { 'cache-control': 'no-cache, max-age=60' }],
    ['max-age that is no number', { 'cache-control': 'max-age=6x' }],
    ['a smaller max-age beside a larger', { 'cache-control': 'max-age=60, max-age=0' }],
    ['Expires in the past', { expires: 'Thu, 01 Jan 1970 00:00:00 GMT' }],
    ['Expires: 0', { expires: '0' }],
    ['max-age=0 whatever Expires says', { 'cache-control': 'max-age=0', expires: 'Fri, 31 Dec 2099 23:59:59 GMT' }],
    ['an Age as large as its lifetime', { 'cache-control': 'max-age=60', age: '60' }],
    ['a Date as far back as its lifetime', { 'cache-control': 'max-age=60', date: 'Wed, 31 Dec 2025 23:59:00 GMT' }],
    ['a quoted no-cache with names', { 'cache-control': 'no-cache="x", max-age=60' }],
  ])('asks again about an answer with %s', async (_what, headers) => {
    const { get, asked } = trial(() => reply(200, { etag: '"a"', ...headers }, 'x'))
    await get()
    await get()
    expect(asked[1]!.headers.get('if-none-match')).toBe('"a"')
  })

  it('takes the lifetime from Expires and Date, and not from s-maxage', async () => {
    const dates = { date: 'Thu, 01 Jan 2026 00:00:00 GMT', expires: 'Thu, 01 Jan 2026 00:01:00 GMT', 'cache-control': 's-maxage=0' }
    const { get, clock, asked } = trial(() => reply(200, dates, 'x'))
    await get()
    clock.advance(59 * SECOND)
    await get()
    expect(asked).toHaveLength(1)
    clock.advance(SECOND)
    await get()
    expect(asked).toHaveLength(2)
  })

  it('counts the time that the answer took into its age', async () => {
    const { get, clock } = trial((one, nth) => (clock.advance(30 * SECOND), fresh(one, nth)))
    await get()
    expect((await get()).headers.get('age')).toBe('30')
  })

  it.each<[string, Fields]>([
    ['no-cache', { 'cache-control': 'no-cache' }],
    ['a smaller max-age', { 'cache-control': 'max-age=5' }],
    ['a larger min-fresh', { 'cache-control': 'min-fresh=55' }],
    ['Pragma: no-cache', { pragma: 'no-cache' }],
    ['no-store', { 'cache-control': 'no-store' }],
    ['a credential of its own', { authorization: 'own' }],
    ['a condition of its own', { 'if-none-match': '"own"' }],
    ['a range', { range: 'bytes=0-1' }],
    ['a cookie', { cookie: 'a=b' }],
  ])('asks the provider for a call with %s', async (_what, headers) => {
    const { get, clock, asked } = trial(fresh)
    await get()
    clock.advance(10 * SECOND)
    await get({ headers })
    expect(asked).toHaveLength(2)
  })

  it('answers only-if-cached from what is kept, or with 504', async () => {
    const { get, asked } = trial(fresh)
    expect((await get({ headers: { 'cache-control': 'only-if-cached' } })).status).toBe(504)
    await get()
    expect((await get({ headers: { 'cache-control': 'only-if-cached' } })).status).toBe(200)
    expect(asked).toHaveLength(1)
  })

  it('keeps what Vary tells apart apart', async () => {
    const { get, asked } = trial((one) =>
      reply(200, { 'cache-control': 'max-age=60', vary: 'Accept-Language' }, one.headers.get('accept-language') ?? 'none'),
    )
    for (const language of ['de', 'fr', 'de', 'fr']) {
      expect((await get({ headers: { 'accept-language': language } })).text).toBe(language)
    }
    expect((await get()).text).toBe('none')
    expect(asked).toHaveLength(3)
  })

  it.each(['a b', 'accept, \u00e9', 'accept;q=1', '"accept"'])(
    'F-20 keeps nothing whose Vary names no header (%j), and fails no call for it',
    async (vary) => {
      const { get, asked, store } = trial((_one, nth) => reply(200, { 'cache-control': 'max-age=60', vary }, `body ${nth}`))
      expect((await get()).text).toBe('body 1')
      expect((await get()).text).toBe('body 2')
      expect([asked.length, store.size]).toEqual([2, 0])
    },
  )

  it('forgets, with a resource that was changed, all that Vary tells apart of it', async () => {
    const { get } = trial((one, nth) =>
      one.method === 'PUT' ? reply(204) : reply(200, { 'cache-control': 'max-age=60', vary: 'accept-language' }, `body ${nth}`),
    )
    const inLanguage = async (language: string): Promise<string> => (await get({ headers: { 'accept-language': language } })).text
    expect(await inLanguage('de')).toBe('body 1')
    await get({ method: 'PUT' })
    expect(await inLanguage('fr')).toBe('body 3')
    expect(await inLanguage('de')).toBe('body 4')
    expect([await inLanguage('fr'), await inLanguage('de')]).toEqual(['body 3', 'body 4'])
  })

  it('N7 S45 never answers one owner, connection, generation, integration, page or version of the policy with another’s', async () => {
    const different = fc.record({
      owner: fc.constantFrom('org-a', 'org-b'),
      integration: fc.constantFrom('i', 'j'),
      connection: fc.constantFrom('c', 'd', ''),
      generation: fc.constantFrom(1, 2, 12),
      url: fc.constantFrom('https://api.example/x', 'https://api.example/x?page=2', 'https://api.example/X', 'https://b.example/x'),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(different, { maxLength: 30 }), async (calls) => {
        const name = ({ owner, integration, connection, generation, url }: Call) =>
          JSON.stringify([owner, integration, connection, generation, url])
        const { get, asked } = trial((one) => reply(200, { 'cache-control': 'max-age=60' }, name(one)))
        for (const one of calls) expect((await get(one)).text).toBe(name(call(one)))
        expect(asked).toHaveLength(new Set(calls.map((one) => name(call(one)))).size)
      }),
      { numRuns: 100 },
    )
  })

  it.each<[string, () => Reply]>([
    ['answers 500', () => reply(500)],
    ['answers 502', () => reply(502)],
    ['answers 503', () => reply(503)],
    ['answers 504', () => reply(504)],
    ['can’t be reached', () => new EgressError('upstream_unreachable', 'ECONNREFUSED')],
    ['breaks off', () => new EgressError('upstream_reset', 'ECONNRESET', true)],
    ['says nothing', () => new EgressError('upstream_timeout', 'total', true)],
    ['is left alone by the breaker', () => new PipelineError('circuit_open')],
    ['used up the deadline', () => new PipelineError('deadline_exceeded')],
  ])('F-20 S44 S45 N7 lets a kept answer stand in, marked stale, while the provider %s, for an hour and no longer', async (_how, how) => {
    const { get, clock } = trial(failing(how))
    await get()
    clock.advance(60 * SECOND + HOUR)
    const stale = await get()
    expect([stale.status, stale.text, stale.headers.get('age')]).toEqual([200, 'kept', '3660'])
    expect(stale.said).toMatch(/^Sallyport; fwd=stale;(?: fwd-status=50\d;)? ttl=-3600; detail=stale-if-error$/u)
    clock.advance(1)
    const outcome = await get().catch((error: Error) => error)
    if (outcome instanceof Error) expect(outcome).toEqual(how())
    else expect(outcome.status).toBeGreaterThanOrEqual(500)
  })

  it.each<[string, Fields]>([
    ['must-revalidate', { 'cache-control': 'max-age=60, must-revalidate' }],
    ['no-cache', { 'cache-control': 'no-cache' }],
    ['stale-if-error=0', { 'cache-control': 'max-age=60, stale-if-error=0' }],
  ])('F-20 lets no answer with %s stand in', async (_what, headers) => {
    const { get, clock } = trial(failing(() => reply(503), headers))
    await get()
    clock.advance(61 * SECOND)
    expect((await get()).status).toBe(503)
  })

  it.each<[string, Reply]>([
    ['a 401', reply(401)],
    ['a 404', reply(404)],
    ['a 429', reply(429)],
    ['a 501', reply(501)],
    ['a caller who left', new EgressError('client_gone', 'signal', true)],
    ['a refused destination', new EgressError('egress_refused', 'address')],
    ['a wrong certificate', new EgressError('upstream_tls', 'CERT_HAS_EXPIRED')],
  ])('lets nothing stand in for %s', async (_what, outcome) => {
    const { get, clock } = trial(failing(() => outcome))
    await get()
    clock.advance(61 * SECOND)
    const result = await get().catch((error: EgressError) => error)
    expect(result instanceof Error ? result : result.status).toEqual(outcome instanceof Error ? outcome : outcome.status)
  })

  it('F-20 N7 lets nothing stand in for another generation of the credential', async () => {
    const { get, clock } = trial(failing(() => reply(503)))
    await get()
    clock.advance(61 * SECOND)
    expect((await get({ generation: 2 })).status).toBe(503)
  })

  it.each(['POST', 'PUT', 'PATCH', 'DELETE'])('forgets what a %s that succeeded may have changed, and where it points', async (method) => {
    const { get, asked } = trial((one, nth) =>
      one.method === method ? reply(201, { location: '/y', 'content-location': 'https://other.example/z' }) : fresh(one, nth),
    )
    for (const url of ['https://api.example/x', 'https://api.example/y', 'https://other.example/z']) await get({ url })
    await get({ method })
    for (const url of ['https://api.example/x', 'https://api.example/y', 'https://other.example/z']) await get({ url })
    expect(asked).toHaveLength(6)
  })

  it('keeps what a POST that failed did not change', async () => {
    const { get, asked } = trial((one, nth) => (one.method === 'POST' ? reply(422) : fresh(one, nth)))
    await get()
    await get({ method: 'POST' })
    await get()
    expect(asked).toHaveLength(2)
  })

  it('does not keep an answer that was on its way when its resource was changed', async () => {
    const [slow, begun] = [Promise.withResolvers<Reply>(), Promise.withResolvers<void>()]
    const { get, asked } = trial((one, nth) => {
      begun.resolve()
      return one.method === 'POST' ? reply(204) : nth === 1 ? slow.promise : fresh(one, nth)
    })
    const reading = get()
    await begun.promise
    await get({ method: 'POST' })
    slow.resolve(reply(200, { 'cache-control': 'max-age=60' }, 'before'))
    expect((await reading).text).toBe('before')
    expect((await get()).text).toBe('https://api.example/x 3')
    expect(asked).toHaveLength(3)
  })

  it('S45 does not keep an answer that was on its way when another process changed its resource, and finds none of before', async () => {
    const [slow, begun] = [Promise.withResolvers<Reply>(), Promise.withResolvers<void>()]
    const here = trial((one, nth) => {
      begun.resolve()
      return nth === 1 ? slow.promise : fresh(one, nth)
    })
    const there = trial((one, nth) => (one.method === 'PUT' ? reply(204) : fresh(one, nth)), { store: here.store })
    const reading = here.get()
    await begun.promise
    await there.get({ method: 'PUT' })
    slow.resolve(reply(200, { 'cache-control': 'max-age=60' }, 'before'))
    expect((await reading).text).toBe('before')
    expect((await here.get()).text).toBe('https://api.example/x 2')
    expect((await there.get()).said).toMatch(/^Sallyport; hit/u)
  })

  it('forgets what a call may have changed of which nobody knows what became, and keeps it when nothing was sent', async () => {
    const errors = [new EgressError('upstream_unreachable', 'ECONNREFUSED', false), new PipelineError('circuit_open')]
    const { get, asked } = trial((one, nth) => {
      if (one.method !== 'POST') return fresh(one, nth)
      return errors.shift() ?? new EgressError('upstream_reset', 'cut', true)
    })
    await get()
    for (let i = 0; i < 2; i++) await expect(get({ method: 'POST' })).rejects.toBeDefined()
    expect((await get()).said).toMatch(/^Sallyport; hit/u)
    await expect(get({ method: 'POST' })).rejects.toMatchObject({ code: 'upstream_reset' })
    expect((await get()).said).toContain('fwd=uri-miss')
    expect(asked).toHaveLength(5)
  })

  it('F-20 trusts nothing that it kept before a change that its store could not be told of', async () => {
    const store = new MemoryAnswerStore()
    const forget = store.forget.bind(store)
    store.forget = () => Promise.reject(new Error('away'))
    const { get, clock } = trial((one, nth) => (one.method === 'PUT' ? reply(204) : fresh(one, nth)), { store })
    await get()
    await get({ method: 'PUT' })
    store.forget = forget
    clock.advance(1)
    expect((await get()).text).toBe('https://api.example/x 3')
    expect((await get()).said).toMatch(/^Sallyport; hit/u)
  })

  it('S45 forgets a connection that is over, with what is on its way, and no other', async () => {
    const store = new MemoryAnswerStore()
    const slow = Promise.withResolvers<Answer>()
    const begun = Promise.withResolvers<void>()
    const answers = answerCache({ store, key: KEY })
    const send = answers.policy((one) => {
      if (!one.url.endsWith('/slow')) return Promise.resolve(reply(200, { 'cache-control': 'max-age=60' }, 'kept'))
      begun.resolve()
      return slow.promise
    })
    const read = async (change: Parameters<typeof call>[0]) => new Response((await send(call(change))).body).text()
    for (const connection of ['c', 'd']) for (const generation of [1, 2]) await read({ connection, generation })
    const before = store.size
    const reading = read({ url: 'https://api.example/slow' })
    await begun.promise
    await answers.forget({ owner: 'org-a', integration: 'i', connection: 'c', provider: 'p' })
    expect(store.size * 2).toBe(before)
    slow.resolve(reply(200, { 'cache-control': 'max-age=60' }, 'late'))
    expect(await reading).toBe('late')
    expect(store.size * 2).toBe(before)
  })

  it('F-20 drops what does not open, so that what comes next is kept', async () => {
    const store = new MemoryAnswerStore()
    const get = store.get.bind(store)
    let opens = false
    store.get = (place) => (opens ? get(place) : Promise.reject(new Error('does not open')))
    store.drop = async () => void (opens = true)
    const one = trial(fresh, { store })
    expect((await one.get()).said).not.toContain('stored')
    expect((await one.get()).said).toContain('stored')
    expect((await one.get()).said).toMatch(/^Sallyport; hit/u)
  })

  it('hands a streamed body on as it comes, and keeps neither a large one, a half one, nor one of another length than said', async () => {
    const lasting = { 'cache-control': 'max-age=60' }
    const { get, store } = trial(() => reply(200, lasting, 'x'.repeat(2_000)), { maxBodyBytes: 1_000 })
    expect((await get()).text).toHaveLength(2_000)
    expect(store.size).toBe(0)
    const broken = trial(() => ({
      status: 200,
      headers: new Headers(lasting),
      body: new ReadableStream({ start: (to) => (to.enqueue(Uint8Array.of(1)), to.error(new TypeError('cut'))) }),
    }))
    await expect(broken.get()).rejects.toThrow('cut')
    expect(broken.store.size).toBe(0)
    const short = trial(() => reply(200, { ...lasting, 'content-length': '9' }, 'x'))
    await short.get()
    expect(short.store.size).toBe(0)
    let endless: ReadableStreamDefaultController<Uint8Array> | undefined
    const send = cache({ store, key: KEY })(() =>
      Promise.resolve({ status: 200, headers: new Headers(lasting), body: new ReadableStream({ start: (to) => void (endless = to) }) }),
    )
    const reader = (await send(call())).body!.getReader()
    endless!.enqueue(Uint8Array.of(7))
    expect((await reader.read()).value).toEqual(Uint8Array.of(7))
    await reader.cancel()
    expect(store.size).toBe(0)
  })

  it('F-20 fails no call for a store that fails or holds nonsense', async () => {
    const down = (): Promise<never> => Promise.reject(new Error('store'))
    const metrics = new MetricsRegistry(PIPELINE_METRICS)
    const { get } = trial(fresh, { store: { get: down, put: down, drop: down, forget: down, forgetGroup: down }, metrics })
    expect((await get()).status).toBe(200)
    expect((await get({ method: 'POST' })).status).toBe(200)
    expect(metrics.render()).toMatch(/http_cache_store_failures_total\{provider="p"\} [1-9]/u)
    const heads = fc.constantFrom('null\n', '{"v":2}\n', '{"v":2,"vary":2}\n', '{"v":2,"vary":[]}\n', '{"v":3}\nx', '[]\n', '{')
    const nonsensical = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      heads.map((head) => Buffer.from(head)),
    )
    await fc.assert(
      fc.asyncProperty(nonsensical, async (nonsense) => {
        const holds = { ...NO_STORE, get: () => Promise.resolve({ bytes: nonsense, seen: '' }) }
        expect((await trial(fresh, { store: holds }).get()).status).toBe(200)
      }),
    )
  })

  it('keeps nothing that another cache said, nor what belongs to a connection', async () => {
    const { get } = trial(() =>
      reply(200, { 'cache-control': 'max-age=60', 'cache-status': 'Edge; hit', connection: 'x-hop', 'x-hop': '1', 'keep-alive': 'x' }, 'b'),
    )
    expect((await get()).said).toBe('Edge; hit, Sallyport; fwd=uri-miss; fwd-status=200; stored')
    const { headers } = await get()
    expect(['cache-status', 'x-hop', 'keep-alive', 'connection'].map((name) => headers.get(name))).toEqual([
      'Sallyport; hit; ttl=60',
      null,
      null,
      null,
    ])
  })

  it('never names in its store whose answer it is', async () => {
    const keys: string[] = []
    const get: AnswerStore['get'] = ({ key, group, resource }) => {
      keys.push(key, group, resource)
      return Promise.resolve({ bytes: undefined, seen: '' })
    }
    await trial(fresh, { store: { ...NO_STORE, get } }).get()
    expect(keys.join()).toMatch(/^[\w-]{43},[\w-]{43},[\w-]{43}$/u)
  })
})

describe('the store of answers in memory', () => {
  const KEPT = { lifeMs: HOUR, seen: '0' }
  const at = (scope: string, resource: string): AnswerPlace => ({ scope, group: 'g', resource, key: resource })

  it('stays within its bounds, in all and for each scope, and lets no scope push out more than its share', async () => {
    const put = fc.record({ scope: fc.constantFrom('a', 'b', 'c'), key: fc.nat(20), bytes: fc.nat(3_000) })
    await fc.assert(
      fc.asyncProperty(fc.array(put, { maxLength: 100 }), async (puts) => {
        const store = new MemoryAnswerStore({ maxBytes: 8_000, maxBytesPerScope: 4_000, maxEntriesPerScope: 5 })
        for (const { scope, key, bytes } of puts) {
          await store.put(at(scope, String(key)), new Uint8Array(bytes), KEPT)
          expect(store.size).toBeLessThanOrEqual(8_000)
        }
        for (const scope of ['a', 'b', 'c']) {
          const held = await Promise.all(Array.from({ length: 21 }, (_, key) => store.get(at(scope, String(key)))))
          expect(held.filter(({ bytes }) => bytes !== undefined).length).toBeLessThanOrEqual(5)
          for (let key = 0; key <= 20; key++) await store.drop(at(scope, String(key)))
        }
        expect(store.size).toBe(0)
      }),
      { numRuns: 100 },
    )
  })

  it('V-06 forgets all of a connection and nothing of another, whatever was put, pushed out and put anew before', async () => {
    const put = fc.record({ group: fc.constantFrom('g', 'h', 'i'), key: fc.nat(20), bytes: fc.nat(300) })
    await fc.assert(
      fc.asyncProperty(fc.array(put, { maxLength: 100 }), async (puts) => {
        const store = new MemoryAnswerStore({ maxBytesPerScope: 4_000, maxEntriesPerScope: 10 })
        const group = new Map(puts.map((one) => [one.key, one.group]))
        for (const one of puts) await store.put({ ...at('s', String(one.key)), group: one.group }, new Uint8Array(one.bytes), KEPT)
        const held = async () => {
          const keys = [...group.keys()]
          const found = await Promise.all(keys.map((key) => store.get(at('s', String(key)))))
          return keys.filter((_key, i) => found[i]!.bytes !== undefined).toSorted((a, b) => a - b)
        }
        const before = await held()
        await store.forgetGroup({ scope: 's', group: 'g' })
        expect(await held()).toEqual(before.filter((key) => group.get(key) !== 'g'))
        for (const other of ['h', 'i']) await store.forgetGroup({ scope: 's', group: other })
        expect(store.size).toBe(0)
      }),
      { numRuns: 100 },
    )
  })

  it('forgets what was used least lately first', async () => {
    const store = new MemoryAnswerStore({ maxEntriesPerScope: 2 })
    for (const key of ['a', 'b']) await store.put(at('s', key), Uint8Array.of(1), KEPT)
    await store.get(at('s', 'a'))
    await store.put(at('s', 'c'), Uint8Array.of(1), KEPT)
    expect([(await store.get(at('s', 'a'))).bytes, (await store.get(at('s', 'b'))).bytes]).toEqual([Uint8Array.of(1), undefined])
  })

  it('keeps nothing that was asked for before its resource or its connection was forgotten, however many were since', async () => {
    const store = new MemoryAnswerStore()
    const { seen } = await store.get(at('s', 'a'))
    await store.forget(at('s', 'a'))
    expect(await store.put(at('s', 'a'), Uint8Array.of(1), { lifeMs: 1, seen })).toBe(false)
    expect(await store.put(at('s', 'b'), Uint8Array.of(1), { lifeMs: 1, seen })).toBe(true)
    await store.forgetGroup({ scope: 's', group: 'g' })
    expect([await store.put(at('s', 'b'), Uint8Array.of(1), { lifeMs: 1, seen }), store.size]).toEqual([false, 0])
    expect(await store.put({ ...at('s', 'b'), group: 'other' }, Uint8Array.of(1), { lifeMs: 1, seen })).toBe(true)
    for (let i = 0; i < 1_100; i++) await store.forget(at('s', `other ${i}`))
    expect(await store.put({ ...at('s', 'c'), group: 'other' }, Uint8Array.of(1), { lifeMs: 1, seen })).toBe(false)
  })
})
