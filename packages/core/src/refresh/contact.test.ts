import { describe, expect, it } from 'vitest'
import { ManualClock } from '../kernel/index.ts'
import { TokenError } from '../tokens/index.ts'
import { StoreContact } from './contact.ts'

const ENOUGH_MS = 3_000

/** A contact whose store has answered for five seconds without a break. */
async function longContact(): Promise<{
  readonly clock: ManualClock
  readonly contact: StoreContact
  readonly answersIn: (ms: number) => Promise<void>
}> {
  const clock = new ManualClock()
  const contact = new StoreContact(clock)
  const answersIn = (ms: number): Promise<void> => contact.through(async () => clock.advance(ms))
  await answersIn(1)
  clock.advance(5_000)
  return { clock, contact, answersIn }
}

describe('the contact to the store', () => {
  it('is missing altogether before the first answer, and less from then on', async () => {
    const clock = new ManualClock()
    const contact = new StoreContact(clock)
    expect(contact.missing(ENOUGH_MS, false)).toBe(ENOUGH_MS)
    await contact.through(async () => undefined)
    clock.advance(1_000)
    expect(contact.missing(ENOUGH_MS, false)).toBe(2_000)
    expect(contact.missing(ENOUGH_MS, true)).toBe(0)
  })

  it('F-12 begins anew with an answer that took more than two seconds: the question may have waited a break out', async () => {
    const { contact, answersIn } = await longContact()
    await answersIn(2_000)
    expect(contact.missing(ENOUGH_MS, false)).toBe(0)
    await answersIn(2_001)
    for (const afterBreak of [false, true]) expect(contact.missing(ENOUGH_MS, afterBreak)).toBe(ENOUGH_MS)
  })

  it('F-12 begins anew after a store that was away, and after an answer that only a memory gave', async () => {
    for (const breaks of [
      async (contact: StoreContact) => {
        const away = contact.through(() => Promise.reject(new TokenError('store_unavailable', 'away, for a test')))
        await expect(away).rejects.toMatchObject({ code: 'store_unavailable' })
      },
      async (contact: StoreContact) =>
        void (await contact.through(
          async () => 'remembered',
          () => false,
        )),
    ]) {
      const { clock, contact, answersIn } = await longContact()
      await breaks(contact)
      expect(contact.missing(ENOUGH_MS, true)).toBe(ENOUGH_MS)
      await answersIn(1)
      clock.advance(ENOUGH_MS)
      expect(contact.missing(ENOUGH_MS, true)).toBe(0)
    }
  })

  it('is not broken by an error that the store itself gave as its answer', async () => {
    const { contact } = await longContact()
    await expect(contact.through(() => Promise.reject(new Error('an answer')))).rejects.toThrow('an answer')
    expect(contact.missing(ENOUGH_MS, true)).toBe(0)
  })
})
