import { describe, expect, it } from 'vitest'
import { EgressError, PipelineError, SallyportError } from '@sallyport/core'
import type { FallbackCause, ModelTarget } from '../db/index.ts'
import { causeOf, causeOfStatus, inOrder, walk } from './fallback.ts'
import type { Outcome, Turn } from './fallback.ts'

const target = (provider: string, more: Partial<ModelTarget> = {}): ModelTarget => ({
  provider,
  model: 'm',
  keyName: 'default',
  weight: 1,
  firstByteTimeoutMs: null,
  ...more,
})
const ALL: readonly FallbackCause[] = ['rate_limited', 'server_error', 'timeout', 'circuit_open']
const SERVED = { served: true } as const
const answered = (cause: FallbackCause, answer: string): Outcome<string> => ({ served: false, cause, answer })
const refused = (code: string, cause: Extract<Outcome<string>, { error: unknown }>['cause']): Outcome<string> => ({
  served: false,
  cause,
  error: new SallyportError(code, code),
})

interface Script {
  readonly outcomes: readonly (Outcome<string> | Error)[]
  readonly fallbackOn?: readonly FallbackCause[]
  readonly deadlineMs?: number
  /** How long each takes. */
  readonly eachMs?: number
  readonly targets?: readonly ModelTarget[]
}

async function walked({ outcomes, fallbackOn = ALL, deadlineMs = 1_000, eachMs = 0, targets }: Script) {
  const turns: Turn[] = []
  let now = 0
  const result = await walk<string>({
    targets: targets ?? outcomes.map((_, at) => target(`p${at}`)),
    fallbackOn: new Set(fallbackOn),
    deadlineMs,
    now: () => now,
    ask: async (turn) => {
      turns.push(turn)
      now += eachMs
      const outcome = outcomes[turns.length - 1]!
      if (outcome instanceof Error) throw outcome
      return outcome
    },
  }).catch((error: unknown) => error)
  return { result, asked: turns.map(({ target: { provider } }) => provider), turns }
}

describe('the walk over the targets of a route', () => {
  it.each(ALL)('goes on after %s, and asks nobody once one answers', async (cause) => {
    const { result, asked, turns } = await walked({ outcomes: [answered(cause, 'no'), SERVED, SERVED] })
    expect([result, asked]).toEqual([SERVED, ['p0', 'p1']])
    // What was not asked is no attempt.
    expect(turns.map(({ attempt, isLast }) => [attempt, isLast])).toEqual([
      [1, false],
      [cause === 'circuit_open' ? 1 : 2, false],
    ])
  })

  it.each(ALL)('ends at %s where the route does not go on after it', async (cause) => {
    const fallbackOn = ALL.filter((one) => one !== cause)
    const { result, asked } = await walked({ outcomes: [refused('it', cause), SERVED], fallbackOn })
    expect([result, asked]).toEqual([expect.objectContaining({ code: 'it' }), ['p0']])
  })

  it.each(['no_key', 'unsayable'] as const)('passes a target over for %s, whatever the route says', async (cause) => {
    const { result, asked, turns } = await walked({ outcomes: [refused('it', cause), SERVED], fallbackOn: [] })
    expect([result, asked, turns[1]!.attempt]).toEqual([SERVED, ['p0', 'p1'], 1])
  })

  it('gives the last answer that came when nobody does better', async () => {
    const outcomes = [answered('rate_limited', 'first'), answered('server_error', 'second'), refused('gone', 'timeout')]
    expect((await walked({ outcomes })).result).toEqual({ served: false, attempts: 3, answer: 'second' })
  })

  it.each([
    ['a failure before a missing key', [refused('failed', 'server_error'), refused('keyless', 'no_key')], 'failed'],
    ['an open circuit before a missing key', [refused('keyless', 'no_key'), refused('open', 'circuit_open')], 'open'],
    ['the later of two failures', [refused('one', 'timeout'), refused('two', 'server_error')], 'two'],
    ['a missing key when there was nothing else', [refused('keyless', 'no_key'), refused('keyless too', 'no_key')], 'keyless too'],
  ])('without any answer throws %s', async (_what, outcomes, code) => {
    expect((await walked({ outcomes })).result).toMatchObject({ code })
  })

  it('throws what ends a call for good, and asks nobody else', async () => {
    const { result, asked } = await walked({ outcomes: [new SallyportError('client_gone', 'gone'), SERVED] })
    expect([result, asked]).toEqual([expect.objectContaining({ code: 'client_gone' }), ['p0']])
  })

  it('asks nobody when the time is over, and gives each no more than is left', async () => {
    const outcomes = [refused('slow', 'timeout'), refused('slow', 'timeout'), SERVED]
    const { result, turns } = await walked({ outcomes, deadlineMs: 100, eachMs: 60 })
    expect(result).toMatchObject({ code: 'upstream_timeout' })
    expect(turns.map(({ withinMs }) => withinMs)).toEqual([100, 40])
    const own = [target('a', { firstByteTimeoutMs: 10 }), target('b', { firstByteTimeoutMs: 5_000 })]
    expect((await walked({ outcomes, targets: own, eachMs: 10 })).turns.map(({ withinMs }) => withinMs)).toEqual([10, 990])
  })
})

