/** Owns what every source of root keys must do. */
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RootKeySource, Secret } from '@sallyport/core'

export interface SourceUnderTest {
  /** Made with a pause of a few milliseconds between readings, and a deadline under a second. */
  readonly source: RootKeySource
  /** Puts this text where the source reads. */
  publish(text: string): Promise<void> | void
  /** How often the place was read so far. Undefined where nobody counts. */
  readonly reads?: () => number
  /** Makes the place fail for good (`key_source_unavailable`), each way it can, and heals it. */
  readonly failures: Readonly<Record<string, { fail(): Promise<void> | void; heal(): Promise<void> | void }>>
  /** Ways to be told no: `key_source_refused`. */
  readonly refusals: Readonly<Record<string, () => Promise<void> | void>>
  close(): Promise<void>
}

export function keySourceSuite(name: string, make: () => Promise<SourceUnderTest>, ways: { failures: string[]; refusals: string[] }): void {
  describe(`a key source: ${name}`, () => {
    let it_: SourceUnderTest
    beforeEach(async () => {
      it_ = await make()
    })
    afterEach(() => it_.close())

    const fresh = (id: string): string => `${id}:${randomBytes(32).toString('hex')}`

    it('gives the text that was put there, without the white space around it', async () => {
      const text = fresh('r1')
      await it_.publish(`${text}\n`)
      expect((await it_.source.load()).reveal()).toBe(text)
      expect(String(await it_.source.load())).toBe('[secret]')
    })

    it('reads once for many who ask at once', async () => {
      const text = fresh('r1')
      await it_.publish(text)
      const before = it_.reads?.()
      const all = await Promise.all(Array.from({ length: 20 }, () => it_.source.load()))
      expect(new Set(all.map((one) => one.reveal()))).toEqual(new Set([text]))
      if (before !== undefined) expect(it_.reads!() - before).toBe(1)
    })

    it('tells of each new text once, none of the one that was loaded, and nothing after the stop', async () => {
      await it_.publish(fresh('r1'))
      await it_.source.load()
      const heard: string[] = []
      const watch = it_.source.watch({ changed: async (keys: Secret) => void heard.push(keys.reveal()), failed: () => undefined })
      const second = fresh('r2')
      await it_.publish(second)
      await expect.poll(() => heard).toEqual([second])
      const third = fresh('r3')
      await it_.publish(third)
      await expect.poll(() => heard).toEqual([second, third])
      watch.stop()
      await it_.publish(fresh('r4'))
      await it_.source.load()
      expect(heard).toEqual([second, third])
    })

    it('reads at once when asked, once for many who ask, and tells of what is new before it answers', async () => {
      await it_.publish(fresh('r1'))
      await it_.source.load()
      const heard: string[] = []
      const watch = it_.source.watch({ changed: async (keys: Secret) => void heard.push(keys.reveal()), failed: () => undefined })
      const second = fresh('r2')
      await it_.publish(second)
      await Promise.all(Array.from({ length: 5 }, () => watch.look()))
      expect(heard).toEqual([second])
      watch.stop()
      await it_.publish(fresh('r3'))
      await watch.look()
      expect(heard).toEqual([second])
    })

    it('offers a text again that was not taken', async () => {
      await it_.publish(fresh('r1'))
      await it_.source.load()
      let offers = 0
      const failures: unknown[] = []
      const watch = it_.source.watch({
        changed: async () => {
          offers += 1
          if (offers < 3) throw new Error('not now')
        },
        failed: (error) => void failures.push(error),
      })
      await it_.publish(fresh('r2'))
      await expect.poll(() => offers).toBe(3)
      expect(failures).toHaveLength(2)
      watch.stop()
    })

    it.each(ways.failures)('when it is away (%s): says so, gives nothing, and reads again once it is back', async (way) => {
      const text = fresh('r1')
      await it_.publish(text)
      await it_.failures[way]!.fail()
      await expect(it_.source.load()).rejects.toMatchObject({ code: 'key_source_unavailable' })
      const failed = Promise.withResolvers<unknown>()
      const changed = Promise.withResolvers<string>()
      const watch = it_.source.watch({ changed: async (keys) => changed.resolve(keys.reveal()), failed: (error) => failed.resolve(error) })
      expect(await failed.promise).toMatchObject({ code: 'key_source_unavailable' })
      await it_.failures[way]!.heal()
      expect(await changed.promise).toBe(text)
      watch.stop()
    })

    it.each(ways.refusals)('when it is wrong (%s): refuses, and says nothing of what it was told', async (way) => {
      const text = fresh('r1')
      await it_.publish(text)
      await it_.refusals[way]!()
      const error: unknown = await it_.source.load().catch((caught: unknown) => caught)
      expect(error).toMatchObject({ code: 'key_source_refused' })
      expect(String(error)).not.toContain(text.slice(3, 20))
    })
  })
}
