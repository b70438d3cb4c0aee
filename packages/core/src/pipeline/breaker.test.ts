import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EgressError } from '../http/index.ts'
import { ManualClock } from '../kernel/index.ts'
import { MetricsRegistry } from '../observability/index.ts'
import { Breaker } from './breaker.ts'
import type { CircuitChange } from './breaker.ts'
import type { Answer, Call } from './call.ts'
import { PIPELINE_METRICS } from './metrics.ts'

const SECOND = 1_000

function call(change: Partial<Call> = {}): Call {
  const fixed = { method: 'GET', url: 'https://api.example/x', headers: new Headers(), body: null }
  return { ...fixed, owner: 'org-a', integration: 'i', provider: 'p', connection: 'c', generation: 1, ...change }
}

const answer = (status: number): Promise<Answer> => Promise.resolve({ status, headers: new Headers(), body: null })
const unreachable = (): Promise<Answer> => Promise.reject(new EgressError('upstream_unreachable', 'ECONNREFUSED'))
const refusal = { code: 'circuit_open' }

async function times(n: number, one: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < n; i++) await one().catch(() => undefined)
}

describe('the circuit breaker', () => {
  it('S43 F-21 opens after five failures in a row, and then sends nothing for 60 s', async () => {
    const clock = new ManualClock()
    let sent = 0
    const send = new Breaker({ clock }).policy(() => (sent++, answer(503)))
    await times(5, () => send(call()))
    await expect(send(call())).rejects.toMatchObject({ ...refusal, retryAfterMs: 60 * SECOND })
    clock.advance(60 * SECOND - 1)
    await expect(send(call())).rejects.toMatchObject(refusal)
    expect(sent).toBe(5)
  })

  it('S43 F-21 sends exactly one probe under 1,000 concurrent callers, and its success lets all through', async () => {
    const clock = new ManualClock()
    let sent = 0
    let next: () => Promise<Answer> = unreachable
    const breaker = new Breaker({ clock })
    const send = breaker.policy(() => (sent++, next()))
    await times(5, () => send(call()))
    clock.advance(60 * SECOND)
    const probe = Promise.withResolvers<Answer>()
    next = () => probe.promise
    sent = 0
    const crowd = Array.from({ length: 1_000 }, () => send(call()))
    const settled = Promise.allSettled(crowd)
    expect(sent).toBe(1)
    probe.resolve(await answer(200))
    expect((await settled).filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(breaker.stateOf(call())).toBe('closed')
    next = () => answer(200)
    await Promise.all(Array.from({ length: 100 }, () => send(call())))
    expect(sent).toBe(101)
  })

  it('F-21 leaves the provider alone for another 60 s when the probe fails', async () => {
    const clock = new ManualClock()
    let sent = 0
    const send = new Breaker({ clock }).policy(() => (sent++, answer(500)))
    await times(5, () => send(call()))
    clock.advance(60 * SECOND)
    await send(call())
    clock.advance(60 * SECOND - 1)
    await expect(send(call())).rejects.toMatchObject(refusal)
    expect(sent).toBe(6)
  })

  it('sends another probe when the one that was out says nothing of the provider', async () => {
    const clock = new ManualClock()
    let next: () => Promise<Answer> = unreachable
    const breaker = new Breaker({ clock })
    const send = breaker.policy(() => next())
    await times(5, () => send(call()))
    clock.advance(60 * SECOND)
    next = () => Promise.reject(new EgressError('client_gone', 'signal', true))
    await expect(send(call())).rejects.toMatchObject({ code: 'client_gone' })
    next = () => answer(200)
    await expect(send(call())).resolves.toMatchObject({ status: 200 })
    expect(breaker.stateOf(call())).toBe('closed')
  })

  it.each([400, 401, 403, 404, 409, 429, 451, 501])('S43 D-12 stays closed whatever number of %i comes', async (status) => {
    const send = new Breaker().policy(() => answer(status))
    await times(50, () => send(call()))
    await expect(send(call())).resolves.toMatchObject({ status })
  })

  it.each([
    ['a caller who leaves', new EgressError('client_gone', 'signal', true)],
    ['a destination that is not allowed', new EgressError('egress_refused', 'address')],
    ['a deadline shorter than any provider needs', new EgressError('upstream_timeout', 'signal', true)],
    ['an error of our own', new TypeError('x')],
  ])('N13 holds %s against nobody', async (_what, error) => {
    const breaker = new Breaker({ clock: new ManualClock() })
    const send = breaker.policy(() => Promise.reject(error))
    await times(50, () => send(call()))
    expect(breaker.stateOf(call())).toBe('closed')
  })

  it('N13 holds a deadline against a provider that had ten seconds', async () => {
    const clock = new ManualClock()
    const breaker = new Breaker({ clock })
    const send = breaker.policy(() => {
      clock.advance(10 * SECOND)
      return Promise.reject(new EgressError('upstream_timeout', 'signal', true))
    })
    await times(5, () => send(call()))
    expect(breaker.stateOf(call())).toBe('open')
  })

  it('S43 D-12 opens nothing for another owner, integration or host', async () => {
    const breaker = new Breaker()
    await times(5, () => breaker.policy(unreachable)(call()))
    const others = [{ owner: 'org-b' }, { integration: 'j' }, { url: 'https://other.example/x' }]
    expect(others.map((other) => breaker.stateOf(call(other)))).toEqual(['closed', 'closed', 'closed'])
    expect(breaker.stateOf(call({ url: 'https://api.example/another?path' }))).toBe('open')
  })

  it('takes no word of calls that began before it opened, or before it closed', async () => {
    const clock = new ManualClock()
    const breaker = new Breaker({ clock })
    const late = Array.from({ length: 20 }, () => Promise.withResolvers<Answer>())
    const slow = late.map(({ promise }) => breaker.policy(() => promise)(call()))
    await times(5, () => breaker.policy(unreachable)(call()))
    late[0]!.resolve(await answer(200))
    await slow[0]
    expect(breaker.stateOf(call())).toBe('open')
    clock.advance(60 * SECOND)
    await breaker.policy(() => answer(200))(call())
    for (const one of late.slice(1)) one.resolve(await answer(500))
    await Promise.all(slow)
    expect(breaker.stateOf(call())).toBe('closed')
  })

  it('S43 takes other figures, and refuses ones without sense', async () => {
    const clock = new ManualClock()
    const breaker = new Breaker({ failures: 2, openMs: 5 * SECOND, clock })
    await times(2, () => breaker.policy(unreachable)(call()))
    expect(breaker.stateOf(call())).toBe('open')
    clock.advance(5 * SECOND)
    expect(breaker.stateOf(call())).toBe('half_open')
    for (const bad of [{ failures: 0 }, { openMs: 0 }, { failures: Number.NaN }, { maxCircuits: 0.5 }, { patienceMs: -1 }])
      expect(() => new Breaker(bad)).toThrow(RangeError)
  })

  it('tells of every change, and counts circuits that are not closed', async () => {
    const clock = new ManualClock()
    const changes: CircuitChange[] = []
    const metrics = new MetricsRegistry(PIPELINE_METRICS)
    const breaker = new Breaker({ clock, metrics, onChange: (change) => changes.push(change) })
    await times(5, () => breaker.policy(unreachable)(call()))
    expect(metrics.render()).toContain('circuit_breaker_state{provider="p",state="open"} 1')
    clock.advance(60 * SECOND)
    await breaker.policy(() => answer(204))(call())
    expect(changes.map(({ from, to }) => `${from} ${to}`)).toEqual(['closed open', 'open half_open', 'half_open closed'])
    expect(changes[0]).toMatchObject({ owner: 'org-a', integration: 'i', host: 'api.example' })
    expect(metrics.render()).toContain('circuit_breaker_state{provider="p",state="open"} 0')
    expect(metrics.render()).not.toContain('org-a')
  })

  it('remembers no more circuits than it may', async () => {
    const metrics = new MetricsRegistry(PIPELINE_METRICS)
    const breaker = new Breaker({ failures: 1, maxCircuits: 10, metrics })
    for (let i = 0; i < 100; i++) await times(1, () => breaker.policy(unreachable)(call({ owner: `org-${i}` })))
    expect(metrics.render()).toContain('circuit_breaker_state{provider="p",state="open"} 10')
  })

  it('F-21 never has two probes out, and never opens before the fifth failure, in any order of outcomes', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('begin' as const) }),
      fc.record({ do: fc.constant('end' as const), at: fc.nat(), status: fc.constantFrom(200, 404, 429, 500, 503) }),
      fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 30 * SECOND, 60 * SECOND) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 120 }), async (steps) => {
        const clock = new ManualClock()
        const changes: CircuitChange[] = []
        const breaker = new Breaker({ clock, onChange: (change) => changes.push(change) })
        const out: { readonly probe: boolean; readonly over: PromiseWithResolvers<Answer>; readonly call: Promise<unknown> }[] = []
        let failures = 0
        for (const one of steps) {
          if (one.do === 'wait') clock.advance(one.ms)
          else if (one.do === 'begin') {
            const over = Promise.withResolvers<Answer>()
            let sent = false
            const done = breaker
              .policy(() => ((sent = true), over.promise))(call())
              .catch(() => undefined)
            if (sent) out.push({ probe: breaker.stateOf(call()) === 'half_open', over, call: done })
          } else if (out.length > 0) {
            const [ended] = out.splice(one.at % out.length, 1)
            ended!.over.resolve(await answer(one.status))
            await ended!.call
            failures += one.status >= 500 ? 1 : 0
          }
          expect(out.filter(({ probe }) => probe).length).toBeLessThanOrEqual(1)
          if (failures < 5) expect(changes).toEqual([])
        }
      }),
      { numRuns: 200 },
    )
  })
})
