/** The refresher over the store in memory, in a time of its own: see test/refresh/fleet.ts. */
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { ANSWERS, createFleet, gate, MemorySpill, NEVER_HEARS, ref, SWALLOWS } from '../../test/refresh/fleet.ts'
import type { Fleet, FleetNode } from '../../test/refresh/fleet.ts'
import { Secret } from '../kernel/index.ts'
import { leaseKey } from '../tokens/index.ts'
import { RefreshError } from './errors.ts'
import type { FreshOptions } from './refresher.ts'

const MINUTE = 60_000
const STRICT = { kind: 'strict' } as const
const GRACE = { kind: 'grace', seconds: 60 } as const

async function access(fleet: Fleet, node: FleetNode, options?: FreshOptions): Promise<string> {
  return (await fleet.time.until(node.refresher.fresh(ref, options))).tokens.accessToken.reveal()
}

async function failure(fleet: Fleet, node: FleetNode, options?: FreshOptions): Promise<RefreshError> {
  const error: unknown = await fleet.time.until(node.refresher.fresh(ref, options)).then(
    () => new Error('tokens were given'),
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof RefreshError)) throw error as Error
  return error
}

const shown = ({ issuer }: Fleet): string[] => issuer.calls.map(({ token }) => token)

describe('a caller', () => {
  it('S23 gets a fresh token with one read and nothing else', async () => {
    const fleet = createFleet()
    await fleet.connect({ livesMs: 60 * MINUTE })
    const node = fleet.node()
    for (const method of ['begin', 'siblings', 'interrupted'] as const) node.away.add(method)
    expect(await access(fleet, node)).toBe('access-0')
    expect(fleet.issuer.calls).toEqual([])
  })

  it('S32 gets a renewed token when less than five minutes are left', async () => {
    const fleet = createFleet()
    await fleet.connect({ livesMs: 60 * MINUTE })
    const node = fleet.node()
    await fleet.time.pass(54 * MINUTE)
    expect(await access(fleet, node)).toBe('access-0')
    await fleet.time.pass(2 * MINUTE)
    expect(await access(fleet, node)).toBe('access-1')
  })

  it('S32 does not refresh on every call when tokens live shorter than the buffer', async () => {
    const fleet = createFleet()
    fleet.issuer.livesMs = 2 * MINUTE
    await fleet.connect()
    const node = fleet.node()
    for (let i = 0; i < 5; i++) await access(fleet, node)
    expect(fleet.issuer.calls).toHaveLength(1)
  })

  it.each([1 / 24, 1, 90])('F-01 is served after %s days of disuse', async (days) => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect({ livesMs: 60 * MINUTE })
    await fleet.time.pass(days * 24 * 60 * MINUTE)
    expect(await access(fleet, fleet.node())).toBe('access-1')
  })

  it.each([-60, -10, 10, 60])('F-23 S32 is served alike with a wall clock that is %s minutes off', async (minutes) => {
    const fleet = createFleet()
    await fleet.connect({ livesMs: 60 * MINUTE })
    const node = fleet.node({ clockOffMs: minutes * MINUTE })
    expect(await access(fleet, node)).toBe('access-0')
    await fleet.time.pass(56 * MINUTE)
    expect(await access(fleet, node)).toBe('access-1')
    expect((await fleet.store.read(ref))!.head.tokens.expiresAt).toBe(fleet.time.clock.now() + 60 * MINUTE)
  })

  it('with a usable token waits as long as its patience, and the refresh goes on', async () => {
    const fleet = createFleet()
    await fleet.connect({ livesMs: 60 * MINUTE })
    await fleet.time.pass(57 * MINUTE)
    fleet.issuer.next.push({ ...ANSWERS, latencyMs: 5_000 })
    const node = fleet.node()
    const before = fleet.time.clock.monotonic()
    const given = await fleet.time.until(node.refresher.fresh(ref))
    expect([given.tokens.accessToken.reveal(), given.stale]).toEqual(['access-0', true])
    expect(fleet.time.clock.monotonic() - before).toBe(1_000)
    await fleet.time.pass(5_000)
    expect((await fleet.store.read(ref))!.head.tokens.accessToken.reveal()).toBe('access-1')
  })

  it('whose patience ends without a usable token is told to come back', async () => {
    const fleet = createFleet()
    await fleet.connect()
    fleet.issuer.next.push({ ...ANSWERS, latencyMs: 5_000 })
    expect(await failure(fleet, fleet.node(), { patienceMs: 100 })).toMatchObject({ code: 'refresh_pending', retryAfterMs: 1_000 })
  })

  it('whose token has died waits for 25 seconds, and no longer', async () => {
    const fleet = createFleet()
    await fleet.connect()
    const node = fleet.node({ checkpoint: async (point) => void (point === 'call_answered' && (await fleet.time.pause(MINUTE))) })
    const before = fleet.time.clock.monotonic()
    expect(await failure(fleet, node)).toMatchObject({ code: 'refresh_pending' })
    expect(fleet.time.clock.monotonic() - before).toBe(25_000)
  })

  it('F-28 that goes away ends its wait and not the refresh', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    fleet.issuer.next.push({ ...ANSWERS, latencyMs: 3_000 })
    const [node, caller] = [fleet.node(), new AbortController()]
    const given = node.refresher.fresh(ref, { signal: caller.signal })
    const gone = expect(given).rejects.toThrow('gone away')
    await fleet.time.pass(1_000)
    caller.abort(new Error('gone away'))
    await gone
    await fleet.time.pass(5_000)
    expect((await fleet.store.read(ref))!.head.tokens.refreshToken?.reveal()).toBe('refresh-1')
  })

  it('learns that a credential does not exist', async () => {
    const fleet = createFleet()
    expect(await failure(fleet, fleet.node())).toMatchObject({ code: 'credential_absent' })
  })

  it('whose token died with nothing to renew it is told to connect again, once and for all', async () => {
    const fleet = createFleet()
    await fleet.connect({ refreshToken: null })
    const node = fleet.node()
    expect(await failure(fleet, node)).toMatchObject({ code: 'reconnect_required', trouble: 'no_refresh_token' })
    expect(await failure(fleet, node)).toMatchObject({ code: 'reconnect_required', trouble: 'no_refresh_token' })
    expect(node.events.map(({ kind }) => kind)).toEqual(['ended'])
  })
})

