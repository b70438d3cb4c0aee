/** The cache of answers on a real Redis: sealed, bounded, and no condition of any call. */
import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cache, hmacKey, ManualClock, readEncryption, RedisAnswerStore } from '../../src/index.ts'
import type { Answer, AnswerPlace, Call } from '../../src/index.ts'
import { startTestRedis } from '../../../testkit/src/servers/index.ts'

const keys = readEncryption({ key: randomBytes(32).toString('hex') })
const HOUR = 3_600_000
const at = (scope: string, resource: string, group = 'a group'): AnswerPlace => ({ scope, group, resource, key: resource })
const found = async (store: RedisAnswerStore, place: AnswerPlace): Promise<Uint8Array | undefined> => (await store.get(place)).bytes
/** As whoever has just looked. */
const kept = async (store: RedisAnswerStore, place: AnswerPlace, bytes: Uint8Array): Promise<boolean> =>
  store.put(place, bytes, { lifeMs: HOUR, seen: (await store.get(place)).seen })
let server: Awaited<ReturnType<typeof startTestRedis>>
let client: Redis

beforeAll(async () => {
  server = await startTestRedis()
  client = new Redis(server.url)
})
afterAll(async () => {
  client.disconnect()
  await server.stop()
})

describe('answers kept in Redis', () => {
  it('S45 are found by every process, and lie there sealed, unnamed and with an end', async () => {
    const [one, another] = [1, 2].map(() => new RedisAnswerStore({ url: server.url }, { keys }))
    const place = at('org-canary', 'key-canary', 'group-canary')
    await kept(one!, place, Buffer.from('body-canary'))
    expect(Buffer.from((await found(another!, place))!).toString()).toBe('body-canary')
    for (const name of await client.keys('*')) {
      const lies = name.includes(':answer:') ? await client.get(name) : (await client.zrange(name, '0', '-1')).join()
      expect(`${name} ${lies}`).not.toContain('canary')
      expect(await client.pttl(name)).toBeGreaterThan(0)
    }
    await another!.drop(place)
    expect(await found(one!, place)).toBeUndefined()
    await Promise.all([one!.close(), another!.close()])
  })

  it('S45 do not open in another place, nor under another key', async () => {
    const store = new RedisAnswerStore({ url: server.url }, { keys })
    await client.flushall()
    await kept(store, at('a', 'x'), Uint8Array.of(1))
    const [first] = await client.keys('sallyport:answer:*')
    await kept(store, at('b', 'x'), Uint8Array.of(2))
    const second = (await client.keys('sallyport:answer:*')).find((name) => name !== first)!
    await client.rename(first!, second)
    await expect(found(store, at('b', 'x'))).rejects.toMatchObject({ code: 'decrypt_failed' })
    await store.close()
  })

  it('are no more for one scope than it may have, and those of another stay', async () => {
    const store = new RedisAnswerStore({ url: server.url }, { keys, maxEntriesPerScope: 3 })
    await client.flushall()
    await kept(store, at('other', 'x'), Uint8Array.of(1))
    for (let i = 0; i < 10; i++) await kept(store, at('s', String(i)), Uint8Array.of(i))
    expect(await client.keys('sallyport:answer:*')).toHaveLength(4)
    expect(await found(store, at('other', 'x'))).toEqual(Buffer.of(1))
    await store.close()
  })

  it('are no more bytes for one scope than it may have, sealed and counted once each: tokens need room beside them', async () => {
    const store = new RedisAnswerStore({ url: server.url }, { keys, maxBytesPerScope: 100_000 })
    await client.flushall()
    await kept(store, at('other', 'x'), Uint8Array.of(1))
    await kept(store, at('s', 'huge'), randomBytes(100_000))
    for (let i = 0; i < 20; i++) await kept(store, at('s', `${i % 15}`), randomBytes(20_000))
    const held = async (): Promise<boolean[]> =>
      Promise.all(['huge', '0', '1', '2', '3', '4'].map(async (key) => (await found(store, at('s', key))) !== undefined))
    expect(await held()).toEqual([false, false, true, true, true, true])
    expect(await client.keys('sallyport:answer:*')).toHaveLength(5)
    await store.drop(at('s', '1'))
    await kept(store, at('s', '0'), randomBytes(20_000))
    expect(await held()).toEqual([false, true, false, true, true, true])
    expect(await found(store, at('other', 'x'))).toEqual(Buffer.of(1))
    await store.close()
  })

  it('S45 are not kept of before a change by another process, and stay for every other resource of the connection', async () => {
    const [one, another] = [1, 2].map(() => new RedisAnswerStore({ url: server.url }, { keys })) as [RedisAnswerStore, RedisAnswerStore]
    await client.flushall()
    const [resource, variant, other] = [at('s', 'x'), { ...at('s', 'x'), key: 'x in another language' }, at('s', 'y')]
    const { seen } = await one.get(resource)
    await kept(one, other, Uint8Array.of(9))
    await another.forget(resource)
    expect(await one.put(resource, Uint8Array.of(1), { lifeMs: HOUR, seen })).toBe(false)
    expect(await one.put(variant, Uint8Array.of(1), { lifeMs: HOUR, seen })).toBe(false)
    expect([await found(another, resource), await found(another, other)]).toEqual([undefined, Buffer.of(9)])
    expect(await kept(another, resource, Uint8Array.of(2))).toBe(true)
    expect(await one.put(resource, Uint8Array.of(1), { lifeMs: HOUR, seen })).toBe(false)
    for (const name of await client.keys('sallyport:answer-marks:*')) expect(await client.pttl(name)).toBeGreaterThan(0)
    await Promise.all([one.close(), another.close()])
  })

  it('S45 go with a connection that is over, with what is on its way for it, and count no longer', async () => {
    const store = new RedisAnswerStore({ url: server.url }, { keys })
    await client.flushall()
    for (let i = 0; i < 1_200; i++) await kept(store, at('s', String(i), i % 100 === 0 ? 'stays' : 'goes'), Uint8Array.of(1))
    const late = await store.get(at('s', 'late', 'goes'))
    await store.forgetGroup({ scope: 's', group: 'goes' })
    expect(await store.put(at('s', 'late', 'goes'), Uint8Array.of(1), { lifeMs: HOUR, seen: late.seen })).toBe(false)
    expect(await client.keys('sallyport:answer:*')).toHaveLength(12)
    const [list] = (await client.keys('sallyport:answers:*')).filter((name) => !name.endsWith(':bytes'))
    expect(await client.zcard(list!)).toBe(12)
    expect(await found(store, at('s', '100', 'stays'))).toEqual(Buffer.of(1))
    await store.close()
  })

  it('F-20 are missed by nobody while Redis is away', async () => {
    const gone = await startTestRedis()
    const store = new RedisAnswerStore({ url: gone.url, answerMs: 50 }, { keys })
    const answer = (): Promise<Answer> =>
      Promise.resolve({ status: 200, headers: new Headers({ 'cache-control': 'max-age=60' }), body: new Blob(['x']).stream() })
    const send = cache({ store, key: hmacKey(randomBytes(32)), clock: new ManualClock() })(answer)
    const fixed = { method: 'GET', url: 'https://api.example/x', headers: new Headers(), body: null, owner: 'o', integration: 'i' }
    const call: Call = { ...fixed, provider: 'p', connection: 'c', generation: 1 }
    await gone.stop()
    expect(await new Response((await send(call)).body).text()).toBe('x')
    await store.close()
  })
})
