import { trace } from '@opentelemetry/api'
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'
import type { SpanProcessor } from '@opentelemetry/sdk-trace-base'
import { afterEach, describe, expect, it } from 'vitest'
import { openTelemetry } from './open-telemetry.ts'

const nothing = { forceFlush: () => Promise.resolve(), shutdown: () => Promise.resolve() }
const broken = (): never => {
  throw new Error('the processor is broken')
}

afterEach(() => trace.disable())

describe('a span of a provider that fails', () => {
  it.each<[string, SpanProcessor]>([
    ['as it begins', { ...nothing, onStart: broken, onEnd: () => undefined }],
    ['as it ends', { ...nothing, onStart: () => undefined, onEnd: broken }],
  ])('N15 takes nothing from the work %s: what it gives, or how it fails', async (_when, processor) => {
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [processor] }))
    const traces = await openTelemetry('test', '1')
    let runs = 0
    const given = await traces.within({ name: 'work' }, async (span) => {
      span.set({ outcome: 'tokens' })
      span.fail('refused')
      runs++
      return 'tokens'
    })
    expect([given, runs]).toEqual(['tokens', 1])
    const failure = new Error('of the work')
    await expect(traces.within({ name: 'work' }, () => Promise.reject(failure))).rejects.toBe(failure)
  })
})