describe('a forced refresh', () => {
  it('renews a token that looks fresh, once for all callers that saw it refused', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect({ livesMs: 60 * MINUTE })
    await fleet.time.pass(MINUTE)
    const node = fleet.node()
    const force = { afterSeq: (await fleet.store.read(ref))!.head.seq }
    await fleet.time.until(Promise.all(Array.from({ length: 20 }, () => node.refresher.fresh(ref, { force }))))
    expect(await access(fleet, node, { force })).toBe('access-1')
    expect(fleet.issuer.calls).toHaveLength(1)
  })

  it('does not renew a token again that was only just renewed', async () => {
    const fleet = createFleet()
    await fleet.connect()
    const node = fleet.node()
    const { seq } = await fleet.time.until(node.refresher.fresh(ref))
    expect(await access(fleet, node, { force: { afterSeq: seq } })).toBe('access-1')
    await fleet.time.pass(31_000)
    expect(await access(fleet, node, { force: { afterSeq: seq } })).toBe('access-2')
  })

  it('does not serve the refused token when the refresh fails', async () => {
    const fleet = createFleet()
    await fleet.connect({ livesMs: 60 * MINUTE })
    await fleet.time.pass(MINUTE)
    fleet.issuer.next.push({ commits: false, says: { kind: 'limited', retryAfterMs: 9_000 } })
    const { seq } = (await fleet.store.read(ref))!.head
    expect(await failure(fleet, fleet.node(), { force: { afterSeq: seq } })).toMatchObject({ code: 'provider_rate_limited' })
  })

  it('that joins a flight begun for others is served a later version all the same', async () => {
    const fleet = createFleet()
    await fleet.connect({ livesMs: 60 * MINUTE })
    await fleet.time.pass(MINUTE)
    const paused = gate()
    const node = fleet.node({ checkpoint: async (point) => void (point === 'begun' && (paused.reach(), await paused.opened)) })
    const { seq } = (await fleet.store.read(ref))!.head
    const both = [node.refresher.refreshNow(ref), node.refresher.fresh(ref, { force: { afterSeq: seq } })]
    await fleet.time.until(paused.reached)
    paused.open()
    expect((await fleet.time.until(Promise.all(both))).map((given) => given.seq > seq)).toEqual([true, true])
  })

  it('by hand is made during a pause that spares the provider, but not while the provider said to wait', async () => {
    const fleet = createFleet()
    await fleet.connect()
    const node = fleet.node()
    fleet.issuer.next.push({ commits: false, says: { kind: 'misconfigured', providerError: 'invalid_client' } })
    expect(await failure(fleet, node)).toMatchObject({ code: 'client_misconfigured' })
    expect(await failure(fleet, node)).toMatchObject({ code: 'client_misconfigured' })
    expect((await fleet.time.until(node.refresher.refreshNow(ref))).tokens.accessToken.reveal()).toBe('access-1')
    fleet.issuer.next.push({ commits: false, says: { kind: 'limited', retryAfterMs: 60_000 } })
    const limited = { code: 'provider_rate_limited' }
    await expect(fleet.time.until(node.refresher.refreshNow(ref))).rejects.toMatchObject(limited)
    await expect(fleet.time.until(node.refresher.refreshNow(ref))).rejects.toMatchObject(limited)
    expect(fleet.issuer.calls).toHaveLength(3)
  })
})

describe('refreshes at once', () => {
  it('F-02 S30 make one call for a hundred callers of one process, and count those that joined', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const node = fleet.node()
    const given = await fleet.time.until(Promise.all(Array.from({ length: 100 }, () => node.refresher.fresh(ref))))
    expect(fleet.issuer.calls).toHaveLength(1)
    expect(new Set(given.map(({ tokens }) => tokens.accessToken.reveal()))).toEqual(new Set(['access-1']))
    expect(node.counted('token_refresh_dedup_local_total')).toBe(99)
    expect(node.counted('token_refresh_dedup_distributed_total')).toBe(0)
  })

  it('F-06 S29 make one call for a thousand callers over four processes, and count the processes that waited', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    fleet.issuer.next.push({ ...ANSWERS, latencyMs: 300 })
    const nodes = Array.from({ length: 4 }, () => fleet.node())
    const before = fleet.time.clock.monotonic()
    const callers = nodes.flatMap((node) => Array.from({ length: 250 }, () => node.refresher.fresh(ref)))
    const given = await fleet.time.until(Promise.all(callers))
    expect(fleet.issuer.calls).toHaveLength(1)
    expect(new Set(given.map(({ tokens }) => tokens.accessToken.reveal()))).toEqual(new Set(['access-1']))
    const sum = (metric: string): number => nodes.reduce((total, node) => total + node.counted(metric), 0)
    expect([sum('token_refresh_dedup_local_total'), sum('token_refresh_dedup_distributed_total')]).toEqual([996, 3])
    expect(fleet.time.clock.monotonic() - before).toBeLessThanOrEqual(360)
  })

  it('count nothing when nobody waited', async () => {
    const fleet = createFleet()
    await fleet.connect()
    const [one, other] = [fleet.node(), fleet.node()]
    await access(fleet, one)
    await access(fleet, other)
    for (const node of [one, other]) {
      expect(node.counted('token_refresh_dedup_local_total') + node.counted('token_refresh_dedup_distributed_total')).toBe(0)
    }
  })

  it('count no wait after which the head is the one from before', async () => {
    const fleet = createFleet()
    await fleet.connect({ livesMs: 60 * MINUTE })
    await fleet.time.pass(56 * MINUTE)
    const paused = gate()
    const busy = fleet.node({ checkpoint: async (point) => void (point === 'lease_held' && (paused.reach(), await paused.opened)) })
    void busy.refresher.fresh(ref)
    await fleet.time.until(paused.reached)
    const waiter = fleet.node()
    const given = waiter.refresher.fresh(ref)
    await fleet.time.pass(200)
    // As when the store's next host has a clock that is behind: the token has some life again.
    fleet.time.clock.step(-10 * MINUTE)
    expect((await fleet.time.until(given)).tokens.accessToken.reveal()).toBe('access-0')
    expect(waiter.counted('token_refresh_dedup_distributed_total')).toBe(0)
    await busy.kill()
  })

  it('F-03 S31 spend nothing that was spent while a process stood between reading and lease', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const paused = gate()
    const slow = fleet.node({ checkpoint: async (point) => void (point === 'lease_asked' && (paused.reach(), await paused.opened)) })
    const late = slow.refresher.fresh(ref)
    await fleet.time.until(paused.reached)
    expect(await access(fleet, fleet.node())).toBe('access-1')
    paused.open()
    expect((await fleet.time.until(late)).tokens.accessToken.reveal()).toBe('access-1')
    expect(shown(fleet)).toEqual(['refresh-0'])
  })

  it('F-05 go on with another process when the one that held the lease is killed', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const paused = gate()
    const doomed = fleet.node({ checkpoint: async (point) => void (point === 'lease_held' && (paused.reach(), await paused.opened)) })
    void doomed.refresher.fresh(ref)
    await fleet.time.until(paused.reached)
    const waiter = fleet.node()
    const given = waiter.refresher.fresh(ref)
    await fleet.time.pass(500)
    await doomed.kill()
    const before = fleet.time.clock.monotonic()
    expect((await fleet.time.until(given)).tokens.accessToken.reveal()).toBe('access-1')
    expect(fleet.time.clock.monotonic() - before).toBeLessThan(2_000)
  })

  it('F-08 F-10 are made without the hint when it fails or says nothing', async () => {
    for (const take of [() => Promise.reject(new Error('away')), () => new Promise<undefined>(() => undefined)]) {
      const fleet = createFleet({ rotation: STRICT })
      await fleet.connect()
      const node = fleet.node({ hint: { take, close: async () => undefined } })
      const before = fleet.time.clock.monotonic()
      expect(await access(fleet, node)).toBe('access-1')
      expect(fleet.time.clock.monotonic() - before).toBeLessThan(500)
    }
  })

  it('believe a hint that another process is at it for a while only', async () => {
    const fleet = createFleet()
    await fleet.connect()
    const node = fleet.node({ hint: { take: async () => undefined, close: async () => undefined } })
    const before = fleet.time.clock.monotonic()
    expect(await access(fleet, node)).toBe('access-1')
    expect(fleet.time.clock.monotonic() - before).toBeGreaterThan(2_000)
  })
})

