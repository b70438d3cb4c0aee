import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EgressError } from '../http/index.ts'
import type { Answer, Call } from './call.ts'
import { retry } from './retry.ts'
import type { RetryOptions } from './retry.ts'
import { ManualTime } from './time.ts'

const SECOND = 1_000

function call(change: Partial<Call> = {}): Call {
  const fixed = { method: 'GET', url: 'https://api.example/x', headers: new Headers(), body: null }
  return { ...fixed, owner: 'o', integration: 'i', provider: 'p', connection: 'c', generation: 1, ...change }
}

const answered = (status: number, headers: Record<string, string> = {}): Answer => ({ status, headers: new Headers(headers), body: null })

/** Sends to what gives `outcomes` in turn, the last one for ever. */
function trial(outcomes: readonly (Answer | Error)[], options: RetryOptions = {}) {
  const time = new ManualTime()
  const sentAt: number[] = []
  const send = retry({ clock: time, pause: time.pause, random: () => 1 - Number.EPSILON, ...options })(() => {
    sentAt.push(Math.round(time.monotonic()))
    const outcome = outcomes[Math.min(sentAt.length, outcomes.length) - 1]!
    return outcome instanceof Error ? Promise.reject(outcome) : Promise.resolve(outcome)
  })
  return {
    time,
    sentAt,
    run: async (one: Call = call()): Promise<number | string> => {
      const done = send(one).then(
        ({ status }) => status,
        (error: EgressError) => error.code,
      )
      await time.pass(10 * 60 * SECOND)
      return await done
    },
  }
}

