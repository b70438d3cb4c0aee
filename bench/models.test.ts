import { describe, expect, it } from 'vitest'
import { faultsOfModels, MODEL_TARGETS, tableOfModels } from './models.ts'
import type { ModelFigures, ModelsReport, ModelTarget } from './models.ts'

const ofAll = <Figure>(make: (target: ModelTarget) => Figure) =>
  Object.fromEntries(MODEL_TARGETS.map((target) => [target, make(target)])) as Record<ModelTarget, Figure>

const COST: Readonly<Record<ModelTarget, number>> = { direct: 0, bare: 50, gateway: 200, portkey: 500 }
const calls = ofAll((target): ModelFigures => ({
  perSecond: [100_000 / (COST[target] + 10), 90_000 / (COST[target] + 10)],
  cpuUs: target === 'direct' ? [] : [COST[target], COST[target]],
}))

const report: ModelsReport = {
  load: [0.5, 1.25],
  pinned: true,
  calls: { answer: calls, stream: calls },
  firstByteUs: ofAll((target) => [COST[target] + 100, COST[target] + 120]),
  streams: 500,
  open: { bare: { rssBytes: 51_200, heldBytes: 20_480 }, gateway: { rssBytes: 61_440, heldBytes: 30_720 } },
  translationUs: { anthropic: 3.14, gemini: 4.2 },
  errors: {},
}

describe('the figures of model traffic', () => {
  it('stand beside the provider itself, beside the least that Node can do, and beside Portkey', () => {
    const table = tableOfModels(report)
    expect(table).toMatch(/gateway +\d+\/s, to bare [\d.]+ \[.*\] +200 us of CPU, to bare 0\.25 \[0\.25-0\.25\]/u)
    expect(table).toMatch(/portkey .* 500 us of CPU, to bare 0\.10/u)
    expect(table).toMatch(/gateway +310 us, over bare 150 \[150-150\]/u)
    expect(table).toMatch(/gateway +60\.0 KB resident, 30\.0 KB in use/u)
    expect(table).toContain('anthropic 3.1 us, gemini 4.2 us')
    expect(table).not.toContain('WRONG')
  })

  it('name what went wrong, and count it', () => {
    const wrong = { ...report, errors: { 'gateway: status 503': 2, 'portkey: no answer': 1 } }
    expect(faultsOfModels(wrong)).toBe(3)
    expect(tableOfModels(wrong)).toContain('WRONG  2 x gateway: status 503')
  })
})
