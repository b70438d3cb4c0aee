import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Answer, Call } from './call.ts'
import { quotaOf } from './quota-headers.ts'
import { quota } from './quota.ts'
import type { QuotaOptions } from './quota.ts'
import { ManualTime } from './time.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const NOW = Date.UTC(2026, 0, 1)

function call(change: Partial<Call> = {}): Call {
  const fixed = { method: 'GET', url: 'https://api.example/x', headers: new Headers(), body: null }
  return { ...fixed, owner: 'o', integration: 'i', provider: 'p', connection: 'c', generation: 1, ...change }
}

function trial(headers: Record<string, string>, status = 200, options: QuotaOptions = {}) {
  const time = new ManualTime(NOW)
  const provider = { headers, status }
  const sentAt: number[] = []
  const send = quota({ clock: time, pause: time.pause, ...options })((): Promise<Answer> => {
    sentAt.push(time.monotonic())
    return Promise.resolve({ status: provider.status, headers: new Headers(provider.headers), body: null })
  })
  return { time, provider, send, sentAt }
}

const epoch = String((NOW + MINUTE) / SECOND)

describe('what providers say of their quota', () => {
  it.each<[string, Record<string, string>, number, number]>([
    ['GitHub', { 'x-ratelimit-limit': '5000', 'x-ratelimit-remaining': '4999', 'x-ratelimit-reset': epoch }, 4_999, MINUTE],
    ['X', { 'x-rate-limit-limit': '900', 'x-rate-limit-remaining': '0', 'x-rate-limit-reset': epoch }, 0, MINUTE],
    ['Reddit', { 'x-ratelimit-remaining': '96.5', 'x-ratelimit-used': '4', 'x-ratelimit-reset': '60' }, 96.5, MINUTE],
    ['the draft up to 06', { 'ratelimit-limit': '10', 'ratelimit-remaining': '3', 'ratelimit-reset': '60' }, 3, MINUTE],
    ['the draft 07 to 09', { ratelimit: 'limit=10, remaining=3, reset=60' }, 3, MINUTE],
    ['the draft from 10', { ratelimit: '"burst";r=3;t=60', 'ratelimit-policy': '"burst";q=10;w=60' }, 3, MINUTE],
    ['the tightest of several', { ratelimit: '"day";r=500;t=9000, "minute";r=2;t=60' }, 2, MINUTE],
  ])('is read as %s says it', (_who, headers, remaining, resetMs) => {
    expect(quotaOf(new Headers(headers), NOW)).toMatchObject({ remaining, resetMs })
  })

  it('is nothing when it makes no sense', () => {
    for (const bad of ['-1', 'NaN', '1e9', '', '0x1', '9'.repeat(40)])
      expect(quotaOf(new Headers({ 'x-ratelimit-remaining': bad, 'x-ratelimit-reset': bad }), NOW)).toBeUndefined()
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii' }), (text) => {
        if (!/^[\t\u0020-\u007e]*$/u.test(text)) return
        const read = quotaOf(new Headers({ ratelimit: text, 'x-ratelimit-remaining': text, 'x-ratelimit-reset': text }), NOW)
        expect(read === undefined || (read.remaining >= 0 && read.resetMs >= 0)).toBe(true)
      }),
    )
  })
})

