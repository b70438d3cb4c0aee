import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ManualClock, Secret } from '../kernel/index.ts'
import { createLogger } from './logger.ts'

const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`loggable.prop seed ${seed}`)

const canary = 'QXZJKVWWVKJZXQ'
const anything = fc.anything({
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withObjectString: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
  withUnicodeString: true,
  maxDepth: 4,
})

describe('logger', () => {
  it('I-12 turns anything into one JSON line that keeps the record honest, and never throws', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), anything), fc.string({ unit: 'binary' }), (fields, message) => {
        const lines: string[] = []
        createLogger({ level: 'info', format: 'json', clock: new ManualClock(), write: (line) => lines.push(line) }).info(message, fields)
        expect(lines).toHaveLength(1)
        for (const raw of ['\n', '\r', '\u2028', '\u2029', '\u001b', '\u009b']) expect(lines[0]).not.toContain(raw)
        expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'info', message, time: '2026-01-01T00:00:00.000Z' })
      }),
      { seed, numRuns: 500 },
    )
  })

  it('L-03 lets no secret out wherever it sits', () => {
    const holding = fc.letrec((tie) => ({
      node: fc.oneof({ maxDepth: 6, withCrossShrink: true }, tie('leaf'), tie('list'), tie('record')),
      leaf: fc.constantFrom(
        new Secret(canary),
        Buffer.from(canary),
        new Map([[canary, canary]]),
        new Error(canary),
        new URL(`https://x/?${canary}`),
      ),
      list: fc.array(tie('node'), { maxLength: 4 }),
      record: fc.dictionary(fc.string(), tie('node'), { maxKeys: 4 }),
    })).node
    fc.assert(
      fc.property(holding, (value) => {
        const lines: string[] = []
        createLogger({ level: 'debug', format: 'json', write: (line) => lines.push(line) }).debug('m', { value })
        expect(lines.join()).not.toContain(canary)
      }),
      { seed },
    )
  })
})
