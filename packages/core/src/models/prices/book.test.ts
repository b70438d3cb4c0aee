import { describe, expect, it } from 'vitest'
import { createPriceBook, readPriceBook } from './book.ts'
import { HELD_PRICES } from './held.ts'
import { nanoOf, usdOf } from './money.ts'
import type { PriceBookInput } from './schema.ts'

const NONE = { cached: 0, written: 0, writtenLong: 0 }
const tokens = (input: number | null, output: number | null, more: Partial<typeof NONE> = {}) => ({ ...NONE, input, output, ...more })
const call = (model: string, provider = 'openai', tier?: string) => ({ provider, model, tier })
const book = (...prices: PriceBookInput['prices']): PriceBookInput => ({ currency: 'USD', prices })

describe('the cost of a call', () => {
  const held = createPriceBook([HELD_PRICES])

  it('is each part at its price, in whole nano-dollars, rounded up', () => {
    // 1,000,000 tokens each.
    expect(held.cost(call('gpt-4.1'), tokens(1e6, 1e6))).toBe(10e9)
    expect(held.cost(call('gpt-4.1'), tokens(1e6, 0, { cached: 1e6 }))).toBe(0.5e9)
    expect(held.cost(call('claude-3-5-haiku', 'anthropic'), tokens(3e6, 0, { cached: 1e6, written: 2e6, writtenLong: 1e6 }))).toBe(2.68e9)
    // A tenth of a token's hundred nano-dollars: 37.5 are 38.
    expect(createPriceBook([book({ provider: 'a', model: 'm', input: '0.0375' })]).cost(call('m', 'a'), tokens(1, 0))).toBe(38)
  })

  it('does not depend on the order or the number of sums', () => {
    const each = Array.from({ length: 1_000 }, () => held.cost(call('gpt-4o-mini'), tokens(100, 10))!)
    expect(each.reduce((sum, one) => sum + one, 0)).toBe(1_000 * 21_000)
  })

  it('is unknown, never zero, for a model, a part, a length or a service level without a price', () => {
    expect(held.cost(call('some-model'), tokens(1, 1))).toBeUndefined()
    expect(held.cost(call('gpt-4.1', 'azure-openai'), tokens(1, 1))).toBeUndefined()
    expect(held.cost(call('gpt-5-pro'), tokens(10, 1, { cached: 5 }))).toBeUndefined()
    expect(held.cost(call('text-embedding-3-small'), tokens(10, 1))).toBeUndefined()
    expect(held.cost(call('gpt-5.5'), tokens(272_001, 1))).toBeUndefined()
    expect(held.cost(call('gpt-4.1', 'openai', 'flex'), tokens(1, 1))).toBeUndefined()
    expect(held.cost(call('gpt-4.1'), tokens(null, 1))).toBeUndefined()
    expect(held.cost(call('gpt-4.1'), tokens(1, null))).toBeUndefined()
  })

  it('goes by the whole prompt where a long one costs more for all of it', () => {
    expect(held.cost(call('grok-4.3', 'xai'), tokens(199_999, 0))).toBe(199_999 * 1250)
    expect(held.cost(call('grok-4.3', 'xai'), tokens(200_000, 0))).toBe(200_000 * 2500)
    expect(held.cost(call('claude-haiku-5-5', 'anthropic'), tokens(100_001, 1, { cached: 100_000 }))).toBe(500 + 100_000 * 50 + 2500)
    expect(held.cost(call('gpt-6.2-sol'), tokens(272_001, 1, { written: 272_001 }))).toBe(272_001 * 5000 + 15_000)
  })

  it('knows what a faster answer costs, and one that has to stay in the US', () => {
    const cost = (model: string, tier?: string) =>
      held.cost(call(model, 'anthropic', tier), tokens(3e6, 1e6, { cached: 1e6, written: 1e6, writtenLong: 1e6 }))
    expect(cost('claude-opus-5-5')).toBe(32.2e9)
    expect(cost('claude-opus-5-5', 'us')).toBe(35.42e9)
    expect(cost('claude-opus-5-5', 'fast')).toBe(64.4e9)
    expect(cost('claude-opus-5-5', 'fast_us')).toBe(70.84e9)
    expect(held.cost(call('claude-haiku-5-5', 'anthropic', 'us'), tokens(1, 0, { cached: 1 }))).toBe(11)
    expect(cost('claude-sonnet-5-5', 'fast')).toBeUndefined()
    expect(cost('claude-opus-4-5', 'us')).toBeUndefined()
  })

  it("is that of a model's dated versions too, and of no other name that begins the same", () => {
    for (const name of ['gpt-4.1', 'gpt-4.1-2025-04-14']) expect(held.family('openai', name)).toBe('gpt-4.1')
    expect(held.family('anthropic', 'claude-sonnet-4-20250514')).toBe('claude-sonnet-4')
    for (const name of ['gpt-4.1-ultra', 'gpt-4o-audio-preview', 'gpt-4.12']) expect(held.family('openai', name)).toBeUndefined()
  })

  it('goes by the entry that says most of a call', () => {
    const both = createPriceBook([
      book(
        { provider: 'a', model: 'm*', input: '1' },
        { provider: 'a', model: 'm-big', input: '2' },
        { provider: 'a', model: 'm-big', input: '3', above: 100 },
        { provider: 'a', model: 'm-big', input: '9', tier: 'priority' },
      ),
    ])
    expect(both.cost(call('m-other', 'a'), tokens(1e6, 0))).toBe(1e9)
    expect(both.cost(call('m-big', 'a'), tokens(100, 0))).toBe(200_000)
    expect(both.cost(call('m-big', 'a'), tokens(101, 0))).toBe(303_000)
    expect(both.cost(call('m-big', 'a', 'priority'), tokens(100, 0))).toBe(900_000)
  })

  it("is the operator's where an operator's book says one", () => {
    const mine = createPriceBook([HELD_PRICES, book({ provider: 'openai', model: 'gpt-4.1', input: '1', output: '1' })])
    expect(mine.cost(call('gpt-4.1'), tokens(1e6, 1e6))).toBe(2e9)
    expect(mine.cost(call('gpt-4.1-mini'), tokens(1e6, 0))).toBe(0.4e9)
    // It says nothing of cached input.
    expect(mine.cost(call('gpt-4.1'), tokens(10, 0, { cached: 1 }))).toBeUndefined()
  })
})

