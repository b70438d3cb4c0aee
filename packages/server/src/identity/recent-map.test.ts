import { describe, expect, it } from 'vitest'
import { RecentMap } from './recent-map.ts'

describe('RecentMap', () => {
  it('never holds more than its size, and lets what was put longest ago go', () => {
    const map = new RecentMap<number, string>(3)
    for (let i = 0; i < 100; i++) map.put(i, String(i))
    expect([map.size, map.get(96), map.get(97), map.get(99)]).toEqual([3, undefined, '97', '99'])
  })

  it('makes a key that is put again the newest', () => {
    const map = new RecentMap<string, number>(2)
    map.put('a', 1)
    map.put('b', 2)
    map.put('a', 3)
    map.put('c', 4)
    expect([map.get('a'), map.get('b'), map.get('c')]).toEqual([3, undefined, 4])
  })

  it('deletes by value and refuses to be without room', () => {
    const map = new RecentMap<string, number>(9)
    for (const [key, value] of [
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ] as const)
      map.put(key, value)
    map.deleteWhere((value) => value % 2 === 1)
    expect([map.has('a'), map.has('b'), map.size]).toEqual([false, true, 1])
    expect(() => new RecentMap(0)).toThrow(RangeError)
  })
})
