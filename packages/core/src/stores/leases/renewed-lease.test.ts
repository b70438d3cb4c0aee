import { describe, expect, it } from 'vitest'
import { ManualClock } from '../../kernel/index.ts'
import { Proof } from './proof.ts'
import { RenewedLeases } from './renewed-leases.ts'
import type { LeaseRows } from './renewed-leases.ts'

describe('the proof of a lease', () => {
  it('is as old as the older of two clocks says: one stands still in a sleeping machine, the other can be set', () => {
    const clock = new ManualClock()
    const proof = new Proof(clock)
    expect(proof.isYoungerThan(250)).toBe(false)
    proof.asking()()
    clock.advance(249)
    expect(proof.isYoungerThan(250)).toBe(true)
    clock.step(10_000)
    expect(proof.isYoungerThan(250)).toBe(false)
    proof.asking()()
    clock.step(-1)
    expect(proof.isYoungerThan(250)).toBe(false)
    proof.asking()()
    clock.advance(250)
    expect(proof.isYoungerThan(250)).toBe(false)
  })

  it('counts from when it was asked for, not from when it came', () => {
    const clock = new ManualClock()
    const proof = new Proof(clock)
    const proven = proof.asking()
    clock.advance(200)
    proven()
    clock.advance(100)
    expect(proof.isYoungerThan(250)).toBe(false)
  })
})

/** Rows in memory, on a clock of their own. */
function rows(clock: ManualClock): LeaseRows & { away: boolean; readonly asked: string[] } {
  const held = new Map<string, { holder: string; until: number }>()
  const asked: string[] = []
  const state = { away: false }
  const guard = (what: string): void => {
    asked.push(what)
    if (state.away) throw new Error('away')
  }
  const own = (key: string, holder: string): boolean => held.get(key)?.holder === holder
  return {
    asked,
    get away() {
      return state.away
    },
    set away(away) {
      state.away = away
    },
    async take(key, holder, ttlMs) {
      guard('take')
      const row = held.get(key)
      if (row !== undefined && row.until > clock.now()) return false
      held.set(key, { holder, until: clock.now() + ttlMs })
      return true
    },
    async renew(key, holder, ttlMs) {
      guard('renew')
      if (!own(key, holder)) return false
      held.set(key, { holder, until: clock.now() + ttlMs })
      return true
    },
    async drop(key, holder) {
      guard('drop')
      if (own(key, holder)) held.delete(key)
    },
    close: async () => undefined,
  }
}

describe('a lease that is renewed', () => {
  // The lives are long, so that the timer that renews plays no part.
  const ttlMs = 60_000

  it('is asked about when its last proof is older than a quarter of a second, and not before', async () => {
    const clock = new ManualClock()
    const kept = rows(clock)
    const lease = (await new RenewedLeases(kept, { clock, ttlMs }).take('k'))!
    expect(await lease.prove()).toBe(true)
    expect(kept.asked).toEqual(['take'])
    clock.advance(250)
    expect(await lease.prove()).toBe(true)
    expect(kept.asked).toEqual(['take', 'renew'])
    await lease.release()
  })

  it('is not proven while nobody can be asked, is held still when they can, and over when another has had it', async () => {
    const clock = new ManualClock()
    const kept = rows(clock)
    const [one, other] = [new RenewedLeases(kept, { clock, ttlMs }), new RenewedLeases(kept, { clock, ttlMs })]
    const lease = (await one.take('k'))!
    clock.advance(1_000)
    kept.away = true
    expect(await lease.prove()).toBe(false)
    kept.away = false
    expect(await lease.prove()).toBe(true)
    clock.advance(ttlMs)
    const next = (await other.take('k'))!
    expect(await lease.prove()).toBe(false)
    await lease.release()
    clock.advance(1_000)
    expect(await next.prove()).toBe(true)
    await next.release()
  })

  it('is over when nobody could be asked for as long as it lives', async () => {
    const clock = new ManualClock()
    const kept = rows(clock)
    const lease = (await new RenewedLeases(kept, { clock, ttlMs }).take('k'))!
    kept.away = true
    clock.advance(ttlMs)
    expect(await lease.prove()).toBe(false)
    kept.away = false
    expect(await lease.prove()).toBe(false)
    await lease.release()
  })

  it('drops what was perhaps taken when the answer was lost', async () => {
    const clock = new ManualClock()
    const kept = rows(clock)
    const lossy: LeaseRows = {
      ...kept,
      async take(key, holder, ms) {
        await kept.take(key, holder, ms)
        throw new Error('the answer was lost')
      },
    }
    await expect(new RenewedLeases(lossy, { clock, ttlMs }).take('k')).rejects.toThrow('lost')
    expect(await new RenewedLeases(kept, { clock, ttlMs }).take('k')).toBeDefined()
  })
})
