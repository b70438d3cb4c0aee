import { describe, expect, it } from 'vitest'
import { ManualTime, newId, noMetrics } from '@sallyport/core'
import { PLAIN_CALLS } from '../db/index.ts'
import { createOutbound } from './outbound.ts'
import type { OutboundCall } from './outbound.ts'

function trial() {
  const time = new ManualTime(0)
  const outbound = createOutbound({ clock: time, metrics: noMetrics, pause: time.pause, random: () => 0.5 })
  const call: OutboundCall = {
    org: newId('org', 0),
    integration: newId('int', 0),
    provider: 'p',
    connection: newId('conn', 0),
    gone: new AbortController().signal,
  }
  const policy = (over: Partial<typeof PLAIN_CALLS>) => ({ ...PLAIN_CALLS, ...over })
  const tried = { ...call, host: 'api.example', method: 'GET', isHarmless: false, isBodiless: true }
  return { time, outbound, call, policy, tried }
}

describe('calls that go out by a policy', () => {
  it('S47 S58 go out at once and once where it says nothing', () => {
    const { outbound, call, tried } = trial()
    expect([outbound.turn(PLAIN_CALLS, call), outbound.tries(PLAIN_CALLS, tried)]).toEqual([undefined, undefined])
  })

  it('S58 wait for their turn by the second, ten seconds at most, and are told that too many wait', async () => {
    const { time, outbound, call, policy } = trial()
    const slow = policy({ qps: 0.15 })
    await outbound.turn(slow, call)
    const waits = expect(outbound.turn(slow, call)).resolves.toBeTypeOf('function')
    const inVain = expect(outbound.turn(slow, call)).rejects.toMatchObject({ code: 'overloaded' })
    await time.pass(10_000)
    await Promise.all([waits, inVain])
  })

  it('S58 D-14 are refused at once when a hundred wait', async () => {
    const { outbound, call, policy } = trial()
    const one = policy({ concurrency: 1 })
    const end = (await outbound.turn(one, call))!
    const waiting = Array.from({ length: 100 }, () => outbound.turn(one, call)!)
    await expect(outbound.turn(one, call)).rejects.toMatchObject({ code: 'overloaded' })
    end()
    for (const turn of waiting) (await turn)()
  })

  it('S58 leave the queue with their caller, and go by new figures as soon as there are some', async () => {
    const { outbound, call, policy } = trial()
    await outbound.turn(policy({ concurrency: 1 }), call)
    const going = new AbortController()
    const left = expect(outbound.turn(policy({ concurrency: 1 }), { ...call, gone: going.signal })).rejects.toThrow('gone')
    going.abort(new Error('gone'))
    await left
    await expect(outbound.turn(policy({ concurrency: 2 }), call)).resolves.toBeTypeOf('function')
  })

  it('S47 D-13 are tried again as often as it says, after pauses of at most ten seconds, and not after half a minute', () => {
    const { time, outbound, policy, tried } = trial()
    const failed = (wait?: string) => ({ answer: { status: 503, headers: new Headers(wait === undefined ? {} : { 'retry-after': wait }) } })
    const tries = outbound.tries(policy({ retries: 2 }), tried)!
    expect([tries.after(failed()), tries.after(failed('9')), tries.after(failed())]).toEqual([500, 10_000, undefined])
    tries.end()
    expect(outbound.tries(policy({ retries: 3 }), tried)!.after(failed('11'))).toBeUndefined()
    const late = outbound.tries(policy({ retries: 3 }), tried)!
    time.advance(30_000)
    expect(late.after(failed())).toBeUndefined()
  })
})
