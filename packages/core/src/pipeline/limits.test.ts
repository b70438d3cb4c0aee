import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MetricsRegistry } from '../observability/index.ts'
import type { Answer, Call } from './call.ts'
import { limits } from './limits.ts'
import type { LimitOptions } from './limits.ts'
import { PIPELINE_METRICS } from './metrics.ts'
import { ManualTime } from './time.ts'

const SECOND = 1_000
const ANSWER: Answer = { status: 200, headers: new Headers(), body: null }

function call(change: Partial<Call> = {}): Call {
  const fixed = { method: 'GET', url: 'https://api.example/x', headers: new Headers(), body: null }
  return { ...fixed, owner: 'o', integration: 'i', provider: 'p', connection: 'c', generation: 1, ...change }
}

/** Calls that take `lastMs` each. */
function trial(options: LimitOptions, lastMs = 0) {
  const time = new ManualTime()
  const sent: { readonly at: number; readonly call: Call }[] = []
  let [running, most] = [0, 0]
  const send = limits({ clock: time, pause: time.pause, ...options })(async (one) => {
    sent.push({ at: time.monotonic(), call: one })
    most = Math.max(most, ++running)
    if (lastMs > 0) await time.pause(lastMs)
    running--
    return ANSWER
  })
  return { time, sent, send, most: () => most }
}

const outcomes = (calls: readonly Promise<unknown>[]) =>
  Promise.all(
    calls.map((one) =>
      one.then(
        () => 'sent',
        (error: { code?: unknown; name: string }) => (typeof error.code === 'string' ? error.code : error.name),
      ),
    ),
  )

describe('limits of calls to a provider', () => {
  it('S52 hold 1,000 concurrent callers to the concurrency, and send all of them', async () => {
    const { time, send, sent, most } = trial({ concurrency: 7, queue: 1_000 }, 10)
    const all = outcomes(Array.from({ length: 1_000 }, () => send(call())))
    await time.pass(1_000 * 10)
    expect(new Set(await all)).toEqual(new Set(['sent']))
    expect([sent.length, most()]).toEqual([1_000, 7])
  })

  it('S52 hold calls to their rate within one token, over every stretch of time', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.nat(2 * SECOND), { minLength: 1, maxLength: 60 }),
        async (qps, burst, arrivals) => {
          const { time, send, sent } = trial({ qps, burst, queue: 100 })
          const calls: Promise<unknown>[] = []
          for (const at of arrivals.toSorted((a, b) => a - b)) {
            await time.pass(at - time.monotonic())
            calls.push(send(call()))
          }
          await time.pass(70 * SECOND)
          expect(new Set(await outcomes(calls))).toEqual(new Set(['sent']))
          for (const [first, from] of sent.entries())
            for (let last = first; last < sent.length; last++)
              expect(last - first + 1).toBeLessThanOrEqual(burst + ((sent[last]!.at - from.at) / SECOND) * qps + 1)
        },
      ),
      { numRuns: 40 },
    )
  })

  it('refuse what finds no place in the queue, with nothing sent', async () => {
    const { time, send, sent } = trial({ concurrency: 1, queue: 2 }, 10)
    const all = outcomes([1, 2, 3, 4].map(() => send(call())))
    await time.pass(SECOND)
    expect([await all, sent.length]).toEqual([['sent', 'sent', 'sent', 'queue_full'], 3])
  })

  it('let connections take turns, and none fill the queue', async () => {
    const { time, send, sent } = trial({ concurrency: 1, queue: 4 }, 10)
    const crowd = outcomes(Array.from({ length: 5 }, () => send(call({ connection: 'loud' }))))
    const quiet = outcomes([send(call({ connection: 'quiet' }))])
    await time.pass(SECOND)
    expect([await crowd, await quiet]).toEqual([['sent', 'sent', 'sent', 'sent', 'queue_full'], ['sent']])
    expect(sent.map((one) => one.call.connection)).toEqual(['loud', 'loud', 'quiet', 'loud', 'loud'])
  })

  it('count each owner and integration apart', async () => {
    const { time, send } = trial({ concurrency: 1, queue: 0 }, 10)
    const all = outcomes([send(call()), send(call({ owner: 'p' })), send(call({ integration: 'j' })), send(call({ connection: 'd' }))])
    await time.pass(SECOND)
    expect(await all).toEqual(['sent', 'sent', 'sent', 'queue_full'])
  })

  it('let nobody wait past a deadline, or after hanging up', async () => {
    const { time, send, sent } = trial({ concurrency: 1 }, 10 * SECOND)
    const leaving = new AbortController()
    const all = outcomes([send(call()), send(call({ deadline: 5 * SECOND })), send(call({ signal: leaving.signal }))])
    await time.pass(5 * SECOND)
    leaving.abort()
    await time.pass(20 * SECOND)
    expect([await all, sent.length, time.waiting]).toEqual([['sent', 'deadline_exceeded', 'AbortError'], 1, 0])
  })

  it('count a call until its body has ended, was dropped or broke', async () => {
    const bodies = [
      () => new Blob(['x']).stream(),
      () => new ReadableStream<Uint8Array>(),
      () => new ReadableStream<Uint8Array>({ start: (to) => to.error(new TypeError('cut')) }),
    ]
    const send = limits({ concurrency: 1, queue: 0 })(({ generation }) => Promise.resolve({ ...ANSWER, body: bodies[generation]!() }))
    const whole = await send(call({ generation: 0 }))
    await expect(send(call())).rejects.toMatchObject({ code: 'queue_full' })
    await new Response(whole.body).text()
    await (await send(call({ generation: 1 }))).body!.cancel()
    await expect(new Response((await send(call({ generation: 2 }))).body).text()).rejects.toThrow()
    await expect(send(call({ generation: 0 }))).resolves.toMatchObject({ status: 200 })
  })

  it('give the place of a call that fails to the next', async () => {
    const send = limits({ concurrency: 1, queue: 5 })(() => Promise.reject(new TypeError('x')))
    expect(await outcomes([1, 2, 3].map(() => send(call())))).toEqual(['TypeError', 'TypeError', 'TypeError'])
  })

  it('say how many wait, and none when all is done', async () => {
    const metrics = new MetricsRegistry(PIPELINE_METRICS)
    const { time, send } = trial({ concurrency: 1, metrics }, 10)
    const all = outcomes([1, 2, 3].map(() => send(call())))
    await time.pass(5)
    expect(metrics.render()).toContain('rate_limit_queue_size{provider="p"} 2')
    await time.pass(SECOND)
    await all
    expect(metrics.render()).toContain('rate_limit_queue_size{provider="p"} 0')
  })

  it('refuse figures without sense', () => {
    for (const bad of [{ qps: 0 }, { qps: Number.NaN }, { burst: 0.5 }, { concurrency: 0 }, { queue: -1 }])
      expect(() => limits(bad)).toThrow(RangeError)
  })
})