describe('a store that goes away', () => {
  it('F-11 before the intent: nothing is spent, and a usable token is served', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect({ livesMs: 60 * MINUTE })
    await fleet.time.pass(57 * MINUTE)
    const node = fleet.node()
    node.away.add('begin')
    expect(await fleet.time.until(node.refresher.fresh(ref))).toMatchObject({ stale: true })
    await fleet.time.pass(10 * MINUTE)
    await expect(fleet.time.until(node.refresher.fresh(ref))).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(fleet.issuer.calls).toEqual([])
  })

  it('F-11 altogether: what a cache remembers is served while it can be used, and decides nothing', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect({ livesMs: 60 * MINUTE })
    const node = fleet.node({ remembers: true })
    await fleet.time.pass(54 * MINUTE)
    await access(fleet, node)
    node.away.add('all')
    await fleet.time.pass(2 * MINUTE)
    expect(await fleet.time.until(node.refresher.fresh(ref))).toMatchObject({ stale: true })
    await expect(fleet.time.until(node.refresher.refreshNow(ref))).rejects.toMatchObject({ code: 'store_unavailable' })
    await fleet.time.pass(10 * MINUTE)
    await expect(fleet.time.until(node.refresher.fresh(ref))).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(fleet.issuer.calls).toEqual([])
    node.away.clear()
    expect(await access(fleet, node)).toBe('access-1')
  })

  it('F-12 after the call: the answer is kept, spilled, served and saved when the store is back', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const node = fleet.node()
    node.away.add('save')
    expect(await fleet.time.until(node.refresher.fresh(ref))).toMatchObject({ unsaved: true })
    expect([node.refresher.unsaved, fleet.spill.kept.size, node.counted('token_refresh_unsaved')]).toEqual([1, 1, 1])
    node.away.add('all')
    expect(await access(fleet, node)).toBe('access-1')
    node.away.clear()
    expect(await fleet.time.until(node.refresher.drain(60_000))).toEqual({ underWay: 0, unsaved: 0 })
    expect([node.refresher.unsaved, fleet.spill.kept.size]).toEqual([0, 0])
    const state = (await fleet.store.read(ref))!
    expect([state.head.tokens.refreshToken?.reveal(), state.intent]).toEqual(['refresh-1', null])
    expect(shown(fleet)).toEqual(['refresh-0'])
  })

  it('F-12 and takes its process along: the next one saves what was spilled before it judges anything', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const first = fleet.node()
    first.away.add('save')
    await access(fleet, first)
    await first.kill()
    const next = fleet.node()
    await fleet.time.until(next.refresher.recover())
    expect(await access(fleet, next)).toBe('access-1')
    expect([shown(fleet), fleet.spill.kept.size]).toEqual([['refresh-0'], 0])
  })

  it('F-12 for everybody: who sees it come back does not probe ahead of who has an answer to save', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const [holder, other] = [fleet.node({ spill: new MemorySpill() }), fleet.node({ spill: new MemorySpill() })]
    holder.away.add('save')
    await access(fleet, holder)
    for (const node of [holder, other]) node.away.add('all')
    other.refresher.start()
    await fleet.time.pass(20_000)
    holder.away.delete('all')
    other.away.clear()
    await fleet.time.pass(1_500)
    holder.away.clear()
    await fleet.time.pass(10_000)
    other.refresher.close()
    expect(await access(fleet, other)).toBe('access-1')
    expect(shown(fleet)).toEqual(['refresh-0'])
  })

  it('F-12 and comes back for moments only: the window of grace is not waited out for a store that is steady', async () => {
    const fleet = createFleet({ rotation: GRACE })
    await fleet.connect()
    const first = fleet.node({ checkpoint: (point) => (point === 'call_answered' ? first.kill() : undefined) })
    void first.refresher.fresh(ref).catch(() => undefined)
    await fleet.time.pass(1_000)
    const unclear = { commits: false, says: { kind: 'unknown', why: 'reset' } } as const
    fleet.issuer.next.push(unclear, unclear, unclear, unclear)
    const prober = fleet.node()
    await fleet.time.until(prober.refresher.recover())
    expect((await fleet.store.read(ref))!.intent!.attempt).toBeGreaterThan(2)
    await prober.kill()
    const other = fleet.node()
    other.refresher.start()
    for (let breaks = 0; breaks < 10; breaks++) {
      other.away.add('all')
      await fleet.time.pass(500)
      other.away.clear()
      await fleet.time.pass(2_000)
    }
    other.refresher.close()
    expect((await fleet.store.read(ref))!.intent).toBeNull()
    expect(await access(fleet, other)).toBe('access-2')
  })

  it('and while one spilled answer can not be taken, interrupted refreshes of others are looked after', async () => {
    const fleet = createFleet({ rotation: GRACE })
    await fleet.connect()
    const first = fleet.node({ checkpoint: (point) => (point === 'call_answered' ? first.kill() : undefined) })
    void first.refresher.fresh(ref).catch(() => undefined)
    await fleet.time.pass(1_000)
    expect((await fleet.store.read(ref))?.intent?.state).toBe('calling')
    const foreign = { scope: 'another', id: 'credential' }
    await fleet.spill.put({ ref: foreign, intent: 'of another', generation: 1, parentSeq: 1n, sealed: Buffer.from('no envelope') })
    const next = fleet.node()
    next.away.add('openSpilled')
    await fleet.time.until(next.refresher.recover())
    expect((await fleet.store.read(ref))?.intent).toBeNull()
    next.away.clear()
    for (let pass = 0; pass < 3; pass++) {
      await fleet.time.pass(10_000)
      await fleet.time.until(next.refresher.recover())
    }
    expect([fleet.spill.kept.size, next.logged.filter((line) => line.includes('stays where it is')).length]).toEqual([1, 1])
  })

  it('F-12 and takes its process along: a caller is not told to wait for what lies in a spill', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const first = fleet.node()
    first.away.add('save')
    await access(fleet, first)
    await first.kill()
    expect(await access(fleet, fleet.node())).toBe('access-1')
    expect([shown(fleet), fleet.spill.kept.size]).toEqual([['refresh-0'], 0])
  })

  it('F-12 and takes its process along: what it had is kept beside what others got meanwhile', async () => {
    const fleet = createFleet({ rotation: GRACE })
    await fleet.connect()
    const spill = new MemorySpill()
    const first = fleet.node({ spill })
    first.away.add('save')
    await access(fleet, first)
    await first.kill()
    const other = fleet.node({ spill: new MemorySpill() })
    await fleet.time.until(other.refresher.recover())
    expect(await access(fleet, other)).toBe('access-2')
    await fleet.time.until(fleet.node({ spill }).refresher.recover())
    expect((await fleet.store.siblings(ref)).map(({ tokens }) => tokens.refreshToken?.reveal())).toEqual(['refresh-1', 'refresh-0'])
    expect(spill.kept.size).toBe(0)
  })

  it('F-12 and takes its process along: what it had for a grant that has ended is handed on to be revoked', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const first = fleet.node()
    first.away.add('save')
    await access(fleet, first)
    await first.kill()
    await fleet.store.end(ref, { generation: 1 }, 'revoked', 'revoked')
    await fleet.time.until(fleet.node().refresher.recover())
    expect([fleet.orphans, fleet.spill.kept.size]).toEqual([['refresh-1'], 0])
  })

  it('when it is to be told that nothing was spent: the same process needs no probe', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const node = fleet.node()
    node.away.add('withdraw')
    fleet.issuer.next.push({ commits: false, says: { kind: 'limited', retryAfterMs: 0 } })
    await expect(fleet.time.until(node.refresher.fresh(ref))).rejects.toMatchObject({ code: 'store_unavailable' })
    node.away.clear()
    await fleet.time.pass(MINUTE)
    expect(await access(fleet, node)).toBe('access-1')
  })

  it('F-12 after the call: an answer that no spill took is not asked for again by whoever has it in memory', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const spill = Object.assign(new MemorySpill(), { put: () => Promise.reject(new Error('a full disk, for a test')) })
    const node = fleet.node({ spill })
    node.away.add('save')
    await access(fleet, node)
    node.refresher.start()
    // The interrupted call would be over by now, and probed, were its answer not known.
    await fleet.time.pass(MINUTE)
    expect(shown(fleet)).toEqual(['refresh-0'])
    expect((await fleet.store.read(ref))!.failure).toBeNull()
    node.away.clear()
    expect(await fleet.time.until(node.refresher.drain(60_000))).toEqual({ underWay: 0, unsaved: 0 })
    expect((await fleet.store.read(ref))!.head.tokens.refreshToken?.reveal()).toBe('refresh-1')
  })

  it('F-26 is waited for by a drain as long as it may', async () => {
    const fleet = createFleet()
    await fleet.connect()
    const node = fleet.node()
    node.away.add('save')
    await access(fleet, node)
    expect(await fleet.time.until(node.refresher.drain(30_000))).toEqual({ underWay: 0, unsaved: 1 })
  })

  it('while an intent is written: the same process goes on without a probe, since it never called', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const node = fleet.node()
    const original = node.away
    // Written, and not acknowledged.
    const { generation, head } = (await fleet.store.read(ref))!
    original.add('begin')
    await expect(fleet.time.until(node.refresher.fresh(ref))).rejects.toMatchObject({ code: 'store_unavailable' })
    const from = { generation, headSeq: head.seq, parentSeq: head.seq, replaces: null }
    await fleet.store.begin(ref, from, { node: node.name, attempt: 1 })
    original.clear()
    expect(await access(fleet, node)).toBe('access-1')
    expect(shown(fleet)).toEqual(['refresh-0'])
  })

  it('F-26 ends with its process when a drain has given up', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const node = fleet.node()
    node.away.add('save')
    await fleet.time.until(node.refresher.fresh(ref))
    expect(await fleet.time.until(node.refresher.drain(30_000))).toEqual({ underWay: 0, unsaved: 1 })
    node.refresher.close()
    // A loop of promises alone would let no timer of the real clock fire again.
    await new Promise((resolve) => setTimeout(resolve, 1))
    await new Promise((resolve) => setImmediate(resolve))
  })

  it('F-26 a drain waits for the call under way', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    fleet.issuer.next.push({ ...ANSWERS, latencyMs: 8_000 })
    const node = fleet.node()
    const given = node.refresher.fresh(ref)
    await fleet.time.pass(100)
    expect(await fleet.time.until(node.refresher.drain(30_000))).toEqual({ underWay: 0, unsaved: 0 })
    expect((await given).tokens.refreshToken?.reveal()).toBe('refresh-1')
  })
})

