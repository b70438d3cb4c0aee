/** Owns what every store must do with grants that the application ended, until their tokens are taken back. */
import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { CredentialRef, SealedCredentialStore } from '@sallyport/core'
import type { SealedStoreUnderTest } from './sealed-store.ts'
import { someTokens } from './tokens.ts'

const HOUR = 3_600_000
const SCOPES = ['a-provider', 'another']

export function endedGrantsSuite(kind: string, make: () => Promise<SealedStoreUnderTest>): void {
  describe(`grants that were ended: ${kind}`, () => {
    let place: SealedStoreUnderTest
    const encryption = { key: randomBytes(32).toString('hex') }
    const opened: SealedCredentialStore[] = []
    let number = 0
    beforeAll(async () => {
      place = await make()
    })
    afterEach(async () => {
      for (const store of opened.splice(0)) await store.close()
      number += 1
    })
    afterAll(() => place?.close())

    const open = async (): Promise<SealedCredentialStore> => {
      const store = await place.open(`store-${number}`, encryption)
      opened.push(store)
      return store
    }
    const refOf = (id: string, scope = 'a-provider'): CredentialRef => ({ scope, id })
    async function end(store: SealedCredentialStore, ref: CredentialRef): Promise<number> {
      const { generation } = await store.connect(ref, someTokens(ref.id))
      expect(await store.end(ref, { generation }, 'revoked', 'revoked')).toBe(true)
      return generation
    }

    it('V-08 are found by every process, those that were ended first first, with all that is to be taken back', async () => {
      const [one, other] = [await open(), await open()]
      const generations = [await end(one, refOf('a')), await end(other, refOf('b', 'another'))]
      await one.connect(refOf('active'), someTokens('active'))
      const lost = await one.connect(refOf('lost'), someTokens('lost'))
      await one.end(refOf('lost'), { generation: lost.generation }, 'reconnect_required', 'grant_expired')
      const due = await other.ended(SCOPES, 10)
      expect(new Map(due.map(({ ref, generation }) => [ref.id, generation]))).toEqual(
        new Map([
          ['a', generations[0]],
          ['b', generations[1]],
        ]),
      )
      expect(due).toHaveLength(2)
      expect([await one.endedCount(10), await one.endedCount(1)]).toEqual([2, 1])
      expect((await one.ended(SCOPES, 1)).length).toBe(1)
      const later = await place.open(`store-${number}`, encryption)
      opened.push(later)
      expect((await later.read(refOf('a')))!.head.tokens.refreshToken!.reveal()).toContain('a')
    })

    it('V-08 rest for as long as they are put off, by the word of any process, and are counted all the while', async () => {
      const [one, other] = [await open(), await open()]
      const [a, b] = [await end(one, refOf('a')), await end(one, refOf('b'))]
      const at = (await one.read(refOf('a')))!.failure!.at
      expect(await other.putOff(refOf('a'), a, HOUR)).toBe(true)
      expect((await one.ended(SCOPES, 10)).map(({ ref }) => ref.id)).toEqual(['b'])
      const { failure } = (await one.read(refOf('a')))!
      expect([failure!.at, failure!.retryAt >= at + HOUR]).toEqual([at, true])
      expect(await one.putOff(refOf('b'), b + 1, HOUR)).toBe(false)
      expect(await one.putOff(refOf('nobody'), a, HOUR)).toBe(false)
      expect(await one.endedCount(10)).toBe(2)
      expect(await one.putOff(refOf('a'), a, 0)).toBe(true)
      await expect.poll(async () => (await other.ended(SCOPES, 10)).map(({ ref }) => ref.id).toSorted()).toEqual(['a', 'b'])
    })

    it('take no place of each other: those of a scope that nobody asks for hide none', async () => {
      const store = await open()
      for (let i = 0; i < 5; i++) await end(store, refOf(String(i), 'unknown here'))
      await end(store, refOf('mine'))
      expect((await store.ended(SCOPES, 1)).map(({ ref }) => ref.id)).toEqual(['mine'])
      expect(await store.ended([], 10)).toEqual([])
    })

    it('are over when they are removed, or when the person connects anew', async () => {
      const [one, other] = [await open(), await open()]
      const generation = await end(one, refOf('a'))
      await end(one, refOf('b'))
      expect(await other.remove(refOf('a'), generation)).toBe(true)
      await other.connect(refOf('b'), someTokens('again'))
      expect(await one.ended(SCOPES, 10)).toEqual([])
      await expect.poll(() => one.endedCount(10)).toBe(0)
      const again = await end(other, refOf('b'))
      expect(await one.ended(SCOPES, 10)).toEqual([{ ref: refOf('b'), generation: again }])
    })

    it('are found when they are ended a second time after they were put off, no sooner', async () => {
      const store = await open()
      const generation = await end(store, refOf('a'))
      await store.putOff(refOf('a'), generation, HOUR)
      expect(await store.end(refOf('a'), { generation }, 'revoked', 'revoked')).toBe(true)
      expect(await store.ended(SCOPES, 10)).toEqual([])
      expect(await store.endedCount(10)).toBe(1)
    })
  })
}