describe('a price of some days', () => {
  const price = { provider: 'a', model: 'm' }
  const prices = [
    { ...price, input: '1', until: '2026-12-31' },
    { ...price, input: '2', from: '2027-01-01', until: '2027-03-31' },
    { ...price, input: '3', from: '2027-06-01' },
    { ...price, input: '4', from: '2028-01-01' },
  ]
  const at = (day: string) => createPriceBook([book(...prices)], { now: () => Date.parse(day) }).cost(call('m', 'a'), tokens(1e6, 0))

  it.each([
    ['2020-01-01T00:00:00Z', 1e9],
    ['2026-12-31T23:59:59.999Z', 1e9],
    ['2027-01-01T00:00:00Z', 2e9],
    ['2027-03-31T23:59:59Z', 2e9],
    ['2027-04-01T00:00:00Z', undefined],
    ['2027-06-01T00:00:00Z', 3e9],
    ['2028-01-01T00:00:00Z', 4e9],
  ])('holds from its first to its last, in UTC, and not beside: %s', (day, cost) => {
    expect(at(day)).toBe(cost)
  })

  it('is not one that ends before it begins', () => {
    expect(() => readPriceBook(book({ ...price, input: '1', from: '2027-01-02', until: '2027-01-01' }))).toThrow('must not lie before from')
  })

  it('lets what comes with the gateway change when its vendors said that it would', () => {
    const flash = (day: string) =>
      createPriceBook([HELD_PRICES], { now: () => Date.parse(day) }).cost(call('gemini-3.8-flash', 'gemini'), tokens(1e6, 0))
    expect([flash('2026-12-31'), flash('2027-01-01')]).toEqual([0.75e9, 1.5e9])
  })
})

describe('a price book', () => {
  it.each([
    ['money that is no decimal text', { provider: 'a', model: 'm', input: 2.5 as unknown as string }],
    ['more places than there are', { provider: 'a', model: 'm', input: '0.1234567' }],
    ['a star in the middle', { provider: 'a', model: 'm*n', input: '1' }],
    ['a member that it does not know', { provider: 'a', model: 'm', input: '1', discount: '1' } as never],
  ])('refuses %s', (_what, price) => {
    expect(() => readPriceBook(book(price))).toThrow()
  })

  it('refuses two prices for one thing', () => {
    const price = { provider: 'a', model: 'm', input: '1' }
    expect(() => readPriceBook(book(price, price))).toThrow('stands at prices/0 already')
  })

  it('of the gateway names the page and the day for each provider in it', () => {
    const providers = new Set(HELD_PRICES.prices.map(({ provider }) => provider))
    expect(new Set(HELD_PRICES.held!.map(({ provider }) => provider))).toEqual(providers)
  })
})

describe('money as text', () => {
  it.each([
    [0, '0'],
    [1, '0.000000001'],
    [1_500_000_000, '1.5'],
    [20_000_000_000, '20'],
  ])('is the same both ways: %i', (nano, usd) => {
    expect(usdOf(nano)).toBe(usd)
    expect(nanoOf(usd)).toBe(nano)
  })

  it.each(['', '-1', '1e3', '1.0000000001', '12345678', ' 1', '.5'])('refuses %j', (text) => {
    expect(nanoOf(text)).toBeUndefined()
  })
})