describe('a process that is held up', () => {
  it('F-25 S31 between proof and call starts no call once another has the lease, and takes its intent back', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const paused = gate()
    let times = 0
    const stopped = fleet.node({
      checkpoint: async (point) => void (point === 'call_cleared' && times++ === 0 && (paused.reach(), await paused.opened)),
    })
    const late = stopped.refresher.fresh(ref, { patienceMs: 2 * MINUTE })
    await fleet.time.until(paused.reached)
    // As when its connection to the lease's keeper was ended.
    fleet.held.delete(leaseKey(ref))
    await fleet.time.pass(30_000)
    paused.open()
    expect((await fleet.time.until(late)).tokens.accessToken.reveal()).toBe('access-1')
    expect(shown(fleet)).toEqual(['refresh-0'])
    expect((await fleet.store.read(ref))!.failure).toBeNull()
  })

  it.each([
    ['intent_written', 0],
    ['call_cleared', 1_500],
  ] as const)('S31 starts no call when its lease was lost at %s, %s ms before', async (where, ms) => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const other = fleet.node()
    let times = 0
    const stopped = fleet.node({
      checkpoint: async (point) => {
        if (point !== where || times++ > 0) return
        fleet.held.delete(leaseKey(ref))
        await fleet.time.pause(ms)
        expect(await other.refresher.fresh(ref).catch((error: unknown) => error)).toBeInstanceOf(RefreshError)
      },
    })
    expect(await access(fleet, stopped, { patienceMs: MINUTE })).toBe('access-1')
    expect([shown(fleet), times]).toEqual([['refresh-0'], 2])
  })

  it('F-25 so long after its intent that others would take the call for over makes a new one', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    let times = 0
    const stopped = fleet.node({
      checkpoint: async (point) => void (point === 'intent_written' && times++ === 0 && (await fleet.time.pause(9_000))),
    })
    expect(await access(fleet, stopped)).toBe('access-1')
    expect([shown(fleet), times]).toEqual([['refresh-0'], 2])
  })

  it('F-25 and can not take its intent back goes on without a probe, since it never called', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    let times = 0
    const stopped = fleet.node({
      checkpoint: async (point) => {
        if (point !== 'intent_written' || times++ > 0) return
        stopped.away.add('withdraw')
        await fleet.time.pause(9_000)
      },
    })
    await expect(fleet.time.until(stopped.refresher.fresh(ref))).rejects.toMatchObject({ code: 'store_unavailable' })
    expect((await fleet.store.read(ref))!.intent).toMatchObject({ node: stopped.name, attempt: 1 })
    stopped.away.clear()
    const before = fleet.time.clock.monotonic()
    expect(await access(fleet, stopped)).toBe('access-1')
    expect([shown(fleet), fleet.time.clock.monotonic() - before]).toEqual([['refresh-0'], 0])
  })

  it('F-04 F-25 S31 after its call has what came back kept, as head or beside it', async () => {
    const fleet = createFleet({ rotation: GRACE })
    await fleet.connect()
    const paused = gate()
    const stopped = fleet.node({ checkpoint: async (point) => void (point === 'call_answered' && (paused.reach(), await paused.opened)) })
    const late = stopped.refresher.fresh(ref)
    await fleet.time.until(paused.reached)
    fleet.held.delete(leaseKey(ref))
    const other = fleet.node()
    await fleet.time.until(other.refresher.recover())
    expect(await access(fleet, other)).toBe('access-2')
    paused.open()
    expect((await fleet.time.until(late)).tokens.accessToken.reveal()).toBe('access-2')
    expect((await fleet.store.siblings(ref)).map(({ tokens }) => tokens.refreshToken?.reveal())).toEqual(['refresh-1', 'refresh-0'])
  })
})

