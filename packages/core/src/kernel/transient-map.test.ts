import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { TransientMap, TransientSet } from './transient-map.ts'

/** V8's own, which takes whether to collect the young generation alone. */
function collector(): (how?: { type: 'minor' }) => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as (how?: { type: 'minor' }) => void
}

function oldBytes(): number {
  return getHeapSpaceStatistics().reduce(
    (sum, { space_name, space_used_size }) => (space_name.startsWith('old_') ? sum + space_used_size : sum),
    0,
  )
}

const ENTRIES = 20_000
const UNDER_WAY = 10
const ENTRY_WORDS = 128

/** Bytes that became old while entries of a kilobyte passed through, of which ten were ever there. */
function trailOf(map: Pick<Map<number, unknown>, 'delete'> & { set: (key: number, value: unknown) => unknown }): number {
  const collect = collector()
  for (let n = -UNDER_WAY; n < 0; n++) map.set(n, n)
  collect()
  collect()
  const before = oldBytes()
  for (let n = 0; n < ENTRIES; n++) {
    map.set(
      n,
      Array.from({ length: ENTRY_WORDS }, () => n),
    )
    map.delete(n - UNDER_WAY)
    if (n % 500 === 499) collect({ type: 'minor' })
  }
  return oldBytes() - before
}

describe('a transient map', () => {
  it('leaves no trail of what it held, where a Map does', () => {
    const passed = ENTRIES * ENTRY_WORDS * 8
    expect(trailOf(new Map())).toBeGreaterThan(passed / 10)
    expect(trailOf(new TransientMap())).toBeLessThan(passed / 20)
  })

  it('holds what a Map holds, in its order, through every change', () => {
    const map = new TransientMap<number, string>()
    const truth = new Map<number, string>()
    for (let n = 0; n < 2_000; n++) {
      const key = (n * 7919) % 301
      if (n % 3 === 2) expect(map.delete(key)).toBe(truth.delete(key))
      else {
        map.set(key, `v${n}`)
        truth.set(key, `v${n}`)
      }
      expect(map.get(key)).toBe(truth.get(key))
      expect(map.has(key)).toBe(truth.has(key))
      expect(map.size).toBe(truth.size)
    }
    expect([...map]).toEqual([...truth])
    expect([...map.values()]).toEqual([...truth.values()])
    map.clear()
    expect([...map]).toEqual([])
  })

  it('may be emptied while somebody walks over it', () => {
    const set = new TransientSet<number>()
    for (let n = 0; n < 1_000; n++) set.add(n)
    const met: number[] = []
    for (const n of set) {
      met.push(n)
      set.delete(n)
    }
    expect(met).toHaveLength(1_000)
    expect(set.size).toBe(0)
  })
})