describe('holding back for a quota', () => {
  it('S52 sends nothing until a used up quota is filled again', async () => {
    const { time, provider, send, sentAt } = trial({ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': epoch })
    await send(call())
    await expect(send(call())).rejects.toMatchObject({ code: 'quota_exhausted', retryAfterMs: MINUTE })
    provider.headers = {}
    await time.pass(MINUTE - 5 * SECOND)
    const waiting = send(call())
    await time.pass(5 * SECOND)
    await waiting
    expect(sentAt).toEqual([0, MINUTE])
  })

  it.each([429, 503])('S52 waits out the Retry-After of a %i, for all calls of that connection', async (status) => {
    const { time, send, sentAt } = trial({ 'retry-after': '8' }, status)
    await send(call())
    const all = [send(call()), send(call({ url: 'https://api.example/y' }))]
    await send(call({ connection: 'another' }))
    await time.pass(8 * SECOND)
    await Promise.all(all)
    expect(sentAt).toEqual([0, 0, 8 * SECOND, 8 * SECOND])
  })

  it.each(['99999999', 'Fri, 31 Dec 2099 23:59:59 GMT'])('D-13 believes no Retry-After of %s for longer than its cap', async (value) => {
    const { time, provider, send } = trial({ 'retry-after': value }, 429)
    await send(call())
    await time.pass(15 * MINUTE - 1 - 10 * SECOND)
    await expect(send(call())).rejects.toMatchObject({ code: 'quota_exhausted' })
    provider.headers = {}
    await time.pass(10 * SECOND + 1)
    await expect(send(call())).resolves.toMatchObject({ status: 429 })
  })

  it('S52 spreads the last of a quota over the time until there is more', async () => {
    const { time, provider, send, sentAt } = trial({ 'x-ratelimit-limit': '100', 'x-ratelimit-remaining': '6', 'x-ratelimit-reset': '12' })
    await send(call())
    provider.headers = {}
    const all = [1, 2, 3].map(() => send(call()))
    await time.pass(MINUTE)
    await Promise.all(all)
    expect(sentAt).toEqual([0, 2, 4, 6].map((seconds) => seconds * SECOND))
  })

  it('slows nothing while enough is left', async () => {
    const { send, sentAt } = trial({ 'x-ratelimit-limit': '100', 'x-ratelimit-remaining': '50', 'x-ratelimit-reset': '60' })
    for (let i = 0; i < 20; i++) await send(call())
    expect(new Set(sentAt)).toEqual(new Set([0]))
  })

  it('refuses at once what could begin only after its deadline, and sends nothing for a caller who left', async () => {
    const { time, send, sentAt } = trial({ 'retry-after': '8' }, 429)
    await send(call())
    await expect(send(call({ deadline: 7 * SECOND }))).rejects.toMatchObject({ code: 'quota_exhausted' })
    const leaving = new AbortController()
    const left = expect(send(call({ signal: leaving.signal }))).rejects.toMatchObject({ name: 'AbortError' })
    leaving.abort()
    await time.pass(20 * SECOND)
    await left
    expect(sentAt).toEqual([0])
  })

  it('never makes a hold shorter for an answer that was on its way before', async () => {
    const { time, provider, send, sentAt } = trial({ 'retry-after': '60' }, 429)
    const first = send(call())
    provider.headers = { 'x-ratelimit-remaining': '1', 'x-ratelimit-reset': '1' }
    await Promise.all([first, send(call())])
    expect(sentAt).toHaveLength(2)
    await expect(send(call())).rejects.toMatchObject({ retryAfterMs: MINUTE })
    await time.pass(30 * SECOND)
    await expect(send(call())).rejects.toMatchObject({ code: 'quota_exhausted' })
  })

  it('S52 holds back the resource that an answer names, and no other of the connection', async () => {
    const counted = (by: string) => call({ counted: { by, saidIn: 'x-ratelimit-resource' } })
    const { time, provider, send } = trial({
      'x-ratelimit-resource': 'search',
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': epoch,
    })
    await send(counted('search'))
    provider.headers = {}
    await send(counted('core'))
    await send(call())
    await expect(send(counted('search'))).rejects.toMatchObject({ code: 'quota_exhausted', retryAfterMs: MINUTE })
    // What was thought to count against one resource and did against another holds that one.
    provider.headers = { 'x-ratelimit-resource': 'code_search', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '60' }
    await send(counted('core'))
    provider.headers = {}
    await send(counted('core'))
    await expect(send(counted('code_search'))).rejects.toMatchObject({ code: 'quota_exhausted' })
    await time.pass(MINUTE)
    await send(counted('search'))
  })

  it('S52 takes a call to wait that names no resource for the whole connection, and for the endpoint where each counts for itself', async () => {
    const secondary = trial({ 'retry-after': '60', 'x-ratelimit-remaining': '4000', 'x-ratelimit-reset': '900' }, 403)
    await secondary.send(call({ counted: { by: 'core', saidIn: 'x-ratelimit-resource' } }))
    const search = call({ counted: { by: 'search', saidIn: 'x-ratelimit-resource' } })
    await expect(secondary.send(search)).rejects.toMatchObject({ code: 'quota_exhausted', retryAfterMs: MINUTE })

    const endpoints = trial({ 'retry-after': '60' }, 429)
    await endpoints.send(call({ counted: { by: 'GET /users/:id/tweets' } }))
    await expect(endpoints.send(call({ counted: { by: 'GET /users/:id/tweets' } }))).rejects.toMatchObject({ code: 'quota_exhausted' })
    await endpoints.send(call({ counted: { by: 'GET /users/me' } }))
    endpoints.provider.status = 503
    await endpoints.send(call({ counted: { by: 'GET /tweets' } }))
    await expect(endpoints.send(call({ counted: { by: 'GET /lists' } }))).rejects.toMatchObject({ code: 'quota_exhausted' })
  })

  it('D-13 keeps no resource whose name is none', async () => {
    const counted = { by: 'core', saidIn: 'x-ratelimit-resource' }
    const { send } = trial({ 'x-ratelimit-resource': 'x'.repeat(65), 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '60' })
    await send(call({ counted }))
    await expect(send(call({ counted }))).rejects.toMatchObject({ code: 'quota_exhausted' })
  })

  it('refuses figures without sense', () => {
    for (const bad of [{ maxHoldMs: -1 }, { reserve: 2 }, { maxWaitMs: Number.NaN }, { maxKnown: 0 }])
      expect(() => quota(bad)).toThrow(RangeError)
  })
})