describe('a refused refresh token', () => {
  it('F-15 ends the grant once: one event, one call, and everybody told why', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    fleet.issuer.revoke()
    const nodes = [fleet.node(), fleet.node()]
    for (const node of nodes) for (let i = 0; i < 3; i++) expect(await failure(fleet, node)).toMatchObject({ trouble: 'grant_expired' })
    expect(fleet.issuer.calls).toHaveLength(1)
    expect(nodes.flatMap(({ events }) => events.map(({ kind, health }) => [kind, health]))).toEqual([['ended', 'reconnect_required']])
  })

  it.each(['end', 'siblings'] as const)('is not shown again to hear it again when it can not be written (%s)', async (method) => {
    const fleet = createFleet({ rotation: GRACE })
    await fleet.connect()
    fleet.issuer.revoke()
    const node = fleet.node()
    node.away.add(method)
    await expect(fleet.time.until(node.refresher.fresh(ref))).rejects.toMatchObject({ code: 'store_unavailable' })
    node.refresher.start()
    await fleet.time.pass(2_000)
    node.away.clear()
    await fleet.time.pass(2_000)
    node.refresher.close()
    expect(await failure(fleet, fleet.node())).toMatchObject({ code: 'reconnect_required', trouble: 'grant_expired' })
    expect(fleet.issuer.calls).toHaveLength(1)
  })

  it('is written by the one who heard it when the store only stumbles', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    fleet.issuer.revoke()
    const node = fleet.node()
    node.away.add('end')
    void fleet.time.pause(400).then(() => node.away.clear())
    expect(await failure(fleet, node)).toMatchObject({ code: 'reconnect_required', trouble: 'grant_expired' })
  })

  it('shows no ancestor that was spent under strict', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const node = fleet.node()
    for (let i = 0; i < 2; i++) {
      await access(fleet, node)
      await fleet.time.pass(60 * MINUTE)
    }
    fleet.issuer.revoke()
    expect(await failure(fleet, node)).toMatchObject({ trouble: 'grant_expired' })
    expect(shown(fleet)).toEqual(['refresh-0', 'refresh-1', 'refresh-2'])
  })

  it('is shown once, however many versions hold it', async () => {
    const fleet = createFleet({ rotation: GRACE })
    await fleet.connect()
    const { generation, head } = (await fleet.store.read(ref))!
    const from = { generation, headSeq: head.seq, parentSeq: head.seq, replaces: null }
    const begun = (await fleet.store.begin(ref, from, { node: 'x', attempt: 1 }))!
    const held = (name: string) => ({ ...head.tokens, refreshToken: new Secret(name) })
    await fleet.store.save(ref, { intent: begun.intent.id, generation, parentSeq: head.seq, tokens: held('one') })
    for (const late of ['a', 'b', 'c']) {
      const name = late === 'c' ? 'refresh-0' : 'two'
      await fleet.store.save(ref, { intent: late, generation, parentSeq: head.seq, tokens: held(name) })
    }
    fleet.issuer.revoke()
    expect(await failure(fleet, fleet.node())).toMatchObject({ code: 'reconnect_required' })
    expect(shown(fleet)).toEqual(['one', 'two', 'refresh-0'])
  })

  it('is benign when the head has moved meanwhile', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const node = fleet.node()
    const slow = fleet.node({
      checkpoint: async (point) => {
        if (point !== 'call_answered') return
        await fleet.store.connect(ref, (await fleet.store.read(ref))!.head.tokens)
        const { generation, head } = (await fleet.store.read(ref))!
        const begun = await fleet.store.begin(
          ref,
          { generation, headSeq: head.seq, parentSeq: head.seq, replaces: null },
          { node: 'x', attempt: 1 },
        )
        const tokens = { ...head.tokens, expiresAt: null }
        await fleet.store.save(ref, { intent: begun!.intent.id, generation, parentSeq: head.seq, tokens })
      },
    })
    fleet.issuer.next.push({ commits: false, says: { kind: 'refused', trouble: 'grant_expired' } })
    expect((await fleet.time.until(slow.refresher.fresh(ref))).tokens.expiresAt).toBeNull()
    expect(await access(fleet, node)).toBe('access-0')
  })

  it('gives the turn to its parent while that is in its grace and may bring another successor', async () => {
    const fleet = createFleet({ rotation: GRACE })
    fleet.issuer.oneSuccessor = true
    await fleet.connect()
    const node = fleet.node()
    fleet.issuer.livesMs = 0
    await access(fleet, node)
    const { head } = (await fleet.store.read(ref))!
    // Another showing of the parent, whose answer never came, has ended the head's token.
    await fleet.issuer.refresh('x', { ...head.tokens, refreshToken: new Secret('refresh-0') }, fleet.time.clock.now())
    expect(await access(fleet, node)).toBe('access-3')
    expect(fleet.issuer.calls.map(({ token, outcome }) => [token, outcome]).slice(2)).toEqual([
      ['refresh-1', 'refused'],
      ['refresh-0', 'again'],
    ])
  })

  it.each([STRICT, GRACE])(
    'shows no spent token after it, also when an answer without a refresh token came between: %j',
    async (rotation) => {
      const fleet = createFleet({ rotation })
      await fleet.connect()
      // Versions 2 and 3 hold one refresh token.
      for (const name of ['one', 'one']) {
        const { generation, head } = (await fleet.store.read(ref))!
        const from = { generation, headSeq: head.seq, parentSeq: head.seq, replaces: null }
        const begun = (await fleet.store.begin(ref, from, { node: 'x', attempt: 1 }))!
        const tokens = { ...head.tokens, refreshToken: new Secret(name), expiresAt: 0 }
        await fleet.store.save(ref, { intent: begun.intent.id, generation, parentSeq: head.seq, tokens })
      }
      await fleet.time.pass(60 * MINUTE)
      fleet.issuer.revoke()
      expect(await failure(fleet, fleet.node())).toMatchObject({ code: 'reconnect_required' })
      expect(shown(fleet)).toEqual(['one'])
    },
  )

  it('gives the turn to a sibling that may be the live one', async () => {
    const fleet = createFleet({ rotation: GRACE })
    await fleet.connect()
    const node = fleet.node()
    const { generation, head } = (await fleet.store.read(ref))!
    const from = { generation, headSeq: head.seq, parentSeq: head.seq, replaces: null }
    const begun = (await fleet.store.begin(ref, from, { node: 'x', attempt: 1 }))!
    const save = async (intent: string, name: string): Promise<void> => {
      const { tokens } = (await fleet.issuer.refresh('x', head.tokens, fleet.time.clock.now())) as { tokens: typeof head.tokens }
      const kept = { ...tokens, refreshToken: name === '' ? tokens.refreshToken : head.tokens.accessToken, expiresAt: 0 }
      await fleet.store.save(ref, { intent, generation, parentSeq: head.seq, tokens: kept })
    }
    // The head's token is one that the issuer never gave; the true one was saved late.
    await save(begun.intent.id, 'wrong')
    await save('late', '')
    expect(await access(fleet, node)).toMatch(/^access-/)
    expect(shown(fleet).slice(2)).toEqual(['access-0', 'refresh-2'])
  })
})

describe('a rate limit', () => {
  it('F-17 F-12 is kept to although the store was away when it was heard', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const node = fleet.node()
    fleet.issuer.next.push({ commits: false, says: { kind: 'limited', retryAfterMs: 10 * MINUTE } })
    node.away.add('withdraw')
    await expect(access(fleet, node)).rejects.toMatchObject({ code: 'store_unavailable' })
    await fleet.time.pass(MINUTE)
    node.away.clear()
    const { retryAfterMs } = await failure(fleet, node)
    expect(retryAfterMs).toBeGreaterThan(8 * MINUTE)
    expect(await failure(fleet, node)).toMatchObject({ code: 'provider_rate_limited' })
    expect(fleet.issuer.calls).toHaveLength(1)
    await fleet.time.pass(10 * MINUTE)
    expect(await access(fleet, node)).toBe('access-1')
  })
})

