import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ManualClock } from '../kernel/index.ts'
import { CallLimit } from './limits.ts'
import type { ProviderLimits } from './limits.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const ignore = (): void => undefined

function limit(limits: ProviderLimits): {
  readonly own: CallLimit
  readonly pass: (ms: number) => Promise<unknown>
  readonly sizes: number[]
} {
  const clock = new ManualClock()
  const sizes: number[] = []
  const own = new CallLimit(limits, clock, (size) => sizes.push(size))
  const pass = (ms: number): Promise<unknown> => {
    clock.advance(ms)
    return vi.advanceTimersByTimeAsync(ms)
  }
  return { own, pass, sizes }
}

/** Enters `n` times; gives how many are in. */
function entering(own: CallLimit, n: number): { readonly inside: (() => void)[] } {
  const inside: (() => void)[] = []
  for (let i = 0; i < n; i++) void own.enter().then((leave) => inside.push(leave), ignore)
  return { inside }
}

describe('the limits of a provider', () => {
  it('let as many calls run at a time as they say, in the order they came', async () => {
    const { own, pass, sizes } = limit({ concurrency: 2 })
    const { inside } = entering(own, 5)
    await pass(0)
    expect(inside).toHaveLength(2)
    expect(sizes.at(-1)).toBe(3)
    inside[0]!()
    inside[0]!()
    await pass(0)
    expect(inside).toHaveLength(3)
  })

  it('let as many calls begin in a second as they say', async () => {
    const { own, pass } = limit({ qps: 4 })
    const { inside } = entering(own, 10)
    await pass(0)
    expect(inside).toHaveLength(4)
    await pass(250)
    expect(inside).toHaveLength(5)
    for (let i = 0; i < 4; i++) await pass(250)
    expect(inside).toHaveLength(9)
  })

  it('let less than one a second begin, too', async () => {
    const { own, pass } = limit({ qps: 0.5 })
    const { inside } = entering(own, 2)
    await pass(0)
    expect(inside).toHaveLength(1)
    await pass(2000)
    expect(inside).toHaveLength(2)
  })

  it('forget a caller that has gone, whose place goes to the next', async () => {
    const { own, pass, sizes } = limit({ concurrency: 1 })
    const { inside } = entering(own, 1)
    await pass(0)
    const gone = new AbortController()
    const waiting = own.enter(gone.signal)
    const next = entering(own, 1)
    gone.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    expect(sizes.at(-1)).toBe(1)
    inside[0]!()
    await pass(0)
    expect(next.inside).toHaveLength(1)
  })

  it('refuse a queue without end', async () => {
    const { own } = limit({ concurrency: 1 })
    entering(own, 10_001)
    await expect(own.enter()).rejects.toMatchObject({ code: 'overloaded' })
  })
})
