import { describe, expect, it } from 'vitest'
import { ManualClock, newId } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { DatabaseError, PLAIN_CALLS } from '../db/index.ts'
import type { ProxyTarget } from '../db/index.ts'
import { createTargetCache } from './target-cache.ts'
import type { TargetWanted } from './target-cache.ts'

const MAX_AGE_MS = 10_000
const MAX_AGE_AWAY_MS = 30_000

function stage({ maxEntries = 100, patienceMs = 600_000 } = {}) {
  const clock = new ManualClock()
  const reads: TargetWanted[] = []
  const answers: ((target: ProxyTarget | Promise<never>) => void)[] = []
  const cache = createTargetCache({
    clock,
    maxAgeMs: MAX_AGE_MS,
    maxAgeAwayMs: MAX_AGE_AWAY_MS,
    patienceMs,
    maxEntries,
    read: (wanted) => {
      reads.push(wanted)
      return new Promise((resolve) => answers.push(resolve))
    },
  })
  const load = async (wanted: TargetWanted, target = found()): Promise<ProxyTarget> => {
    const loading = cache.load(wanted)
    answers.shift()!(target)
    return loading
  }
  return { cache, clock, reads, answers, load }
}

function found(): ProxyTarget {
  const connection = { id: newId('conn'), status: 'active', trouble: null, retryAt: null, generation: 1, credential: null } as const
  return { now: new Date(), integration: { id: newId('int'), provider: 'github', policy: PLAIN_CALLS }, connections: [connection] }
}

const wantedOf = (org: OrgId = newId('org')): TargetWanted => ({
  org,
  project: newId('proj'),
  environment: 'test',
  integration: 'github',
  selector: { connection: newId('conn'), endUser: undefined },
})