describe('an answer that is saved late', () => {
  it('is given to a caller whose look at the store began before that', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const node = fleet.node()
    node.away.add('save')
    expect(await access(fleet, node)).toBe('access-1')
    node.slow.set('read', 2_000)
    const given = access(fleet, node)
    node.away.delete('save')
    expect(await given).toBe('access-1')
    expect(node.refresher.unsaved).toBe(0)
  })

  it.each([GRACE, STRICT])('G2 F-25 without a refresh token in it hides no successor that a probe has brought: %j', async (rotation) => {
    const fleet = createFleet({ rotation })
    await fleet.connect()
    const { head } = (await fleet.store.read(ref))!
    const tokens = { ...head.tokens, accessToken: new Secret('access-kept'), expiresAt: fleet.time.clock.now() + 60 * MINUTE }
    fleet.issuer.next.push({ commits: false, says: { kind: 'tokens', tokens } })
    const late = fleet.node({ spill: new MemorySpill() })
    late.away.add('save')
    expect(await access(fleet, late)).toBe('access-kept')
    const prober = fleet.node({
      checkpoint: async (point) => {
        if (point !== 'call_answered') return
        late.away.delete('save')
        await fleet.time.pause(2_000)
      },
    })
    if (rotation.kind === 'strict') {
      await failure(fleet, prober)
      await fleet.time.pass(15_000)
    }
    expect(await access(fleet, prober)).toBe('access-1')
    await fleet.time.pass(61 * MINUTE)
    expect(await access(fleet, prober)).toBe('access-2')
    // Shown twice: by the call whose outcome nobody knew, and by its probe. Then what the probe brought.
    expect(shown(fleet)).toEqual(['refresh-0', 'refresh-0', 'refresh-1'])
  })
})

describe('an outcome that nobody knows', () => {
  it('F-17 under none is asked again at once, then left alone for a while, and nothing is lost', async () => {
    const fleet = createFleet()
    await fleet.connect()
    const node = fleet.node()
    fleet.issuer.next.push(NEVER_HEARS, SWALLOWS, NEVER_HEARS)
    expect(await failure(fleet, node)).toMatchObject({ code: 'provider_unavailable', trouble: 'provider_down' })
    expect(await failure(fleet, node)).toMatchObject({ code: 'provider_unavailable' })
    expect(fleet.issuer.calls).toHaveLength(3)
    await fleet.time.pass(2_000)
    expect(await access(fleet, node)).toBe('access-2')
    expect(node.events.map(({ kind, health }) => `${kind} ${health}`)).toEqual(['failing degraded', 'recovered active'])
  })

  it('F-17 N1 under grace is probed at once, and the successor is had within half the window', async () => {
    const fleet = createFleet({ rotation: GRACE })
    await fleet.connect()
    const before = fleet.time.clock.monotonic()
    fleet.issuer.next.push(SWALLOWS)
    expect(await access(fleet, fleet.node())).toBe('access-2')
    expect(fleet.time.clock.monotonic() - before).toBeLessThan(30_000)
    expect(fleet.issuer.calls.map(({ outcome }) => outcome)).toEqual(['renewed', 'again'])
  })

  it('under grace is not probed while another process may yet send what it proved its lease for, and soon after', async () => {
    const fleet = createFleet({ rotation: GRACE })
    await fleet.connect()
    // It has lost its way to the store, and its lease with it; the call is on its way.
    const first = fleet.node({ checkpoint: (point) => (point === 'call_cleared' ? first.kill() : undefined) })
    void first.refresher.fresh(ref).catch(() => undefined)
    await fleet.time.pass(100)
    const other = fleet.node()
    const got = other.refresher.fresh(ref)
    await fleet.time.pass(700)
    expect(shown(fleet)).toEqual([])
    expect((await fleet.time.until(got)).tokens.accessToken.reveal()).toBe('access-1')
    expect(shown(fleet)).toEqual(['refresh-0'])
  })

  it('under grace is asked again within the window, also after a refusal that names a longer pause', async () => {
    const fleet = createFleet({ rotation: GRACE })
    await fleet.connect()
    fleet.issuer.next.push(SWALLOWS, { commits: false, says: { kind: 'limited', retryAfterMs: 10 * MINUTE } })
    const node = fleet.node()
    expect(await failure(fleet, node)).toMatchObject({ trouble: 'rate_limited', retryAfterMs: 15_000 })
    await fleet.time.pass(15_000)
    await fleet.time.until(node.refresher.recover())
    expect(await access(fleet, node)).toBe('access-2')
  })

  it('G11 under grace a call that hangs is given up while its probe is over within half the window', async () => {
    const fleet = createFleet({ rotation: { kind: 'grace', seconds: 8 } })
    await fleet.connect()
    fleet.issuer.next.push({ ...ANSWERS, latencyMs: MINUTE }, { ...ANSWERS, latencyMs: 1_500 })
    const before = fleet.time.clock.monotonic()
    expect(await access(fleet, fleet.node())).toBe('access-2')
    expect(fleet.time.clock.monotonic() - before).toBeLessThan(4_000)
    expect(fleet.issuer.calls.map(({ outcome, told }) => [outcome, told])).toEqual([
      ['renewed', false],
      ['again', true],
    ])
  })

  it('G11 under grace is not asked again at once when half the window is over', async () => {
    const fleet = createFleet({ rotation: { kind: 'grace', seconds: 8 } })
    await fleet.connect()
    const hangs = { ...ANSWERS, latencyMs: MINUTE }
    fleet.issuer.next.push(hangs, hangs, hangs, hangs)
    const before = fleet.time.clock.monotonic()
    const error = await failure(fleet, fleet.node())
    expect(error).toMatchObject({ code: 'refresh_outcome_unknown' })
    expect(error.retryAfterMs).toBeGreaterThan(0)
    // Two calls of a quarter of the window, and the pause between them.
    expect(fleet.issuer.calls).toHaveLength(2)
    expect(fleet.time.clock.monotonic() - before).toBeLessThan(4_500)
  })

  it('F-17 N1 under strict is waited out, probed once, and labelled as lost when the call had spent the token', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const node = fleet.node()
    fleet.issuer.next.push(SWALLOWS)
    expect(await failure(fleet, node)).toMatchObject({ code: 'refresh_outcome_unknown', retryAfterMs: 12_000 })
    for (let i = 0; i < 11; i++) {
      await fleet.time.pass(1_000)
      await fleet.time.until(node.refresher.recover())
    }
    expect(fleet.issuer.calls).toHaveLength(1)
    await fleet.time.pass(1_500)
    await fleet.time.until(node.refresher.recover())
    expect(fleet.issuer.calls.map(({ outcome }) => outcome)).toEqual(['renewed', 'reuse'])
    expect(await failure(fleet, node)).toMatchObject({ code: 'reconnect_required', trouble: 'token_lost' })
    expect(node.events.map(({ kind, health }) => `${kind} ${health}`)).toEqual(['failing outcome_unknown', 'ended reconnect_required'])
    await fleet.time.until(node.refresher.recover())
    expect(fleet.issuer.calls).toHaveLength(2)
  })

  it('F-17 N1 under strict is probed once, and goes on when the call had spent nothing', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const node = fleet.node()
    fleet.issuer.next.push(NEVER_HEARS)
    await failure(fleet, node)
    await fleet.time.pass(12_000)
    await fleet.time.until(node.refresher.recover())
    expect(await access(fleet, node)).toBe('access-1')
    expect(shown(fleet)).toEqual(['refresh-0', 'refresh-0'])
  })

  it('under strict is waited out after each call of unknown outcome, so that no outage ends a grant', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const node = fleet.node()
    fleet.issuer.next.push(NEVER_HEARS, NEVER_HEARS, NEVER_HEARS)
    await failure(fleet, node)
    node.refresher.start()
    await fleet.time.pass(120_000)
    node.refresher.close()
    expect(await access(fleet, node)).toBe('access-1')
    const times = fleet.issuer.calls.map(({ at }) => at)
    expect(times).toHaveLength(4)
    expect(times.slice(1).every((at, i) => at - times[i]! >= 10_000)).toBe(true)
  })

  it('keeps its name when the probe meets a provider that is down, and ends as lost if it was', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const node = fleet.node()
    const down = { commits: false, says: { kind: 'unsent' } } as const
    fleet.issuer.next.push(SWALLOWS, down, down, down)
    await failure(fleet, node)
    await fleet.time.pass(12_000)
    await fleet.time.until(node.refresher.recover())
    expect((await fleet.store.read(ref))!.intent?.state).toBe('unknown')
    await fleet.time.pass(20_000)
    await fleet.time.until(node.refresher.recover())
    expect(await failure(fleet, node)).toMatchObject({ trouble: 'token_lost' })
  })

  it('serves a usable token meanwhile', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect({ livesMs: 60 * MINUTE })
    await fleet.time.pass(57 * MINUTE)
    fleet.issuer.next.push(NEVER_HEARS)
    const node = fleet.node()
    expect(await fleet.time.until(node.refresher.fresh(ref))).toMatchObject({ stale: true })
    expect(await fleet.time.until(node.refresher.fresh(ref))).toMatchObject({ stale: true })
    expect(fleet.issuer.calls).toHaveLength(1)
  })

  it('keeps an unreadable success beside the intent, sealed', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const node = fleet.node()
    fleet.issuer.next.push({ commits: true, says: { kind: 'unknown', why: 'malformed', raw: new Secret('canary-raw-3b1f') } })
    expect(await failure(fleet, node)).toMatchObject({ code: 'provider_answer_malformed', trouble: 'malformed' })
    expect(inspect(node.logged, { depth: 9 })).not.toContain('canary-raw-3b1f')
  })

  it('is taken for strict where a provider said to keep its tokens has shown that it does not', async () => {
    const fleet = createFleet({ rotation: STRICT, declared: { kind: 'none' } })
    await fleet.connect()
    await access(fleet, fleet.node())
    await fleet.time.pass(60 * MINUTE)
    // A process that did not see it: the lineage tells.
    const node = fleet.node()
    fleet.issuer.next.push(NEVER_HEARS)
    expect(await failure(fleet, node)).toMatchObject({ code: 'refresh_outcome_unknown' })
    expect(fleet.issuer.calls).toHaveLength(2)
  })

  it('is taken for strict where such a provider has shown it to this process, be it with another credential', async () => {
    const fleet = createFleet({ rotation: STRICT, declared: { kind: 'none' } })
    await fleet.connect()
    const other = { ...ref, id: 'another-user' }
    await fleet.store.connect(other, (await fleet.store.read(ref))!.head.tokens)
    const aware = fleet.node()
    await access(fleet, aware)
    // One version: its lineage tells nothing.
    expect(await fleet.store.siblings(other)).toEqual([])
    const calls = fleet.issuer.calls.length
    fleet.issuer.next.push(NEVER_HEARS, NEVER_HEARS, NEVER_HEARS)
    const unknown = { code: 'refresh_outcome_unknown' }
    await expect(fleet.time.until(aware.refresher.fresh(other))).rejects.toMatchObject(unknown)
    expect(fleet.issuer.calls).toHaveLength(calls + 1)
  })
})

