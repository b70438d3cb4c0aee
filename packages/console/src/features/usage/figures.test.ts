import { describe, expect, it } from 'vitest'
import { callWords, costWords, dollars, filled, sourceWords, statusWords } from './figures.ts'

describe('money', () => {
  it.each([
    ['0', '$0.00'],
    ['0.0036', '$0.0036'],
    ['0.0000000004', '< $0.000001'],
    ['1.239', '$1.24'],
    ['12345.6', '$12,345.60'],
  ])('%s is said as %s', (usd, words) => {
    expect(dollars(usd)).toBe(words)
  })

  it('is never zero where no price is known', () => {
    expect(costWords({ calls: 3, cost_usd: '0', unpriced_calls: 3 })).toBe('no price')
    expect(costWords({ calls: 4, cost_usd: '0', unpriced_calls: 3 })).toBe('no price for 3 of 4 calls')
    expect(costWords({ calls: 4, cost_usd: '1.5', unpriced_calls: 3 })).toBe('$1.50, and no price for 3 of 4 calls')
    expect(costWords({ calls: 4, cost_usd: '1.5', unpriced_calls: 0 })).toBe('$1.50')
    expect(costWords({ calls: 4, cost_usd: '0', unpriced_calls: 0 })).toBe('$0.00')
  })
})

it('says how tokens are known', () => {
  expect(sourceWords({ calls: 4, estimated_calls: 0 })).toBe('measured')
  expect(sourceWords({ calls: 4, estimated_calls: 1 })).toBe('1 of 4 estimated')
  expect(sourceWords({ calls: 4, estimated_calls: 4 })).toBe('estimated')
})

describe('one call', () => {
  const used = { source: 'measured', input_tokens: 1_200, output_tokens: 30, cost_usd: '0.0036' } as const

  it('is said with its tokens, its cost and how they are known', () => {
    expect(callWords(used)).toBe('1,200 read, 30 written, $0.0036')
    expect(callWords({ ...used, source: 'estimated' })).toBe('1,200 read, 30 written, $0.0036, estimated')
    expect(callWords({ ...used, cost_usd: null })).toBe('1,200 read, 30 written, no price')
    expect(callWords({ source: null, input_tokens: null, output_tokens: null, cost_usd: null })).toBe('use not known')
  })

  it('says how it ended without a whole answer', () => {
    expect(statusWords({ status: 429, error: null })).toBe('429')
    expect(statusWords({ status: 0, error: 'upstream_timeout' })).toBe('no answer, upstream_timeout')
  })
})

describe('the bar of a budget', () => {
  it('is filled by what is spent, and beyond it by what is held', () => {
    expect(filled({ amount_usd: '10', spent_usd: '2.5', held_usd: '1' })).toEqual({ spent: 25, held: 10 })
  })

  it('is full when more is spent than it allows, and when it allows nothing', () => {
    expect(filled({ amount_usd: '10', spent_usd: '11', held_usd: '1' })).toEqual({ spent: 100, held: 0 })
    expect(filled({ amount_usd: '10', spent_usd: '9.5', held_usd: '1' })).toEqual({ spent: 95, held: 5 })
    expect(filled({ amount_usd: '0', spent_usd: '0', held_usd: '0' })).toEqual({ spent: 100, held: 0 })
  })
})