describe('what the data plane remembers of connections', () => {
  it('S55 is given without a read until its age, and read again afterwards', async () => {
    const { cache, clock, load } = stage()
    const wanted = wantedOf()
    const target = await load(wanted)
    clock.advance(MAX_AGE_MS - 1)
    expect(cache.peek(wanted)).toBe(target)
    clock.advance(1)
    expect(cache.peek(wanted)).toBeUndefined()
  })

  it('is of one organization, project, environment, integration and selector alone', async () => {
    const { cache, load } = stage()
    const wanted = wantedOf()
    await load(wanted)
    const user = 'user ' + String(wanted.selector.connection)
    const others: TargetWanted[] = [
      { ...wanted, org: newId('org') },
      { ...wanted, project: newId('proj') },
      { ...wanted, environment: 'live' },
      { ...wanted, integration: 'google' },
      { ...wanted, selector: { connection: newId('conn'), endUser: undefined } },
      { ...wanted, selector: { connection: undefined, endUser: user } },
      { ...wanted, selector: { connection: undefined, endUser: String(wanted.selector.connection) } },
    ]
    for (const other of others) expect(cache.peek(other)).toBeUndefined()
  })

  it('is dropped on any change of what it is made of, and with everything when changes were missed', async () => {
    const { cache, load } = stage()
    const [ours, theirs] = [wantedOf(), wantedOf()]
    await load(theirs)
    for (const table of ['integration', 'data_key'] as const) {
      await load(ours)
      cache.drop({ table, org: ours.org, id: newId('int') })
      expect([cache.peek(ours), cache.peek(theirs) === undefined]).toEqual([undefined, false])
    }
    cache.drop('unknown')
    expect(cache.peek(theirs)).toBeUndefined()
  })

  // The risk: a connection whose refreshes fail costs its whole organization every cached row, again and again.
  it('is dropped on a change of its connection, and when its user may have another one now, and not on those of others', async () => {
    const { cache, load } = stage()
    const [wanted, other] = [wantedOf(), wantedOf()]
    const neighbour = { ...other, org: wanted.org }
    const ofUser = { ...wanted, selector: { connection: undefined, endUser: 'user user x' } }
    const id = wanted.selector.connection!
    for (const one of [wanted, neighbour, ofUser]) await load(one)
    cache.drop({ table: 'connection', org: wanted.org, id })
    expect([wanted, ofUser, neighbour].map((one) => cache.peek(one) !== undefined)).toEqual([false, false, true])
    await load(wanted)
    cache.drop({ table: 'connection', org: newId('org'), id })
    expect(cache.peek(wanted)).toBeDefined()
  })

  // The risk: a read that began before a revocation is kept after it, and shows the old state for ten seconds.
  it('never keeps what was read before a change and arrives after it', async () => {
    const { cache, answers } = stage()
    const wanted = wantedOf()
    const loading = cache.load(wanted)
    cache.drop({ table: 'connection', org: wanted.org, id: newId('conn') })
    answers.shift()!(found())
    await loading
    expect(cache.peek(wanted)).toBeUndefined()
  })

  it('asks once however many ask at the same time, and anew for those who ask after a change', async () => {
    const { cache, reads, answers } = stage()
    const wanted = wantedOf()
    const before = [cache.load(wanted), cache.load(wanted), cache.load(wanted)]
    cache.drop('unknown')
    const after = cache.load(wanted)
    expect(reads).toHaveLength(2)
    const [old, fresh] = [found(), found()]
    answers.shift()!(old)
    answers.shift()!(fresh)
    expect(new Set(await Promise.all(before))).toEqual(new Set([old]))
    expect(await after).toBe(fresh)
    expect(cache.peek(wanted)).toBe(fresh)
  })

  describe('while the database is away', () => {
    const away = (): Promise<never> => Promise.reject(new DatabaseError('database_unavailable', 'no connection'))

    it('F-11 goes on up to 30 s, counted from its own reading, and not beyond', async () => {
      const { cache, clock, answers, load } = stage()
      const wanted = wantedOf()
      const target = await load(wanted)
      for (const age of [MAX_AGE_MS, MAX_AGE_AWAY_MS - 1]) {
        clock.advance(age - clock.monotonic())
        const loading = cache.load(wanted)
        answers.shift()!(away())
        expect(await loading).toBe(target)
      }
      clock.advance(1)
      const late = cache.load(wanted)
      answers.shift()!(away())
      await expect(late).rejects.toMatchObject({ code: 'database_unavailable' })
    })

    it('F-11 is given without waiting for a database that says nothing, also to those who come later', async () => {
      const { cache, clock, answers, reads, load } = stage({ patienceMs: 1 })
      const wanted = wantedOf()
      const target = await load(wanted)
      clock.advance(MAX_AGE_MS)
      expect(await cache.load(wanted)).toBe(target)
      clock.advance(5_000)
      expect(await cache.load(wanted)).toBe(target)
      // One question is enough, and its answer still counts.
      expect(reads).toHaveLength(2)
      const fresh = found()
      answers.shift()!(fresh)
      await expect.poll(() => cache.peek(wanted)).toBe(fresh)
    })

    // The risk: a revoked connection goes on because the database that says so can't be asked.
    it('K-04 is not given any more once word of a change came, whatever the database says', async () => {
      const { cache, clock, answers, load } = stage({ patienceMs: 0 })
      const wanted = wantedOf()
      await load(wanted)
      clock.advance(MAX_AGE_MS)
      const before = cache.load(wanted)
      cache.drop({ table: 'connection', org: wanted.org, id: wanted.selector.connection! })
      const after = cache.load(wanted)
      for (const answer of answers.splice(0)) answer(away())
      await expect(before).rejects.toMatchObject({ code: 'database_unavailable' })
      await expect(after).rejects.toMatchObject({ code: 'database_unavailable' })
    })

    it('stands in for no other failure', async () => {
      const { cache, clock, answers, load } = stage()
      const wanted = wantedOf()
      await load(wanted)
      clock.advance(MAX_AGE_MS)
      const loading = cache.load(wanted)
      answers.shift()!(Promise.reject(new DatabaseError('database_query_failed', 'a mistake of ours')))
      await expect(loading).rejects.toMatchObject({ code: 'database_query_failed' })
    })
  })

  it('keeps no failure, no absence, and no more entries than it may', async () => {
    const { cache, load } = stage({ maxEntries: 3 })
    const absent = wantedOf()
    await load(absent, { now: undefined, integration: undefined, connections: [] })
    expect(cache.peek(absent)).toBeUndefined()
    const failing = createTargetCache({
      clock: new ManualClock(),
      maxAgeMs: 1,
      maxAgeAwayMs: 1,
      patienceMs: 0,
      maxEntries: 1,
      read: () => Promise.reject(new Error('away')),
    })
    await expect(failing.load(absent)).rejects.toThrow('away')
    await expect(failing.load(absent)).rejects.toThrow('away')
    const many = Array.from({ length: 10 }, () => wantedOf())
    for (const wanted of many) await load(wanted)
    expect(many.filter((wanted) => cache.peek(wanted) !== undefined).length).toBeLessThanOrEqual(3)
    expect(cache.peek(many.at(-1)!)).toBeDefined()
  })
})
