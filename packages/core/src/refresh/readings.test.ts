import { describe, expect, it } from 'vitest'
import { ManualClock } from '../kernel/index.ts'
import { createMemoryStore } from '../stores/index.ts'
import type { CredentialState, CredentialStore } from '../tokens/index.ts'
import { StoreContact } from './contact.ts'
import { Readings } from './readings.ts'

const ref = { scope: 's', id: 'u' }

/** A store whose reads end when the test says so. */
function slowStore() {
  const asked: { answer(state: CredentialState | undefined): void; fail(error: Error): void }[] = []
  const read: CredentialStore['read'] = () =>
    new Promise((resolve, reject) => {
      asked.push({ answer: resolve, fail: reject })
    })
  const clock = new ManualClock()
  return { asked, readings: new Readings({ ...createMemoryStore(), read }, clock, new StoreContact(clock)) }
}

describe('readings', () => {
  it('are shared by those who wait for the next one', async () => {
    const { asked, readings } = slowStore()
    const first = readings.read(ref)
    const others = [readings.read(ref), readings.read(ref), readings.read(ref)]
    expect(asked).toHaveLength(1)
    asked[0]!.answer(undefined)
    await first
    await Promise.resolve()
    expect(asked).toHaveLength(2)
    asked[1]!.answer(undefined)
    await Promise.all(others)
    expect(asked).toHaveLength(2)
  })

  // Whoever wrote before it asked must read what it wrote.
  it('are never given to one who asked after they were begun', async () => {
    const { asked, readings } = slowStore()
    const early = readings.read(ref)
    const late = readings.read(ref)
    asked[0]!.answer(undefined)
    await early
    let given = false
    void late.then(() => (given = true))
    await new Promise(setImmediate)
    expect([given, asked.length]).toEqual([false, 2])
    asked[1]!.answer(undefined)
    await late
  })

  it('that fail do not keep others from being tried', async () => {
    const { asked, readings } = slowStore()
    const first = readings.read(ref)
    const second = readings.read(ref)
    asked[0]!.fail(new Error('away'))
    await expect(first).rejects.toThrow('away')
    await new Promise(setImmediate)
    asked[1]!.answer(undefined)
    expect(await second).toBeUndefined()
    void readings.read(ref)
    expect(asked).toHaveLength(3)
  })
})
