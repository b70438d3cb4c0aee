import { describe, expect, it } from 'vitest'
import { pairedDifference, pairedRatio, quantile, rotated, spread } from './statistics.ts'

describe('quantile', () => {
  it('lies between neighbours in proportion', () => {
    expect(quantile([10, 20, 30, 40], 0.5)).toBe(25)
    expect(quantile([10, 20, 30, 40], 0)).toBe(10)
    expect(quantile([10, 20, 30, 40], 1)).toBe(40)
    expect(quantile([0, 100], 0.99)).toBeCloseTo(99, 9)
    expect(quantile([7], 0.9)).toBe(7)
  })

  it('refuses an empty sample and a share outside 0 to 1', () => {
    expect(() => quantile([], 0.5)).toThrow(RangeError)
    expect(() => quantile([1], 1.1)).toThrow(RangeError)
    expect(() => quantile([1], Number.NaN)).toThrow(RangeError)
  })
})

describe('spread', () => {
  it('gives the median and both ends of samples in any order, and changes them not', () => {
    const values = [5, 1, 9]
    expect(spread(values)).toEqual({ median: 5, low: 1, high: 9, samples: 3 })
    expect(values).toEqual([5, 1, 9])
  })

  it('refuses what is no finite number instead of spreading it', () => {
    expect(() => spread([1, Number.NaN])).toThrow(RangeError)
    expect(() => spread([1, Infinity])).toThrow(RangeError)
    expect(() => spread([])).toThrow(RangeError)
  })
})

describe('paired rounds', () => {
  it('compares each value with its own round, so that a slow round cancels out', () => {
    // The third round ran at half speed: the ratio of the medians would say 0.8 of a different round.
    expect(pairedRatio([80, 88, 40], [100, 110, 50])).toEqual({ median: 0.8, low: 0.8, high: 0.8, samples: 3 })
    expect(pairedDifference([12, 22], [10, 20])).toEqual({ median: 2, low: 2, high: 2, samples: 2 })
  })

  it('refuses rounds that do not pair and a base of 0', () => {
    expect(() => pairedRatio([1], [1, 2])).toThrow(RangeError)
    expect(() => pairedRatio([1], [0])).toThrow(RangeError)
  })

  it('lets every target begin a round once', () => {
    const items = ['a', 'b', 'c']
    expect(items.map((_item, round) => rotated(items, round)[0])).toEqual(['a', 'b', 'c'])
    expect(rotated(items, 4)).toEqual(['b', 'c', 'a'])
    expect(rotated([], 2)).toEqual([])
  })
})
