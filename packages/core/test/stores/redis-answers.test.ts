/** The cache of answers on a real Redis: sealed, bounded, and no condition of any call. */
import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cache, hmacKey, ManualClock, readEncryption, RedisAnswerStore } from '../../src/index.ts'
import type { Answer, Call } from '../../src/index.ts'
import { startTestRedis } from '../../../testkit/src/servers/index.ts'

const keys = readEncryption({ key: randomBytes(32).toString('hex') })
const HOUR = 3_600_000
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
    await one!.put('org-canary', 'key-canary', Buffer.from('body-canary'), HOUR)
    expect(Buffer.from((await another!.get('org-canary', 'key-canary'))!).toString()).toBe('body-canary')
    for (const name of await client.keys('*')) {
      const lies = name.includes(':answer:') ? await client.get(name) : (await client.zrange(name, '0', '-1')).join()
      expect(`${name} ${lies}`).not.toContain('canary')
      expect(await client.pttl(name)).toBeGreaterThan(0)
    }
    await another!.delete('org-canary', 'key-canary')
    expect(await one!.get('org-canary', 'key-canary')).toBeUndefined()
    await Promise.all([one!.close(), another!.close()])
  })

  it('S45 do not open in another place, nor under another key', async () => {
    const store = new RedisAnswerStore({ url: server.url }, { keys })
    await client.flushall()
    await store.put('a', 'x', Uint8Array.of(1), HOUR)
    const [first] = await client.keys('sallyport:answer:*')
    await store.put('b', 'x', Uint8Array.of(2), HOUR)
    const second = (await client.keys('sallyport:answer:*')).find((name) => name !== first)!
    await client.rename(first!, second)
    await expect(store.get('b', 'x')).rejects.toMatchObject({ code: 'decrypt_failed' })
    await store.close()
  })

  it('are no more for one scope than it may have, and those of another stay', async () => {
    const store = new RedisAnswerStore({ url: server.url }, { keys, maxEntriesPerScope: 3 })
    await client.flushall()
    await store.put('other', 'x', Uint8Array.of(1), HOUR)
    for (let i = 0; i < 10; i++) await store.put('s', String(i), Uint8Array.of(i), HOUR)
    expect(await client.keys('sallyport:answer:*')).toHaveLength(4)
    expect(await store.get('other', 'x')).toEqual(Buffer.of(1))
    await store.close()
  })

  it('are no more bytes for one scope than it may have, sealed and counted once each: tokens need room beside them', async () => {
    const store = new RedisAnswerStore({ url: server.url }, { keys, maxBytesPerScope: 100_000 })
    await client.flushall()
    await store.put('other', 'x', Uint8Array.of(1), HOUR)
    await store.put('s', 'huge', randomBytes(100_000), HOUR)
    for (let i = 0; i < 20; i++) await store.put('s', `${i % 15}`, randomBytes(20_000), HOUR)
    const held = async (): Promise<boolean[]> =>
      Promise.all(['huge', '0', '1', '2', '3', '4'].map(async (key) => (await store.get('s', key)) !== undefined))
    expect(await held()).toEqual([false, false, true, true, true, true])
    expect(await client.keys('sallyport:answer:*')).toHaveLength(5)
    await store.delete('s', '1')
    await store.put('s', '0', randomBytes(20_000), HOUR)
    expect(await held()).toEqual([false, true, false, true, true, true])
    expect(await store.get('other', 'x')).toEqual(Buffer.of(1))
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
