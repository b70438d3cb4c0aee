import { createPriceBook, ManualClock, newId, noMetrics } from '@sallyport/core'
import { describe, expect, it, vi } from 'vitest'
import type { UseLog } from '../audit/index.ts'
import type { Reservation } from './budgets.ts'
import type { MeteredCall } from './metering.ts'
import { createUsageMeter } from './meter.ts'

const PRICES = createPriceBook([
  {
    currency: 'USD',
    prices: [
      { provider: 'openai', model: 'm-1', upto: 1_000, input: '1', output: '2' },
      { provider: 'openai', model: 'm-1', upto: 1_000, tier: 'priority', input: '3', output: '6' },
      { provider: 'openai', model: 'm-2', input: '10', output: '20' },
    ],
  },
])
const PRINCIPAL = {
  kind: 'key',
  keyId: newId('key'),
  org: newId('org'),
  project: newId('proj'),
  environment: 'live',
  scopes: new Set<never>(),
  connection: null,
  auditUseMode: 'strict',
  bounds: null,
} as const

/** A call for which 100 tokens of input and 100 of output are set aside. */
function begun(maxOutputTokens: number | undefined = 100, answers?: number, over: Partial<MeteredCall> = {}) {
  const settle = vi.fn<Reservation['settle']>(() => [])
  const reserve = vi.fn<() => Reservation>(() => ({ settle }))
  const usage = vi.fn<UseLog['usage']>()
  const meter = createUsageMeter({
    prices: PRICES,
    budgets: { bounds: () => true, reserve, written: () => undefined },
    useLog: { usage },
    clock: new ManualClock(),
    metrics: noMetrics,
    node: 'node-1',
  })
  const metering = meter.begin({
    principal: PRINCIPAL,
    request: newId('req'),
    method: 'POST',
    provider: { id: 'openai', dialect: 'openai' },
    path: '/v1/chat/completions',
    route: null,
    endUser: null,
    model: 'm-1',
    maxOutputTokens: answers === undefined ? maxOutputTokens : undefined,
    answers,
    bodyBytes: 300,
    ...over,
  })
  if (metering instanceof Promise) throw new TypeError('nothing was to be waited for')
  const became = () => ({ taken: settle.mock.lastCall, cost: usage.mock.lastCall?.[0].row.costNano })
  return { metering, became, reserve, row: () => usage.mock.lastCall![0].row }
}

/** What a call ended in that was answered. */
function ended(answer: object, status = 200) {
  const { metering, became } = begun()
  metering.answered(status, { 'content-type': 'application/json' })
  metering.chunk(Buffer.from(JSON.stringify(answer)))
  metering.end({})
  return became()
}

const said = (over: object = {}, input = 10) => ({
  model: 'm-1',
  usage: { prompt_tokens: input, completion_tokens: 5, total_tokens: input + 5 },
  ...over,
})

