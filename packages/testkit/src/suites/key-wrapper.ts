/** Owns what every root key must do, whoever holds it. */
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { wrappingKeyId } from '@sallyport/core'
import type { KeyWrapper, SealPlace } from '@sallyport/core'

export interface WrapperUnderTest {
  /** With a deadline under a second where it goes out. */
  readonly wrapper: KeyWrapper
  /** Another key of the same holder. */
  readonly other: KeyWrapper
  /** Questions to the holder so far. Undefined where there is none. */
  readonly asked?: () => number
  /** Makes the holder fail for good (`key_source_unavailable`), each way it can, and heals it. */
  readonly failures: Readonly<Record<string, { fail(): void; heal(): void }>>
  /** Makes the holder fail once or twice, or take its time, in a way that passes. */
  readonly hiccups: Readonly<Record<string, () => void>>
  /** Ways to be told no or something wrong: `key_source_refused`. */
  readonly refusals: Readonly<Record<string, () => void>>
  /** The holder answers in the right form, and something else than what was asked. */
  readonly lies?: Readonly<Record<string, () => void>>
  /** The holder forgets to bind what it is told to. */
  careless?(): void
  close(): Promise<void>
}

const PLACE: SealPlace = { purpose: 'data-key', org: 'an-org', table: 'data_key', column: 'wrapped', record: 'a-record', seq: 0n }
const ELSEWHERE: readonly Partial<SealPlace>[] = [
  { purpose: 'other' },
  { org: 'another-org' },
  { org: '' },
  { table: 'other' },
  { column: 'other' },
  { record: 'another-record' },
  { seq: 1n },
]

