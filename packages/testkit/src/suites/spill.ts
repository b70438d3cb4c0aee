/** Owns what every place must do where answers wait that could not be saved. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Spill, SpilledAnswer } from '@sallyport/core'

export interface SpillUnderTest {
  /** The same place as another process would open it. */
  open(onUnreadable: (name: string) => void): Promise<Spill>
  /** Puts something there that is no answer, and says whether something lies there under that name. */
  litter(name: string, text: string): Promise<void>
  lies(name: string): Promise<boolean>
  dump(): Promise<Uint8Array>
  close(): Promise<void>
}

export function someAnswer(changes: Partial<SpilledAnswer> = {}): SpilledAnswer {
  return {
    ref: { scope: 'a-provider', id: 'ä user/../x' },
    intent: randomBytes(9).toString('base64url'),
    generation: 1_795_345_200_000_001,
    parentSeq: 9_223_372_036_854_775_807n,
    sealed: randomBytes(300),
    ...changes,
  }
}

export function spillSuite(name: string, make: () => Promise<SpillUnderTest>): void {
  describe(`a spill: ${name}`, () => {
    let place: SpillUnderTest
    let spill: Spill
    let unreadable: string[]
    beforeAll(async () => {
      place = await make()
      unreadable = []
      spill = await place.open((name) => void unreadable.push(name))
    })
    afterAll(() => place?.close())
    const plain = (answers: readonly SpilledAnswer[]): unknown[] =>
      answers
        .map((answer) => ({ ...answer, sealed: Buffer.from(answer.sealed).toString('hex') }))
        .toSorted((a, b) => (a.intent < b.intent ? -1 : 1))

    it('is empty before anything was put there', async () => {
      expect(await spill.list()).toEqual([])
      await spill.remove(someAnswer())
    })

    it('gives back to every process what one has put there, until it is removed', async () => {
      const answers = [someAnswer(), someAnswer(), someAnswer({ ref: { scope: 's', id: 'i' } })]
      await Promise.all(answers.map((answer) => spill.put(answer)))
      const other = await place.open(() => undefined)
      expect(plain(await other.list())).toEqual(plain(answers))
      await other.remove(answers[0]!)
      await other.remove(answers[0]!)
      expect(plain(await spill.list())).toEqual(plain(answers.slice(1)))
      for (const answer of answers) await spill.remove(answer)
      expect(await other.list()).toEqual([])
    })

    it('keeps one answer of one call, however often it is put', async () => {
      const answer = someAnswer()
      await Promise.all(Array.from({ length: 5 }, () => spill.put(answer)))
      expect(await spill.list()).toHaveLength(1)
      await spill.remove(answer)
    })

    it('reports what it can not read and leaves it there, beside what it can', async () => {
      const answer = someAnswer()
      await spill.put(answer)
      for (const [name, text] of [
        ['cut.answer', '{"v":1,"scope":"s"'],
        ['other.answer', '{"v":2}'],
        ['empty.answer', ''],
      ] as const) {
        await place.litter(name, text)
      }
      expect(plain(await spill.list())).toEqual(plain([answer]))
      expect(unreadable.toSorted()).toEqual(['cut.answer', 'empty.answer', 'other.answer'])
      for (const name of unreadable) expect(await place.lies(name)).toBe(true)
    })

    it('holds what the provider said sealed, and nothing else of it', async () => {
      const answer = someAnswer({ sealed: Buffer.from('what-was-sealed') })
      await spill.put(answer)
      const dump = Buffer.from(await place.dump()).toString('utf8')
      expect(dump).toContain(Buffer.from(answer.sealed).toString('base64url'))
    })
  })
}
