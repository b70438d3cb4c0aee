/** Owns what every store with encryption keys of the application must do while these turn. */
import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { envelopeKeyId, rewrap, Secret } from '@sallyport/core'
import type { CredentialRef, EncryptionConfig, SealedCredentialStore } from '@sallyport/core'
import { someTokens } from './tokens.ts'

export interface SealedStoreUnderTest {
  /** A store of its own for each name, with these keys. */
  open(name: string, encryption: EncryptionConfig): Promise<SealedCredentialStore>
  close(): Promise<void>
}

export function sealedStoreSuite(kind: string, make: () => Promise<SealedStoreUnderTest>): void {
  describe(`a sealed store: ${kind}`, () => {
    let place: SealedStoreUnderTest
    const opened: SealedCredentialStore[] = []
    let name = ''
    let number = 0
    beforeAll(async () => {
      place = await make()
    })
    afterEach(async () => {
      for (const store of opened.splice(0)) await store.close()
      number += 1
    })
    afterAll(() => place?.close())

    const [oldKey, newKey] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')]
    const old = { id: 'key-2026-07', key: oldKey }
    const current = { id: 'key-2026-10', key: newKey }
    const open = async (...keys: { id: string; key: string }[]): Promise<SealedCredentialStore> => {
      name = `store-${number}`
      const store = await place.open(name, { keys, algorithm: 'aes-256-gcm' })
      opened.push(store)
      return store
    }
    const refOf = (i: number): CredentialRef => ({ scope: 'a-provider', id: `user-${i}` })

    async function keysOf(store: SealedCredentialStore): Promise<Record<string, number>> {
      const counted: Record<string, number> = {}
      for await (const entries of store.sealedEntries()) {
        for (const { sealed } of entries) counted[envelopeKeyId(sealed)] = (counted[envelopeKeyId(sealed)] ?? 0) + 1
      }
      return counted
    }

    it('opens old tokens with the old key, and seals them anew when they are touched', async () => {
      await (await open(old)).connect(refOf(0), someTokens('first'))
      const store = await open(current, old)
      expect((await store.read(refOf(0)))!.head.tokens.accessToken.reveal()).toBe('fake-access-first')
      await expect.poll(() => keysOf(store)).toEqual({ [current.id]: 1 })
      const after = await open(current)
      expect((await after.read(refOf(0)))!.head.tokens.accessToken.reveal()).toBe('fake-access-first')
    })

    it('seals new tokens with the first key', async () => {
      const store = await open(current, old)
      await store.connect(refOf(0), someTokens('first'))
      expect(await keysOf(store)).toEqual({ [current.id]: 1 })
    })

    it('serves two processes with different current keys, which do not undo each other for ever', async () => {
      const [one, two] = [await open(old, current), await open(current, old)]
      await one.connect(refOf(0), someTokens('first'))
      const seen = new Set<string>()
      for (let round = 0; round < 20; round++) {
        for (const store of [one, two]) expect((await store.read(refOf(0)))!.head.tokens.accessToken.reveal()).toBe('fake-access-first')
        for await (const entries of one.sealedEntries()) for (const { sealed } of entries) seen.add(Buffer.from(sealed).toString('hex'))
      }
      expect(seen.size).toBeLessThanOrEqual(3)
      const { generation, head } = (await two.read(refOf(0)))!
      const begun = (await two.begin(
        refOf(0),
        { generation, headSeq: head.seq, parentSeq: head.seq, replaces: null },
        { node: 'n', attempt: 1 },
      ))!
      const { id: intent, parentSeq } = begun.intent
      expect(await one.save(refOf(0), { intent, generation, parentSeq, tokens: someTokens('second') })).toBe('head')
      expect((await two.read(refOf(0)))!.head.tokens.accessToken.reveal()).toBe('fake-access-second')
    })

    it('names the key that is missing, and no other thing', async () => {
      await (await open(old)).connect(refOf(0), someTokens('first'))
      const store = await open(current)
      const failure: unknown = await store.read(refOf(0)).catch((error: unknown) => error)
      expect(failure).toMatchObject({ code: 'key_unknown' })
      expect((failure as Error).message).toContain(`"${old.id}"`)
    })

    it('refuses a key whose bytes have changed under its id, before anything is sealed with it', async () => {
      await (await open(old)).connect(refOf(0), someTokens('first'))
      const store = await open({ id: old.id, key: newKey })
      for (const ask of [() => store.read(refOf(0)), () => store.connect(refOf(1), someTokens('x')), () => store.interrupted(1)]) {
        const failure: unknown = await ask().catch((error: unknown) => error)
        expect(failure).toMatchObject({ code: 'key_invalid' })
        expect((failure as Error).message).toContain(`"${old.id}" has other bytes`)
        expect((failure as Error).message).not.toContain(newKey.slice(0, 8))
      }
      expect(await keysOf(await open(old))).toEqual({ [old.id]: 1 })
    })

    async function filled(): Promise<SealedCredentialStore> {
      const store = await open(old)
      for (let i = 0; i < 20; i++) await store.connect(refOf(i), someTokens(`token-${i}`))
      const { generation, head } = (await store.read(refOf(0)))!
      const from = { generation, headSeq: head.seq, parentSeq: head.seq, replaces: null }
      const begun = (await store.begin(refOf(0), from, { node: 'n', attempt: 1 }))!
      await store.doubt(refOf(0), begun.intent.id, { trouble: 'malformed', retryInMs: 0 }, new Secret('fake-answer'))
      return store
    }

    it('rewraps everything, proves it by a count per key, and has nothing to do the second time', async () => {
      await filled()
      const store = await open(current, old)
      const progress: number[] = []
      const report = await rewrap(store, { onProgress: ({ renewed }) => void progress.push(renewed) })
      expect(report).toMatchObject({ renewed: 21, remaining: 0, unreadable: 0 })
      expect(Object.fromEntries(report.byKey)).toEqual({ [current.id]: 21 })
      expect(progress.at(-1)).toBe(21)
      expect(await rewrap(store)).toMatchObject({ renewed: 0, remaining: 0 })
      const after = await open(current)
      for (let i = 0; i < 20; i++) expect((await after.read(refOf(i)))!.head.tokens.accessToken.reveal()).toBe(`fake-access-token-${i}`)
    })

    it('rewraps twice at once, each entry once', async () => {
      await filled()
      const [one, two] = [await open(current, old), await open(current, old)]
      const reports = await Promise.all([rewrap(one), rewrap(two)])
      expect(reports[0].renewed + reports[1].renewed).toBe(21)
      expect(await keysOf(one)).toEqual({ [current.id]: 21 })
    })

    it('goes on after it was ended in the midst', async () => {
      await filled()
      const store = await open(current, old)
      const ending = new AbortController()
      let renewals = 0
      const counting = {
        ...store,
        renew: async (entry: Parameters<SealedCredentialStore['renew']>[0]) => {
          if (++renewals === 8) ending.abort(new Error('ended in the midst'))
          return store.renew(entry)
        },
      }
      await expect(rewrap(counting, { signal: ending.signal })).rejects.toThrow('ended in the midst')
      const done = (await keysOf(store))[current.id]!
      expect(done).toBeGreaterThanOrEqual(8)
      expect(done).toBeLessThan(21)
      expect(await rewrap(store)).toMatchObject({ renewed: 21 - done, remaining: 0 })
    })

    it('rewraps while tokens are refreshed, and loses none of either', async () => {
      await filled()
      const [writer, store] = [await open(old, current), await open(current, old)]
      const refreshing = (async () => {
        for (let i = 1; i < 20; i++) {
          const { generation, head } = (await writer.read(refOf(i)))!
          const from = { generation, headSeq: head.seq, parentSeq: head.seq, replaces: null }
          const { intent } = (await writer.begin(refOf(i), from, { node: 'n', attempt: 1 }))!
          await writer.save(refOf(i), { intent: intent.id, generation, parentSeq: head.seq, tokens: someTokens(`fresh-${i}`) })
        }
      })()
      const [report] = await Promise.all([rewrap(store), refreshing])
      expect(report.unreadable).toBe(0)
      expect(await rewrap(store)).toMatchObject({ remaining: 0 })
      const after = await open(current)
      for (let i = 1; i < 20; i++) expect((await after.read(refOf(i)))!.head.tokens.accessToken.reveal()).toBe(`fake-access-fresh-${i}`)
    })

    it('says how much is left that no key opens, and does the rest', async () => {
      await (await open({ id: 'lost', key: randomBytes(32).toString('hex') })).connect(refOf(0), someTokens('lost'))
      await (await open(old)).connect(refOf(1), someTokens('kept'))
      const report = await rewrap(await open(current, old))
      expect(report).toMatchObject({ remaining: 1, unreadable: 1, renewed: 1 })
      expect(Object.fromEntries(report.byKey)).toEqual({ lost: 1, [current.id]: 1 })
    })
  })
}