describe('failures', () => {
  it.each([
    [{ kind: 'misconfigured', providerError: 'invalid_client' }, 'client_misconfigured', 'client_misconfigured'],
    [{ kind: 'limited', retryAfterMs: 120_000 }, 'provider_rate_limited', 'rate_limited'],
    [{ kind: 'unsent' }, 'provider_unavailable', 'provider_down'],
    [{ kind: 'unknown', why: 'malformed' }, 'provider_answer_malformed', 'malformed'],
  ] as const)('F-17 are told apart: %j', async (says, code, trouble) => {
    const fleet = createFleet()
    await fleet.connect()
    const node = fleet.node()
    for (let i = 0; i < 3; i++) fleet.issuer.next.push({ commits: false, says })
    const error = await failure(fleet, node)
    expect(error).toMatchObject({ code, trouble })
    expect(error.retryAfterMs).toBeGreaterThan(0)
    expect(error.publicDetail).toBeDefined()
    const calls = fleet.issuer.calls.length
    expect(await failure(fleet, node)).toMatchObject({ code })
    expect(fleet.issuer.calls).toHaveLength(calls)
    expect(node.events).toHaveLength(1)
  })

  it('honour what the provider said about waiting', async () => {
    const fleet = createFleet()
    await fleet.connect()
    fleet.issuer.next.push({ commits: false, says: { kind: 'limited', retryAfterMs: 120_000 } })
    const node = fleet.node()
    expect((await failure(fleet, node)).retryAfterMs).toBe(120_000)
    await fleet.time.pass(119_000)
    await failure(fleet, node)
    expect(fleet.issuer.calls).toHaveLength(1)
    await fleet.time.pass(1_000)
    expect(await access(fleet, node)).toBe('access-1')
  })

  it.each([
    [{ kind: 'none' } as const, { kind: 'misconfigured', providerError: 'invalid_client' } as const, [15, 30, 60, 120, 240]],
    [GRACE, { kind: 'unknown', why: 'reset' } as const, [1, 2, 4, 8, 16]],
  ])('F-15 F-17 in a row are left alone for twice as long each time: %j %j', async (rotation, says, seconds) => {
    const fleet = createFleet({ rotation, random: () => 1 })
    await fleet.connect()
    const node = fleet.node()
    const pauses: number[] = []
    for (const _ of seconds) {
      // As many as are made at once.
      for (let i = 0; i < 4; i++) fleet.issuer.next.push({ commits: false, says })
      pauses.push((await failure(fleet, node)).retryAfterMs! / 1_000)
      fleet.issuer.next.length = 0
      await fleet.time.pass(pauses.at(-1)! * 1_000)
    }
    expect(pauses).toEqual(seconds)
    expect(await access(fleet, node)).toBe('access-1')
  })

  it('repeat a call that provably never left, within the same intent', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    fleet.issuer.next.push({ commits: false, says: { kind: 'unsent' } })
    expect(await access(fleet, fleet.node())).toBe('access-1')
  })

  it('of an integration reach the caller as they are, and nothing is written', async () => {
    const fleet = createFleet()
    await fleet.connect()
    const node = fleet.node({ endpointFails: new RefreshError('client_misconfigured') })
    await expect(fleet.time.until(node.refresher.fresh(ref))).rejects.toMatchObject({ code: 'client_misconfigured' })
    expect(await fleet.store.read(ref)).toMatchObject({ intent: null, failure: null })
  })

  it('of a listener are logged, and hold nothing up', async () => {
    const fleet = createFleet()
    await fleet.connect()
    const node = fleet.node()
    node.refresher.onEvent(() => {
      throw new Error('a listener of a test')
    })
    expect(await access(fleet, node)).toBe('access-1')
    expect(node.logged.some((line) => line.includes('A listener for changes'))).toBe(true)
  })

  it('carry no token, nor do logs, events and metrics', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const node = fleet.node()
    fleet.issuer.next.push(SWALLOWS)
    const error = await failure(fleet, node)
    const everything = inspect([error, node.events, node.logged, node.metrics()], { depth: 12, showHidden: true })
    expect(everything).not.toMatch(/refresh-\d|access-\d/)
  })
})

describe('a grant that ends during a refresh', () => {
  it('hands what came back to whoever revokes it', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const node = fleet.node({
      checkpoint: async (point) => {
        if (point === 'call_answered') await fleet.store.end(ref, { generation: 1 }, 'revoked', 'revoked')
      },
    })
    expect(await failure(fleet, node)).toMatchObject({ code: 'reconnect_required', trouble: 'revoked' })
    expect(fleet.orphans).toEqual(['refresh-1'])
    expect((await fleet.store.read(ref))!.status).toBe('revoked')
  })

  it('because the person connected again gives the new tokens to those who waited', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    let connected = false
    const node = fleet.node({
      checkpoint: async (point) => {
        if (point !== 'call_answered' || connected) return
        connected = true
        await fleet.connect({ livesMs: null })
      },
    })
    expect(await access(fleet, node)).toBe('access-0')
    expect(fleet.orphans).toEqual(['refresh-1'])
  })
})

