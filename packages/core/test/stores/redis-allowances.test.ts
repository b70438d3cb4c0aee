/** A bucket in Redis that many draw from: what it gives out in all, whoever asks. */
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestRedis } from '../../../testkit/src/servers/index.ts'
import { RedisAllowances } from '../../src/index.ts'

let server: Awaited<ReturnType<typeof startTestRedis>>
let one: RedisAllowances
let other: RedisAllowances
beforeAll(async () => {
  server = await startTestRedis()
  one = new RedisAllowances({ url: server.url, answerMs: 5_000 })
  other = new RedisAllowances({ url: server.url, answerMs: 5_000 })
})
afterAll(async () => {
  await Promise.all([one?.close(), other?.close()])
  await server?.stop()
})

/** So slow that nothing comes back while the test runs. */
const SLOW = { perSecond: 0.001, burst: 100 }

describe('a bucket that many draw from', () => {
  it('D-10 gives out what is in it, once, however many ask at the same moment', async () => {
    const drawn = await Promise.all(Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? one : other).draw('crowd', SLOW, 7)))
    expect(drawn.reduce((sum, { granted }) => sum + granted, 0)).toBe(100)
    expect(drawn.at(-1)).toMatchObject({ granted: 0, left: 0 })
    const { nextMs } = await one.draw('crowd', SLOW, 1)
    expect(nextMs).toBeGreaterThan(900_000)
    expect(nextMs).toBeLessThanOrEqual(1_000_000)
  })

  it('gives what there is when it is less than is asked for, and looking takes nothing', async () => {
    expect(await one.draw('part', SLOW, 90)).toEqual({ granted: 90, left: 10, nextMs: 0 })
    expect(await other.draw('part', SLOW, 0)).toMatchObject({ granted: 0, left: 10 })
    expect(await other.draw('part', SLOW, 90)).toMatchObject({ granted: 10, left: 0 })
  })

  it('takes back what was not used, and never more than fits', async () => {
    await one.draw('back', SLOW, 60)
    await other.giveBack('back', SLOW, 20)
    expect(await one.draw('back', SLOW, 0)).toMatchObject({ left: 60 })
    await other.giveBack('back', SLOW, 500)
    expect(await one.draw('back', SLOW, 500)).toMatchObject({ granted: 100, left: 0 })
  })

  it('goes on with other figures: a smaller bucket holds less, a larger one is no gift', async () => {
    await one.draw('shape', SLOW, 50)
    expect(await one.draw('shape', { ...SLOW, burst: 10 }, 0)).toMatchObject({ left: 10 })
    expect(await one.draw('shape', { ...SLOW, burst: 1_000 }, 0)).toMatchObject({ left: 10 })
  })

  it('fills with time', async () => {
    const quick = { perSecond: 1_000, burst: 10 }
    expect((await one.draw('time', quick, 10)).granted).toBe(10)
    await expect.poll(async () => (await one.draw('time', quick, 0)).left, { timeout: 10_000 }).toBe(10)
  })

  // The clock of a test's own server stands with the machine's: what a bucket noted of the time steps in its stead.
  it('D-10 takes nothing and brings nothing when the clock of Redis steps back, and brings one burst at most when it steps ahead', async () => {
    const admin = new Redis(server.url)
    const step = (name: string, seconds: number) => admin.hincrby(`sallyport:limit:${name}`, 'at', seconds * 1_000_000)
    await one.draw('behind', SLOW, 60)
    // What was noted lies ahead: the clock went back by a day.
    await step('behind', 86_400)
    expect(await other.draw('behind', SLOW, 0)).toMatchObject({ left: 40 })
    expect(await other.draw('behind', SLOW, 100)).toMatchObject({ granted: 40, left: 0 })
    const quick = { perSecond: 1_000, burst: 10 }
    await one.draw('on', quick, 10)
    await step('on', 86_400)
    await one.draw('on', quick, 0)
    // It goes on from where the clock is now.
    await expect.poll(async () => (await one.draw('on', quick, 0)).left, { timeout: 10_000 }).toBe(10)
    await one.draw('ahead', SLOW, 100)
    await step('ahead', -365 * 86_400)
    expect(await other.draw('ahead', SLOW, 500)).toMatchObject({ granted: 100, left: 0 })
    expect(await other.draw('ahead', SLOW, 500)).toMatchObject({ granted: 0, left: 0 })
    await admin.quit()
  })

  it('rejects when Redis is gone', async () => {
    const gone = await startTestRedis()
    const cut = new RedisAllowances({ url: gone.url })
    expect((await cut.draw('x', SLOW, 1)).granted).toBe(1)
    await gone.stop()
    await expect(cut.draw('x', SLOW, 1)).rejects.toMatchObject({ code: 'store_unavailable' })
    await cut.close()
  })
})