describe('the order of targets', () => {
  const route = {
    strategy: 'weighted',
    targets: [target('a', { weight: 6 }), target('b', { weight: 3 }), target('c', { weight: 1 })],
  } as const

  it('is as written, or drawn: each is there once, and first as often as its weight says', () => {
    expect(inOrder({ ...route, strategy: 'ordered' }, () => 0.99)).toEqual(route.targets)
    const first: Record<string, number> = {}
    const second: Record<string, number> = {}
    // Every draw there is, evenly: what a generator of random numbers gives in the long run, without the waiting.
    const steps = 1_000
    for (let draw = 0; draw < steps; draw++) {
      const draws = [(draw + 0.5) / steps, 0.5, 0.5]
      const drawn = inOrder(route, () => draws.shift()!).map(({ provider }) => provider)
      expect(drawn.toSorted()).toEqual(['a', 'b', 'c'])
      first[drawn[0]!] = (first[drawn[0]!] ?? 0) + 1
      second[drawn[1]!] = (second[drawn[1]!] ?? 0) + 1
    }
    expect(first).toEqual({ a: 600, b: 300, c: 100 })
    // After `a`, `b` has three quarters of what is left.
    expect(second).toEqual({ b: 600, a: 400 })
  })

  it('holds at both ends of what a draw may be', () => {
    expect(inOrder(route, () => 0).map(({ provider }) => provider)).toEqual(['a', 'b', 'c'])
    expect(inOrder(route, () => 1 - Number.EPSILON).map(({ provider }) => provider)).toEqual(['c', 'b', 'a'])
  })
})

describe('the cause of a failure', () => {
  it.each([
    [new EgressError('upstream_timeout', 'headers', true), 'timeout'],
    [new EgressError('upstream_unreachable', 'ECONNREFUSED'), 'server_error'],
    [new EgressError('upstream_reset', 'ECONNRESET', true), 'server_error'],
    [new PipelineError('circuit_open'), 'circuit_open'],
    [new SallyportError('overloaded', 'no place'), 'circuit_open'],
    [new SallyportError('provider_key_required', 'none'), 'no_key'],
    [new EgressError('client_gone', 'connection'), undefined],
    [new EgressError('request_too_large', 'length'), undefined],
    [new SallyportError('audit_unavailable', 'no log'), undefined],
    [new Error('ours'), undefined],
  ])('%s is %s', (error, cause) => expect(causeOf(error)).toBe(cause))

  it('of an answer is its status, when another target may do better', () => {
    expect([200, 400, 401, 404, 408, 429, 500, 503, 529].map(causeOfStatus)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
      'rate_limited',
      'server_error',
      'server_error',
      'server_error',
    ])
  })
})