describe('recovery', () => {
  it.each([{ kind: 'none' } as const, GRACE])('G11 ends an interrupted refresh at once where that costs nothing: %j', async (rotation) => {
    const fleet = createFleet({ rotation })
    await fleet.connect()
    const paused = gate()
    const doomed = fleet.node({ checkpoint: async (point) => void (point === 'answer_sealed' && (paused.reach(), await paused.opened)) })
    void doomed.refresher.fresh(ref)
    await fleet.time.until(paused.reached)
    const survivor = fleet.node()
    survivor.refresher.start()
    await fleet.time.pass(1_000)
    expect((await fleet.store.read(ref))!.intent?.node).toBe(doomed.name)
    await doomed.kill()
    await fleet.time.pass(2_000)
    survivor.refresher.close()
    const { intent, head } = (await fleet.store.read(ref))!
    expect([intent, fleet.issuer.live.at(-1)]).toEqual([null, head.tokens.refreshToken?.reveal()])
  })

  it('F-12 under strict by a process that has only just come is not before the store has answered for three seconds', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const { generation, head } = (await fleet.store.read(ref))!
    const from = { generation, headSeq: head.seq, parentSeq: head.seq, replaces: null }
    await fleet.store.begin(ref, from, { node: 'another', attempt: 1 })
    // The call is certainly over; an answer may be on its way to the store yet.
    await fleet.time.pass(MINUTE)
    const node = fleet.node()
    const before = fleet.time.clock.monotonic()
    node.refresher.start()
    await fleet.time.pass(10_000)
    node.refresher.close()
    expect(shown(fleet)).toEqual(['refresh-0'])
    expect(fleet.issuer.calls[0]!.at - before).toBeGreaterThanOrEqual(3_000)
    expect((await fleet.store.read(ref))!.head.tokens.refreshToken?.reveal()).toBe('refresh-1')
  })

  it('is not held up by refreshes that are slow', async () => {
    const fleet = createFleet({ rotation: GRACE })
    await fleet.connect()
    const { head } = (await fleet.store.read(ref))!
    const interrupt = async (one: typeof ref): Promise<void> => {
      await fleet.store.connect(one, head.tokens)
      const { generation, head: now } = (await fleet.store.read(one))!
      const from = { generation, headSeq: now.seq, parentSeq: now.seq, replaces: null }
      await fleet.store.begin(one, from, { node: 'dead', attempt: 1 })
    }
    const others = Array.from({ length: 12 }, (_, i) => ({ scope: 'provider', id: `slow-${i}` }))
    for (const one of others) await interrupt(one)
    fleet.issuer.next.push(...others.map(() => ({ ...ANSWERS, latencyMs: 10_000 })))
    const node = fleet.node()
    await fleet.time.pass(1_000)
    node.refresher.start()
    await fleet.time.pass(1_000)
    await interrupt(ref)
    await fleet.time.pass(2_000)
    node.refresher.close()
    expect((await fleet.store.read(ref))!.intent).toBeNull()
    expect(await fleet.store.interrupted(100)).toHaveLength(others.length)
  })

  it('takes nothing that a live process holds', async () => {
    const fleet = createFleet({ rotation: GRACE })
    await fleet.connect()
    fleet.issuer.next.push({ ...ANSWERS, latencyMs: 4_000 })
    const [busy, other] = [fleet.node(), fleet.node()]
    const given = busy.refresher.fresh(ref)
    await fleet.time.pass(100)
    const before = fleet.time.clock.monotonic()
    await fleet.time.until(other.refresher.recover())
    expect(fleet.time.clock.monotonic()).toBe(before)
    other.refresher.start()
    await fleet.time.until(given)
    other.refresher.close()
    expect(shown(fleet)).toEqual(['refresh-0'])
  })

  it('shows nothing for an intent whose parent has a late successor by now', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const { generation, head } = (await fleet.store.read(ref))!
    const from = { generation, headSeq: head.seq, parentSeq: head.seq }
    const first = (await fleet.store.begin(ref, { ...from, replaces: null }, { node: 'stopped', attempt: 1 }))!.intent
    await fleet.store.begin(ref, { ...from, replaces: first.id }, { node: 'died', attempt: 2 })
    const answer = await fleet.issuer.refresh('stopped', head.tokens, fleet.time.clock.now())
    if (answer.kind !== 'tokens') throw new Error('the issuer of this test answers')
    await fleet.store.save(ref, { intent: first.id, generation, parentSeq: head.seq, tokens: answer.tokens })
    await fleet.time.pass(20_000)
    const node = fleet.node()
    await fleet.time.until(node.refresher.recover())
    await fleet.time.pass(20_000)
    await fleet.time.until(node.refresher.recover())
    expect((await fleet.store.read(ref))!.intent).toBeNull()
    expect(await access(fleet, node)).toBe('access-1')
    expect(shown(fleet)).toEqual(['refresh-0'])
  })

  it('looks after intents whose token is fresh still', async () => {
    const fleet = createFleet({ rotation: GRACE })
    await fleet.connect({ livesMs: 60 * MINUTE })
    const paused = gate()
    const doomed = fleet.node({ checkpoint: async (point) => void (point === 'answer_sealed' && (paused.reach(), await paused.opened)) })
    void doomed.refresher.refreshNow(ref).catch(() => undefined)
    await fleet.time.until(paused.reached)
    await doomed.kill()
    await fleet.time.pass(1_000)
    await fleet.time.until(fleet.node().refresher.recover())
    expect((await fleet.store.read(ref))!.head.tokens.refreshToken?.reveal()).toBe('refresh-2')
  })

  it('goes on when the store was away, and says so once', async () => {
    const fleet = createFleet()
    await fleet.connect()
    const node = fleet.node()
    node.away.add('interrupted')
    node.refresher.start()
    await fleet.time.pass(12_000)
    node.away.clear()
    await fleet.time.pass(2_000)
    node.refresher.close()
    expect(node.logged.filter((line) => line.includes('can not be looked for'))).toHaveLength(1)
  })
})

describe('versions that are no head any more', () => {
  it('are kept for a month and forgotten then, but for the head', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect()
    const node = fleet.node()
    await access(fleet, node)
    await fleet.time.pass(29 * 24 * 60 * MINUTE)
    expect(await node.refresher.prune()).toBe(0)
    await fleet.time.pass(2 * 24 * 60 * MINUTE)
    expect(await node.refresher.prune()).toBe(1)
    expect((await fleet.store.read(ref))!.head.tokens.accessToken.reveal()).toBe('access-1')
    expect(await fleet.store.siblings(ref)).toEqual([])
  })
})

describe('grants that nobody uses', () => {
  it('are renewed before they die of it', async () => {
    const fleet = createFleet({ rotation: STRICT })
    await fleet.connect({ livesMs: 60 * MINUTE })
    const node = fleet.node()
    await fleet.time.pass(29 * 24 * 60 * MINUTE)
    expect(await fleet.time.until(node.refresher.sweepIdle())).toBe(0)
    await fleet.time.pass(2 * 24 * 60 * MINUTE)
    expect(await fleet.time.until(node.refresher.sweepIdle())).toBe(1)
    expect(await fleet.time.until(node.refresher.sweepIdle())).toBe(0)
    expect(shown(fleet)).toEqual(['refresh-0'])
  })
})
