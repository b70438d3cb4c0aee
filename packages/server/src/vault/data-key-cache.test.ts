import { describe, expect, it } from 'vitest'
import { generateKeyBytes, ManualClock, newId, sealingKey } from '@sallyport/core'
import type { OrgId, SealingKey } from '@sallyport/core'
import { DataKeyCache } from './data-key-cache.ts'

const clock = new ManualClock()
const makeKey = (): SealingKey => sealingKey(newId('dk'), generateKeyBytes())
const makeCache = () => new DataKeyCache(clock, 3, 1_000)
const put = (cache: DataKeyCache, org: OrgId, key: SealingKey, current = true): void => cache.keep(cache.mark(), org, key, { current })

describe('DataKeyCache', () => {
  it('gives a key to its own organization alone, and for its age alone', () => {
    const cache = makeCache()
    const [org, key] = [newId('org'), makeKey()]
    put(cache, org, key)
    expect([cache.get(org, key.id), cache.current(org)]).toEqual([key, key])
    expect([cache.get(newId('org'), key.id), cache.current(newId('org')), cache.get(org, newId('dk'))]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    clock.advance(999)
    expect(cache.get(org, key.id)).toBe(key)
    clock.advance(1)
    expect([cache.get(org, key.id), cache.current(org)]).toEqual([undefined, undefined])
  })

  it('seals under the current key only, and opens with every one', () => {
    const cache = makeCache()
    const [org, current, previous] = [newId('org'), makeKey(), makeKey()]
    put(cache, org, current)
    put(cache, org, previous, false)
    expect([cache.current(org), cache.get(org, previous.id)]).toEqual([current, previous])
  })

  // The risk: a key read just before its row was destroyed would live on in memory for its whole age.
  it('keeps nothing that was read before a change that has been heard', () => {
    for (const change of ['unknown', { table: 'data_key', org: newId('org'), id: newId('dk') }] as const) {
      const cache = makeCache()
      const [org, key] = [newId('org'), makeKey()]
      const mark = cache.mark()
      cache.forget(change)
      cache.keep(mark, org, key, { current: true })
      expect(cache.get(org, key.id)).toBeUndefined()
    }
  })

  it('forgets what a change names: one organization, or all when that is unknown', () => {
    const cache = makeCache()
    const [a, b, key] = [newId('org'), newId('org'), makeKey()]
    put(cache, a, key)
    put(cache, b, key)
    cache.forget({ table: 'connection', org: a, id: newId('conn') })
    expect(cache.get(a, key.id)).toBe(key)
    cache.forget({ table: 'data_key', org: a, id: newId('dk') })
    expect([cache.get(a, key.id), cache.get(b, key.id)]).toEqual([undefined, key])
    cache.forget('unknown')
    expect(cache.get(b, key.id)).toBeUndefined()
  })

  it('holds no more organizations than it may; the longest held goes first', () => {
    const cache = makeCache()
    const orgs = Array.from({ length: 5 }, () => newId('org'))
    const key = makeKey()
    for (const org of orgs) put(cache, org, key)
    expect(orgs.map((org) => cache.get(org, key.id) !== undefined)).toEqual([false, false, true, true, true])
  })
})