describe('what budgets take for a call', () => {
  it('is what it cost, where that is known', () => {
    expect(ended(said())).toEqual({ taken: [20_000], cost: 20_000 })
    expect(ended(said({ service_tier: 'priority' }))).toEqual({ taken: [60_000], cost: 60_000 })
    expect(ended(said({ model: 'm-2' }))).toEqual({ taken: [200_000], cost: 200_000 })
  })

  it('is nothing for one that failed', () => {
    expect(ended({ error: { message: 'no' } }, 400)).toEqual({ taken: [undefined], cost: null })
  })

  it.each(['client_gone', 'upstream_timeout'])('is what was set aside, when it was given up before its answer (%s)', (error) => {
    const { metering, became } = begun()
    metering.end({ error })
    // Its row says what the request cost to read: what was written until then, nobody hears of.
    expect(became()).toEqual({ taken: [300_000], cost: 75_000 })
  })

  it.each([
    ['says nothing of its use', 'A.', {}, { taken: [300_000], cost: 77_000 }],
    ['says nothing, and wrote more than it should', 'A'.repeat(2_000), {}, { taken: [1_075_000], cost: 1_075_000 }],
    ['is cut', 'A.', { aborted: 'client_gone' }, { taken: [300_000], cost: 77_000 }],
  ])('is what was set aside, or the estimate where that is more, for a stream that %s', (_what, content, end, taken) => {
    const { metering, became, row } = begun()
    metering.answered(200, { 'content-type': 'text/event-stream' })
    metering.chunk(Buffer.from(`data: ${JSON.stringify({ model: 'm-1', choices: [{ index: 0, delta: { content } }] })}\n\n`))
    metering.end(end)
    expect(became()).toEqual(taken)
    expect(row().source).toBe('estimated')
  })

  it('is not known beforehand of what is worked on later, and is taken for what it may cost', () => {
    const { metering, became, reserve } = begun(100, undefined, { path: '/v1/responses', background: true })
    expect(reserve).toHaveBeenCalledWith(PRINCIPAL, undefined)
    metering.answered(200, { 'content-type': 'application/json' })
    metering.chunk(Buffer.from(JSON.stringify({ model: 'm-1', status: 'queued', usage: null })))
    metering.end({})
    expect(became()).toEqual({ taken: [300_000], cost: 275_000 })
  })

  it('is not known beforehand of a body that was not understood, though the path names a model', () => {
    const named = { provider: { id: 'openai', dialect: 'gemini' }, path: '/v1beta/models/m-1:generateContent', model: undefined } as const
    expect(begun(undefined, 1, named).reserve).not.toHaveBeenCalledWith(PRINCIPAL, undefined)
    expect(begun(undefined, 1, { ...named, opaque: true }).reserve).toHaveBeenCalledWith(PRINCIPAL, undefined)
  })

  it.each(['/v1/batches', '/v1/messages/batches', '/v1beta/models/m-1:batchGenerateContent', '/v1/videos', '/v1/fine_tuning/jobs'])(
    'is not known beforehand of what has no tokens of its own: %s',
    (path) => {
      expect(begun(100, undefined, { path }).reserve).toHaveBeenCalledWith(PRINCIPAL, undefined)
    },
  )

  it('is what a stream says of its use, as soon as it did, also where it is cut behind that', () => {
    const { metering, became } = begun()
    metering.answered(200, { 'content-type': 'text/event-stream' })
    metering.chunk(Buffer.from(`data: ${JSON.stringify({ ...said(), choices: [] })}\n\n`))
    metering.end({ aborted: 'client_gone' })
    expect(became()).toEqual({ taken: [20_000], cost: 20_000 })
  })

  it('is no more than can be stored, however much a caller lets be written', () => {
    const { metering, reserve, row } = begun(Number.MAX_SAFE_INTEGER ** 2)
    metering.answered(200, { 'content-type': 'application/json' })
    metering.chunk(Buffer.from('{}'))
    metering.end({})
    expect(reserve).toHaveBeenCalledWith(PRINCIPAL, 2_000_000_100_000)
    expect(row()).toMatchObject({ outputTokens: 1_000_000_000, source: 'estimated' })
  })

  it.each([
    [1, 8_292_000],
    [8, 65_636_000],
    [Number.MAX_SAFE_INTEGER, 2_000_000_100_000],
  ])('is set aside for each of its answers, where nothing bounds them (%i)', (answers, nano) => {
    expect(begun(undefined, answers).reserve).toHaveBeenCalledWith(PRINCIPAL, nano)
  })

  it('is nothing for one that never left, or of which nobody knows whether it arrived', () => {
    const [unsent, lost] = [begun(), begun()]
    unsent.metering.end({ error: 'client_gone', unsent: true })
    lost.metering.end({ error: 'upstream_reset' })
    expect([unsent.became(), lost.became()]).toEqual([
      { taken: [undefined], cost: undefined },
      { taken: [undefined], cost: null },
    ])
  })

  it('is what it would have cost at the standard level, where its own has no known price', () => {
    expect(ended(said({ service_tier: 'scale' }))).toEqual({ taken: [20_000], cost: null })
    expect(ended(said({ model: 'm-2', service_tier: 'priority' }))).toEqual({ taken: [200_000], cost: null })
  })

  it('is what the model that was asked for costs, where the one that answered has no known price', () => {
    expect(ended(said({ model: 'm-1-preview' }))).toEqual({ taken: [20_000], cost: null })
  })

  it('is what was set aside, where even that is not known', () => {
    expect(ended(said({}, 1_001))).toEqual({ taken: [300_000], cost: null })
  })
})