describe('retries', () => {
  it.each([429, 500, 502, 503, 504])(
    'S47 repeat an idempotent call that was answered %i three times, doubling the pause',
    async (status) => {
      const { run, sentAt } = trial([answered(status)])
      expect(await run()).toBe(status)
      expect(sentAt).toEqual([0, SECOND, 3 * SECOND, 7 * SECOND])
    },
  )

  it('S47 pause for no more than ten seconds of their own', async () => {
    const { run, sentAt } = trial([answered(500)], { maxRetries: 6 })
    await run()
    expect(sentAt.slice(1).map((at, i) => at - sentAt[i]!)).toEqual([1, 2, 4, 8, 10, 10].map((s) => s * SECOND))
  })

  it.each([200, 304, 400, 401, 403, 404, 409, 422, 501])('leave an answer with %i as it is', async (status) => {
    const { run, sentAt } = trial([answered(status)])
    expect(await run()).toBe(status)
    expect(sentAt).toHaveLength(1)
  })

  it.each(['POST', 'PATCH'])('F-22 never repeat a %s that may have left', async (method) => {
    for (const outcome of [answered(503), answered(429), new EgressError('upstream_reset', 'ECONNRESET', true)]) {
      const { run, sentAt } = trial([outcome])
      await run(call({ method, body: '{}' }))
      expect(sentAt).toHaveLength(1)
    }
  })

  it('F-22 repeat a POST with an Idempotency-Key, and one of which no byte left', async () => {
    const keyed = trial([answered(503), answered(201)])
    expect(await keyed.run(call({ method: 'POST', headers: new Headers({ 'idempotency-key': 'k' }) }))).toBe(201)
    const unsent = trial([new EgressError('upstream_reset', 'ECONNRESET', false), answered(201)])
    expect(await unsent.run(call({ method: 'POST', body: '{}' }))).toBe(201)
  })

  it('F-22 repeat a POST that only reads, after an answer and after a lost connection', async () => {
    const { run, sentAt } = trial([answered(429), new EgressError('upstream_reset', 'cut', true), answered(200)])
    expect(await run(call({ method: 'POST', body: 'q=1', reads: true }))).toBe(200)
    expect(sentAt).toHaveLength(3)
  })

  it('F-22 never repeat a body that can be read only once', async () => {
    const { run, sentAt } = trial([new EgressError('upstream_unreachable', 'ECONNREFUSED')])
    await run(call({ method: 'PUT', body: new ReadableStream() }))
    expect(sentAt).toHaveLength(1)
  })

  it.each(['client_gone', 'egress_refused', 'header_refused', 'upstream_tls', 'upstream_too_large'] as const)(
    'do not repeat what failed with %s',
    async (code) => {
      const { run, sentAt } = trial([new EgressError(code, 'x')])
      expect(await run()).toBe(code)
      expect(sentAt).toHaveLength(1)
    },
  )

  it('S47 honour Retry-After in seconds and as a date, and never come earlier', async () => {
    const seconds = trial([answered(429, { 'retry-after': '7' }), answered(200)])
    await seconds.run()
    expect(seconds.sentAt[1]).toBeGreaterThanOrEqual(7 * SECOND)
    const time = new ManualTime()
    const date = new Date(time.now() + 9 * SECOND).toUTCString()
    const dated = trial([answered(503, { 'retry-after': date }), answered(200)])
    await dated.run()
    expect(dated.sentAt[1]).toBeGreaterThanOrEqual(9 * SECOND)
  })

  it.each(['99999999', '9'.repeat(300), 'Fri, 31 Dec 2099 23:59:59 GMT'])(
    'S47 D-13 hand on an answer that asks for too long (%s)',
    async (value) => {
      const { run, sentAt } = trial([answered(429, { 'retry-after': value }), answered(200)])
      expect(await run()).toBe(429)
      expect(sentAt).toHaveLength(1)
    },
  )

  it.each(['-5', 'NaN', '', '1e9', '0x10', 'soon', '2.5'])(
    'D-13 take no Retry-After from "%s", and make a pause of their own',
    async (value) => {
      const { run, sentAt } = trial([answered(429, { 'retry-after': value })])
      await run()
      expect(sentAt).toEqual([0, SECOND, 3 * SECOND, 7 * SECOND])
    },
  )

  it('begin no try that the deadline leaves no time for', async () => {
    const { run, sentAt } = trial([answered(503)])
    expect(await run(call({ deadline: 2_500 }))).toBe(503)
    expect(sentAt).toEqual([0, SECOND])
  })

  it('stop when the caller leaves during the pause, with the last answer', async () => {
    const leaving = new AbortController()
    const { run, sentAt, time } = trial([answered(503)])
    void time.pause(500).then(() => leaving.abort())
    expect(await run(call({ signal: leaving.signal }))).toBe(503)
    expect(sentAt).toHaveLength(1)
  })

  it('let go of the answer that they replace', async () => {
    let dropped = 0
    const body = new ReadableStream<Uint8Array>({ cancel: () => void dropped++ })
    const { run } = trial([{ ...answered(503), body }, answered(200)])
    await run()
    expect(dropped).toBe(1)
  })

  it('N13 are never more than a fifth of the calls under way, whatever fails', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 400 }), async (callers) => {
        const time = new ManualTime()
        let again = 0
        const first = new Set<Call>()
        const send = retry({ clock: time, pause: time.pause, budgetFloor: 1, maxRetries: 1 })((one) => {
          if (first.has(one)) again++
          first.add(one)
          return Promise.resolve(answered(503))
        })
        const all = Promise.all(Array.from({ length: callers }, () => send(call())))
        await time.pass(60 * SECOND)
        await all
        expect(again).toBeLessThanOrEqual(Math.max(1, Math.floor(callers * 0.2)))
        expect(again).toBeGreaterThan(0)
      }),
      { numRuns: 30 },
    )
  })

  it('spread their pauses over the whole of each', async () => {
    await fc.assert(
      fc.asyncProperty(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), async (drawn) => {
        const { run, sentAt } = trial([answered(500)], { maxRetries: 1, random: () => drawn })
        await run()
        expect(sentAt[1]).toBe(Math.round(drawn * SECOND))
      }),
      { numRuns: 30 },
    )
  })

  it('refuse figures without sense', () => {
    for (const bad of [
      { maxRetries: -1 },
      { maxRetries: 11 },
      { baseDelay: 5, maxDelay: 4 },
      { budget: 1.5 },
      { maxRetryAfter: Number.NaN },
    ])
      expect(() => retry(bad)).toThrow(RangeError)
  })
})
