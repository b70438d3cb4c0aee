import { describe, expect, it } from 'vitest'
import { createPriceBook, HELD_PRICES, ManualClock, MetricsRegistry, newId } from '@sallyport/core'
import { METRICS } from '../metrics/index.ts'
import { createUsageMeter } from './meter.ts'
import { createModelNames } from './model-names.ts'

describe('how models are called in metrics', () => {
  it('L-06 N8 is as the price book calls them, and by their own names while there are few', () => {
    const names = createModelNames(createPriceBook([HELD_PRICES]))
    expect(names.of('openai', 'gpt-4.1-2025-04-14')).toBe('gpt-4.1')
    expect(names.of('openai', null)).toBe('unknown')
    expect(names.of('openai', 'ft:gpt-4.1:acme::x')).toMatch(/^[0-9A-Za-z._-]+$/u)
    const made = new Set(Array.from({ length: 10_000 }, (_, n) => names.of('openai', `model-${n}`)))
    expect(made.size).toBeLessThanOrEqual(101)
    expect(made).toContain('other')
    // What was known before has its name still.
    expect(names.of('openai', 'model-0')).toBe('model-0')
  })

  it('L-06 N8 bounds what model calls of 10,000 tenants, end users and models are counted by, and names none of these', () => {
    const metrics = new MetricsRegistry(METRICS)
    const meter = createUsageMeter({
      prices: createPriceBook([HELD_PRICES]),
      budgets: { bounds: () => false, reserve: () => ({ settle: () => [] }), written: () => undefined },
      useLog: { usage: () => undefined },
      clock: new ManualClock(),
      metrics,
      node: 'node-1',
    })
    const seen: string[] = []
    for (let n = 0; n < 10_000; n++) {
      const [org, project, keyId] = [newId('org'), newId('proj'), newId('key')]
      if (n < 200) seen.push(org, project, keyId, `end-user-${n}`)
      const principal = { kind: 'key', keyId, org, project, environment: 'live', scopes: new Set<never>(), connection: null } as const
      const metering = meter.begin({
        principal: { ...principal, auditUseMode: 'batched', bounds: null },
        request: newId('req'),
        method: 'POST',
        provider: { id: 'openai', dialect: 'openai' },
        path: '/v1/chat/completions',
        route: `route-${n}`,
        endUser: `end-user-${n}`,
        model: `model-${n}`,
        maxOutputTokens: 10,
        bodyBytes: 300,
      })
      if (metering instanceof Promise) throw new TypeError('nothing was to be waited for')
      metering.answered(n % 3 === 0 ? 500 : 200, { 'content-type': 'application/json' })
      metering.chunk(Buffer.from(`{"model":"model-${n}","usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}`))
      metering.end({})
    }
    const text = metrics.render()
    const series = text.split('\n').filter((line) => line.startsWith('sallyport_model_'))
    expect(series.length).toBeGreaterThan(100)
    // By model: answered and refused; input and output; cost. And the histogram of one provider.
    expect(series.length).toBeLessThan(101 * 5 + 20)
    for (const name of [...seen, 'route-']) expect(text).not.toContain(name)
  })
})
