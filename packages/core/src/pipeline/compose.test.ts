import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { hmacKey } from '../crypto/index.ts'
import { EgressError } from '../http/index.ts'
import { Breaker } from './breaker.ts'
import { cache } from './cache.ts'
import { MemoryAnswerStore } from './cache-store.ts'
import type { Answer, Call, Policy } from './call.ts'
import { composePipeline } from './compose.ts'
import { deadline } from './deadline.ts'
import { limits } from './limits.ts'
import { retry } from './retry.ts'
import { ManualTime } from './time.ts'

const SECOND = 1_000

function call(change: Partial<Call> = {}): Call {
  const fixed = { method: 'GET', url: 'https://api.example/x', headers: new Headers(), body: null }
  return { ...fixed, owner: 'o', integration: 'i', provider: 'p', connection: 'c', generation: 1, ...change }
}

const answered = (status: number, headers: Record<string, string> = {}, text = 'x'): Answer => ({
  status,
  headers: new Headers(headers),
  body: new Blob([text]).stream(),
})

/** All policies with their defaults, before a provider that does what `provider` says at the time. */
function trial() {
  const time = new ManualTime()
  const given = { clock: time, pause: time.pause }
  let sent = 0
  const provider = { now: (_call: Call): Promise<Answer> => Promise.resolve(answered(200)) }
  const breaker = new Breaker({ clock: time })
  const send = composePipeline(
    {
      cache: cache({ store: new MemoryAnswerStore(), key: hmacKey(randomBytes(32)), clock: time }),
      deadline: deadline({ totalMs: 30 * SECOND, ...given }),
      retry: retry({ ...given, random: () => 0.5 }),
      limits: limits({ concurrency: 4, queue: 1_000, ...given }),
      breaker: breaker.policy,
    },
    (one) => (sent++, provider.now(one)),
  )
  return { time, provider, breaker, send, sent: () => sent }
}

describe('the pipeline', () => {
  it('puts its policies in one order, whichever are there', async () => {
    const seen: string[] = []
    const named =
      (name: string): Policy =>
      (next) =>
      (one) => (seen.push(name), next(one))
    const policies = {
      breaker: named('breaker'),
      retry: named('retry'),
      cache: named('cache'),
      limits: named('limits'),
      deadline: named('deadline'),
    }
    await composePipeline(policies, () => Promise.resolve(answered(200)))(call())
    expect(seen.splice(0)).toEqual(['cache', 'deadline', 'retry', 'limits', 'breaker'])
    await composePipeline({ breaker: named('breaker'), cache: named('cache') }, () => Promise.resolve(answered(200)))(call())
    expect(seen.splice(0)).toEqual(['cache', 'breaker'])
    await expect(composePipeline({}, () => Promise.resolve(answered(204)))(call())).resolves.toMatchObject({ status: 204 })
  })

  it('F-20 F-21 answers from what is kept while the breaker leaves the provider alone, and asks again afterwards', async () => {
    const { time, provider, breaker, send, sent } = trial()
    provider.now = () => Promise.resolve(answered(200, { etag: '"1"' }, 'kept'))
    await new Response((await send(call())).body).text()
    provider.now = () => Promise.reject(new EgressError('upstream_unreachable', 'ECONNREFUSED'))
    for (let i = 0; i < 3; i++) {
      const answer = send(call())
      await time.pass(30 * SECOND)
      expect(await new Response((await answer).body).text()).toBe('kept')
    }
    expect(breaker.stateOf(call())).not.toBe('closed')
    // One that was kept, and five that failed before the circuit opened.
    expect(sent()).toBe(6)
    provider.now = () => Promise.resolve(answered(200, { etag: '"2"' }, 'new'))
    await time.pass(60 * SECOND)
    expect(await new Response((await send(call())).body).text()).toBe('new')
    expect(breaker.stateOf(call())).toBe('closed')
  })

  it('F-21 does not send the crowd that waited while the circuit opened', async () => {
    const { time, provider, send, sent } = trial()
    provider.now = async () => {
      await time.pause(SECOND)
      throw new EgressError('upstream_reset', 'ECONNRESET', true)
    }
    const all = Promise.allSettled(Array.from({ length: 500 }, (_, i) => send(call({ method: 'POST', connection: `c${i}` }))))
    await time.pass(30 * SECOND)
    await all
    // Four at a time: the fifth failure comes while the second four are out.
    expect(sent()).toBe(8)
  })

  it('ends retries and waiting with the deadline', async () => {
    const { time, provider, send } = trial()
    provider.now = () => new Promise(() => undefined)
    const all = Promise.allSettled(Array.from({ length: 10 }, () => send(call({ deadline: 5 * SECOND }))))
    await time.pass(5 * SECOND)
    expect((await all).map((one) => (one as PromiseRejectedResult).reason.code)).toEqual(
      Array.from({ length: 10 }, () => 'deadline_exceeded'),
    )
  })

  it('hands on the first byte of a body before the last one is there', async () => {
    const { provider, send } = trial()
    let source: ReadableStreamDefaultController<Uint8Array> | undefined
    const body = new ReadableStream<Uint8Array>({ start: (to) => void (source = to) })
    provider.now = () => Promise.resolve({ status: 200, headers: new Headers({ etag: '"1"' }), body })
    const reader = (await send(call())).body!.getReader()
    source!.enqueue(Uint8Array.of(1))
    expect((await reader.read()).value).toEqual(Uint8Array.of(1))
    await reader.cancel()
  })
})
