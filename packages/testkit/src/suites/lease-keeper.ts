/** Owns what every keeper of leases must do: one holder at a time, and none that only believes it is one. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { leaseKey } from '@sallyport/core'
import type { LeaseKeeper } from '@sallyport/core'

export interface LeasesUnderTest {
  /** A keeper as another process would open it. The suite closes it. */
  open(): Promise<LeaseKeeper>
  /** Makes the process behind a keeper die as kill -9 would: nothing of it is heard again. Undefined where keepers share a process. */
  kill?(keeper: LeaseKeeper): Promise<void>
  /** Makes the process behind a keeper stand still, and go on. */
  readonly stall?: { stop(keeper: LeaseKeeper): Promise<void>; go(keeper: LeaseKeeper): Promise<void> }
  /** Takes the server away, each way it can go. */
  readonly failures: Readonly<Record<string, { fail(): Promise<void>; heal(): Promise<void>; readonly withinMs: number }>>
  close(): Promise<void>
}

export function leaseKeeperSuite(
  name: string,
  make: () => Promise<LeasesUnderTest>,
  ways: { readonly failures: readonly string[]; readonly dies: boolean; readonly stalls: boolean },
): void {
  describe(`a keeper of leases: ${name}`, () => {
    let place: LeasesUnderTest
    let one: LeaseKeeper
    let other: LeaseKeeper
    beforeAll(async () => {
      place = await make()
      one = await place.open()
      other = await place.open()
    })
    afterAll(async () => {
      await one?.close()
      await other?.close()
      await place?.close()
    })
    const fresh = (): string => leaseKey({ scope: 'a-provider', id: randomUUID() })
    const freed = async (keeper: LeaseKeeper, key: string): Promise<number> => {
      const began = performance.now()
      await expect.poll(async () => (await keeper.take(key)) !== undefined, { timeout: 20_000, interval: 50 }).toBe(true)
      return performance.now() - began
    }

    it('lends to one at a time, of the same process too', async () => {
      const key = fresh()
      const lease = await one.take(key)
      expect(await lease!.prove()).toBe(true)
      expect(await other.take(key)).toBeUndefined()
      expect(await one.take(key)).toBeUndefined()
      expect(await lease!.prove()).toBe(true)
      await lease!.release()
    })

    it('lends each credential apart', async () => {
      const leases = await Promise.all([one.take(fresh()), one.take(fresh()), other.take(fresh())])
      for (const lease of leases) {
        expect(await lease!.prove()).toBe(true)
        await lease!.release()
      }
    })

    it('lends to one of many at once', async () => {
      const key = fresh()
      const all = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? one : other).take(key)))
      const won = all.filter((lease) => lease !== undefined)
      expect(won).toHaveLength(1)
      await won[0]!.release()
    })

    it('lends what was given back, at once and again and again', async () => {
      const key = fresh()
      for (let round = 0; round < 10; round++) {
        const lease = await (round % 2 === 0 ? one : other).take(key)
        expect(lease).toBeDefined()
        await lease!.release()
        expect(await lease!.prove()).toBe(false)
      }
    })

    it('F-04 leaves the lease of another alone, however often an old one is given back', async () => {
      const key = fresh()
      const old = await one.take(key)
      await old!.release()
      const lease = await other.take(key)
      await Promise.all([old!.release(), old!.release()])
      expect(await lease!.prove()).toBe(true)
      expect(await one.take(key)).toBeUndefined()
      await lease!.release()
    })

    it('gives back what a closed keeper held', async () => {
      const key = fresh()
      const third = await place.open()
      const lease = await third.take(key)
      await third.close()
      expect(await lease!.prove()).toBe(false)
      await freed(one, key)
    })

    if (ways.dies) {
      it('F-05 lends the lease of a killed process within two seconds', async () => {
        const key = fresh()
        const third = await place.open()
        expect(await third.take(key)).toBeDefined()
        await place.kill!(third)
        expect(await freed(one, key)).toBeLessThan(2_000)
      })
    }

    if (ways.stalls) {
      it('F-25 lends the lease of a process that stands still, which knows it when it goes on', async () => {
        const key = fresh()
        const third = await place.open()
        const lease = await third.take(key)
        await place.stall!.stop(third)
        await freed(one, key)
        await place.stall!.go(third)
        expect(await lease!.prove()).toBe(false)
        await lease!.release()
        expect(await other.take(key)).toBeUndefined()
        await third.close()
      })
    }

    it.each(ways.failures)('when its server is away (%s): lends nothing, proves nothing, and works again by itself', async (way) => {
      const failure = place.failures[way]!
      const [key, held] = [fresh(), await one.take(fresh())]
      expect(await held!.prove()).toBe(true)
      await failure.fail()
      try {
        const asked = performance.now()
        await expect(one.take(key)).rejects.toMatchObject({ code: 'store_unavailable' })
        expect(performance.now() - asked).toBeLessThan(failure.withinMs)
        // What was proven a moment ago need not be asked for again.
        await expect.poll(() => held!.prove(), { timeout: 5_000 }).toBe(false)
      } finally {
        await failure.heal()
      }
      await held!.release()
      const again = async (): Promise<boolean> => (await one.take(key).catch(() => undefined)) !== undefined
      await expect.poll(again, { timeout: 20_000 }).toBe(true)
    })
  })
}