export function keyWrapperSuite(
  name: string,
  make: () => Promise<WrapperUnderTest>,
  ways: { failures: string[]; hiccups: string[]; refusals: string[]; lies?: string[]; careless: boolean },
): void {
  describe(`a root key: ${name}`, () => {
    let it_: WrapperUnderTest
    beforeEach(async () => {
      it_ = await make()
    })
    afterEach(() => it_.close())

    it('unwraps what it wrapped, in memory of its own, and names itself in what it wraps', async () => {
      for (const length of [1, 32, 1024]) {
        const bytes = randomBytes(length)
        const kept = Buffer.from(bytes)
        const wrapped = await it_.wrapper.wrap(bytes, PLACE)
        expect(wrappingKeyId(wrapped)).toBe(it_.wrapper.id)
        expect(length < 32 || !wrapped.includes(bytes)).toBe(true)
        const [one, two] = [await it_.wrapper.unwrap(wrapped, PLACE), await it_.wrapper.unwrap(wrapped, PLACE)]
        expect([one.equals(kept), bytes.equals(kept)]).toEqual([true, true])
        one.fill(0)
        expect(two.equals(kept)).toBe(true)
      }
    })

    it('never wraps to the same bytes twice', async () => {
      const bytes = randomBytes(32)
      const [one, two] = [await it_.wrapper.wrap(bytes, PLACE), await it_.wrapper.wrap(bytes, PLACE)]
      expect(one.equals(two)).toBe(false)
    })

    const atAnotherPlace = async (): Promise<void> => {
      const wrapped = await it_.wrapper.wrap(randomBytes(32), PLACE)
      for (const moved of ELSEWHERE) {
        await expect(it_.wrapper.unwrap(wrapped, { ...PLACE, ...moved })).rejects.toMatchObject({ code: 'decrypt_failed' })
      }
    }
    it('C-11 unwraps at no other place', atAnotherPlace)

    if (ways.careless) {
      it('C-11 unwraps at no other place, even when its holder binds none', async () => {
        it_.careless!()
        await atAnotherPlace()
      })
    }

    it('C-04 unwraps nothing that was changed, cut or lengthened', async () => {
      const wrapped = await it_.wrapper.wrap(randomBytes(32), PLACE)
      const changed = [5 + wrapped[4]!, wrapped.length - 1].map((at) => {
        const copy = Buffer.from(wrapped)
        copy[at]! ^= 1
        return copy
      })
      for (const bytes of [...changed, wrapped.subarray(0, -1), Buffer.concat([wrapped, Buffer.from('A')])]) {
        await expect(it_.wrapper.unwrap(bytes, PLACE)).rejects.toMatchObject({ code: 'decrypt_failed' })
      }
    })

    it("unwraps nothing of another key, and not under another's name", async () => {
      const wrapped = await it_.other.wrap(randomBytes(32), PLACE)
      await expect(it_.wrapper.unwrap(wrapped, PLACE)).rejects.toMatchObject({ code: 'key_unknown' })
      const own = Buffer.from(it_.wrapper.id, 'latin1')
      const rest = wrapped.subarray(5 + wrapped[4]!)
      const renamed = Buffer.concat([wrapped.subarray(0, 4), Buffer.from([own.length]), own, rest])
      await expect(it_.wrapper.unwrap(renamed, PLACE)).rejects.toMatchObject({ code: 'decrypt_failed' })
    })

    it('asks once for many who unwrap the same at once, and each has bytes of their own', async () => {
      const bytes = randomBytes(32)
      const wrapped = await it_.wrapper.wrap(bytes, PLACE)
      const before = it_.asked?.()
      const opened = await Promise.all(Array.from({ length: 10 }, () => it_.wrapper.unwrap(wrapped, PLACE)))
      if (before !== undefined) expect(it_.asked!() - before).toBe(1)
      opened[0]!.fill(0)
      await new Promise((resolve) => setImmediate(resolve))
      expect(opened.slice(1).every((one) => one.equals(bytes))).toBe(true)
    })

    it.each(ways.hiccups)('bears %s', async (way) => {
      const bytes = randomBytes(32)
      it_.hiccups[way]!()
      const wrapped = await it_.wrapper.wrap(bytes, PLACE)
      it_.hiccups[way]!()
      expect((await it_.wrapper.unwrap(wrapped, PLACE)).equals(bytes)).toBe(true)
    })

    it.each(ways.failures)('fails while its holder is away (%s), then leaves it in peace, and works again once it is back', async (way) => {
      const bytes = randomBytes(32)
      const wrapped = await it_.wrapper.wrap(bytes, PLACE)
      it_.failures[way]!.fail()
      const away = { code: 'key_source_unavailable' }
      await expect(it_.wrapper.unwrap(wrapped, PLACE)).rejects.toMatchObject(away)
      const before = it_.asked?.()
      await expect(it_.wrapper.wrap(bytes, PLACE)).rejects.toMatchObject(away)
      await expect(it_.wrapper.unwrap(wrapped, PLACE)).rejects.toMatchObject(away)
      if (before !== undefined) expect(it_.asked!()).toBe(before)
      it_.failures[way]!.heal()
      await expect
        .poll(async () => (await it_.wrapper.unwrap(wrapped, PLACE).catch(() => Buffer.alloc(0))).equals(bytes), { timeout: 10_000 })
        .toBe(true)
    })

    it.each(ways.refusals)('refuses when its holder is wrong (%s)', async (way) => {
      const wrapped = await it_.wrapper.wrap(randomBytes(32), PLACE)
      it_.refusals[way]!()
      await expect(it_.wrapper.unwrap(wrapped, PLACE)).rejects.toMatchObject({ code: 'key_source_refused' })
      await expect(it_.wrapper.wrap(randomBytes(32), PLACE)).rejects.toMatchObject({ code: 'key_source_refused' })
    })

    it.each(ways.lies ?? [])(
      'takes nothing for a key that is none: neither wraps nor unwraps while its holder says something else (%s)',
      async (way) => {
        const [bytes, elsewhere] = [randomBytes(32), { ...PLACE, record: 'another-record' }]
        const wrapped = await it_.wrapper.wrap(bytes, PLACE)
        await it_.wrapper.wrap(randomBytes(32), elsewhere)
        it_.lies![way]!()
        await expect(it_.wrapper.wrap(randomBytes(32), elsewhere)).rejects.toMatchObject({ code: 'key_source_refused' })
        await expect(it_.wrapper.unwrap(wrapped, PLACE)).rejects.toMatchObject({ code: 'decrypt_failed' })
      },
    )
  })
}
