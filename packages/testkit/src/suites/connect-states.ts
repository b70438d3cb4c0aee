/** Owns what every place for sign-ins under way must do. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Secret } from '@sallyport/core'
import type { ConnectStates, EncryptionConfig } from '@sallyport/core'

export interface StatesUnderTest {
  /** One of several processes. */
  open(encryption: EncryptionConfig): Promise<ConnectStates>
  /** Everything kept, as bytes. */
  dump(): Promise<Buffer>
  close(): Promise<void>
}

export function connectStatesSuite(kind: string, make: () => Promise<StatesUnderTest>): void {
  describe(`sign-ins under way: ${kind}`, () => {
    const encryption = { key: randomBytes(32).toString('hex') }
    const newState = (): Secret => new Secret(randomBytes(32).toString('base64url'))
    const text = new Secret('a fake verifier')
    let place: StatesUnderTest
    let [one, other] = [] as unknown as [ConnectStates, ConnectStates]
    beforeAll(async () => {
      place = await make()
      one = await place.open(encryption)
      other = await place.open(encryption)
    })
    afterAll(async () => {
      await one?.close()
      await other?.close()
      await place?.close()
    })

    it('O-04 are given out once, to another process too, and known as used from then on', async () => {
      const state = newState()
      await one.put(state, text, 60_000)
      const taken = await other.take(state)
      expect(taken.kind === 'taken' && taken.text.reveal()).toBe('a fake verifier')
      expect(await one.take(state)).toEqual({ kind: 'used' })
    })

    it('O-04 go to one of many that take them at once', async () => {
      const state = newState()
      await one.put(state, text, 60_000)
      const taken = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? one : other).take(state)))
      expect(taken.filter(({ kind }) => kind === 'taken')).toHaveLength(1)
      expect(taken.filter(({ kind }) => kind === 'used')).toHaveLength(19)
    })

    it('can be read any number of times, in any process, until one takes them', async () => {
      const state = newState()
      await one.put(state, text, 60_000)
      for (const place of [one, other, one]) {
        const read = await place.read(state)
        expect(read.kind === 'taken' && read.text.reveal()).toBe('a fake verifier')
      }
      await other.take(state)
      expect(await one.read(state)).toEqual({ kind: 'used' })
      expect(await one.read(newState())).toEqual({ kind: 'unknown' })
      const ended = newState()
      await one.put(ended, text, 0)
      expect(await other.read(ended)).toEqual({ kind: 'expired' })
    })

    it('are unknown when nobody put them there', async () => {
      expect(await one.take(newState())).toEqual({ kind: 'unknown' })
    })

    it('are known as expired after their end, and not given out', async () => {
      const state = newState()
      await one.put(state, text, 0)
      expect(await one.take(state)).toEqual({ kind: 'expired' })
    })

    it('lie sealed, under no name that could be sent back', async () => {
      const state = newState()
      await one.put(state, text, 60_000)
      const dump = await place.dump()
      expect(dump.length).toBeGreaterThan(0)
      expect(dump.includes('a fake verifier')).toBe(false)
      expect(dump.includes(state.reveal())).toBe(false)
    })

    it('do not open under another key', async () => {
      const state = newState()
      await one.put(state, text, 60_000)
      const stranger = await place.open({ key: randomBytes(32).toString('hex') })
      await expect(stranger.take(state)).rejects.toMatchObject({ code: 'decrypt_failed' })
      await stranger.close()
    })
  })
}
