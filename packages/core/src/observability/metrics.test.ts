import { describe, expect, it } from 'vitest'
import { MetricsRegistry, noMetrics } from './metrics.ts'
import type { MetricDefinition } from './metrics.ts'

const definitions: readonly MetricDefinition[] = [
  { name: 'calls_total', kind: 'counter', help: 'Calls.', labels: { provider: 'open', result: ['ok', 'failed'] } },
  { name: 'open_streams', kind: 'gauge', help: 'Streams\nnow \\ open.', labels: {} },
  { name: 'call_duration_seconds', kind: 'histogram', help: 'Time.', labels: { result: ['ok'] }, buckets: [0.1, 1] },
]

const linesOf = (registry: MetricsRegistry, name: string) =>
  registry
    .render()
    .split('\n')
    .filter((line) => line.startsWith(name))

describe('MetricsRegistry', () => {
  it('counts each combination of labels by itself, in whatever order and turns they come', () => {
    const registry = new MetricsRegistry(definitions)
    const providers = Array.from({ length: 12 }, (_, n) => `p${n}`)
    for (const _time of [1, 2, 3])
      for (const provider of providers) {
        registry.count('calls_total', { provider, result: 'ok' })
        registry.count('calls_total', { result: 'failed', provider }, 2)
      }
    const counted = providers.flatMap((name) => [
      `calls_total{provider="${name}",result="ok"} 3`,
      `calls_total{provider="${name}",result="failed"} 6`,
    ])
    expect(linesOf(registry, 'calls_total')).toEqual(counted)
    expect(() => registry.count('calls_total', { provider: 'p0', outcome: 'ok' })).toThrow(TypeError)
    expect(() => registry.count('calls_total', { provider: 'p0', result: 'ok', more: 'x' })).toThrow(TypeError)
    expect(() => registry.count('calls_total', { provider: 'p0' })).toThrow(TypeError)
  })

  it('S59 prints counters, gauges and histograms in the Prometheus text format', () => {
    const registry = new MetricsRegistry(definitions)
    registry.count('calls_total', { provider: 'github', result: 'ok' })
    registry.count('calls_total', { result: 'ok', provider: 'github' }, 2)
    registry.gauge('open_streams', {}, 5)
    registry.gauge('open_streams', {}, 3)
    for (const seconds of [0.05, 0.1, 0.5, 7]) registry.observe('call_duration_seconds', { result: 'ok' }, seconds)
    expect(registry.render()).toBe(
      [
        '# HELP calls_total Calls.',
        '# TYPE calls_total counter',
        'calls_total{provider="github",result="ok"} 3',
        '# HELP open_streams Streams\\nnow \\\\ open.',
        '# TYPE open_streams gauge',
        'open_streams 3',
        '# HELP call_duration_seconds Time.',
        '# TYPE call_duration_seconds histogram',
        'call_duration_seconds_bucket{result="ok",le="0.1"} 2',
        'call_duration_seconds_bucket{result="ok",le="1"} 3',
        'call_duration_seconds_bucket{result="ok",le="+Inf"} 4',
        'call_duration_seconds_sum{result="ok"} 7.65',
        'call_duration_seconds_count{result="ok"} 4',
        '',
      ].join('\n'),
    )
  })

  it('L-06 stops at its number of series under 10,000 tenants, losing no count', () => {
    const registry = new MetricsRegistry(definitions, 50)
    for (let i = 0; i < 10_000; i++) registry.count('calls_total', { provider: `tenant-${i}`, result: 'ok' })
    const series = linesOf(registry, 'calls_total{')
    expect(series).toHaveLength(50)
    expect(series.at(-1)).toBe('calls_total{provider="overflow",result="overflow"} 9951')
    expect(series.reduce((sum, line) => sum + Number(line.split(' ')[1]), 0)).toBe(10_000)
  })

  it('keeps counting a known series after the limit', () => {
    const registry = new MetricsRegistry(definitions, 2)
    for (const provider of ['github', 'google', 'github']) registry.count('calls_total', { provider, result: 'ok' })
    expect(linesOf(registry, 'calls_total{')[0]).toBe('calls_total{provider="github",result="ok"} 2')
  })

  it('L-06 prints no URL, header or text outside a name, and no value that was not declared', () => {
    const registry = new MetricsRegistry(definitions)
    for (const provider of ['https://api.example/?token=x', 'a"} 1\nforged 2', 'Bearer abc', '', 'x'.repeat(49), 'ключ']) {
      registry.count('calls_total', { provider, result: 'anything' })
    }
    expect(linesOf(registry, 'calls_total{')).toEqual(['calls_total{provider="other",result="other"} 6'])
  })

  it('L-06 judges a label no less when the series is known: a text that another one hides in, a value that is none, a label too many', () => {
    const registry = new MetricsRegistry(definitions)
    for (let i = 0; i < 3; i++) registry.count('calls_total', { provider: 'github', result: 'ok' })
    registry.count('calls_total', { provider: 'github\nok', result: '' })
    registry.count('calls_total', { provider: 'github', result: 'ok\n' })
    expect(() => registry.count('calls_total', { provider: 'github', result: 'ok', more: 'x' })).toThrow(TypeError)
    expect(() => registry.count('calls_total', { provider: 'github' })).toThrow(TypeError)
    expect(linesOf(registry, 'calls_total').toSorted()).toEqual([
      'calls_total{provider="github",result="ok"} 3',
      'calls_total{provider="github",result="other"} 1',
      'calls_total{provider="other",result="other"} 1',
    ])
  })

  it('refuses what was not declared', () => {
    const registry = new MetricsRegistry(definitions)
    expect(() => registry.count('unknown_total', {})).toThrow(TypeError)
    expect(() => registry.gauge('calls_total', { provider: 'a', result: 'ok' }, 1)).toThrow(TypeError)
    expect(() => registry.count('calls_total', { provider: 'a' })).toThrow(TypeError)
    expect(() => registry.count('calls_total', { provider: 'a', result: 'ok', user: 'u1' })).toThrow(TypeError)
    expect(() => registry.count('calls_total', { provider: 'a', user: 'u1' })).toThrow(TypeError)
  })

  it('refuses numbers that would spoil a series for good', () => {
    const registry = new MetricsRegistry(definitions)
    for (const n of [-1, Number.NaN]) {
      expect(() => registry.count('calls_total', { provider: 'a', result: 'ok' }, n)).toThrow(RangeError)
      expect(() => registry.observe('call_duration_seconds', { result: 'ok' }, n)).toThrow(RangeError)
    }
  })

  it('refuses declarations that Prometheus would not read', () => {
    const one: MetricDefinition = { name: 'a_total', kind: 'counter', help: '', labels: {} }
    expect(() => new MetricsRegistry([one, one])).toThrow(TypeError)
    expect(() => new MetricsRegistry([{ ...one, name: 'A total' }])).toThrow(TypeError)
    expect(() => new MetricsRegistry([{ ...one, labels: { 'a-b': 'open' } }])).toThrow(TypeError)
    expect(() => new MetricsRegistry([{ ...one, kind: 'histogram', buckets: [1, 1] }])).toThrow(TypeError)
  })

  it('has a stand-in that counts nothing', () => {
    expect([noMetrics.count('x', {}), noMetrics.observe('x', {}, 1), noMetrics.gauge('x', {}, 1)]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })
})
