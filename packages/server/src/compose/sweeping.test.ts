import { describe, expect, it } from 'vitest'
import { createSweeping } from './sweeping.ts'

const unheard = (error: unknown): never => {
  throw error
}

describe('a round of sweeping', () => {
  it('goes on until nothing is over, however much that is, and others do not wait for a failure', async () => {
    let left = 2_350
    const told: unknown[] = []
    const sweep = (most: number): Promise<number> => {
      const swept = Math.min(most, left)
      left -= swept
      return Promise.resolve(swept)
    }
    await createSweeping(
      [
        [() => Promise.reject(new Error('gone')), 10],
        [sweep, 500],
      ],
      (error) => told.push(error),
    ).round()
    expect(left).toBe(0)
    expect(told).toEqual([new Error('gone')])
  })

  it('is not begun beside another, and is after it', async () => {
    const gate = Promise.withResolvers<number>()
    let asked = 0
    const sweep = (): Promise<number> => (asked++ === 0 ? gate.promise : Promise.resolve(0))
    const sweeping = createSweeping([[sweep, 10]], unheard)
    const first = sweeping.round()
    await sweeping.round()
    expect(asked).toBe(1)
    gate.resolve(3)
    await first
    await sweeping.round()
    expect(asked).toBe(2)
  })

  it('ends after what it is at once it is told to', async () => {
    let asked = 0
    const sweeping = createSweeping(
      [
        [
          (most) => {
            if (++asked === 3) sweeping.stop()
            return Promise.resolve(most)
          },
          10,
        ],
      ],
      unheard,
    )
    await sweeping.round()
    await sweeping.round()
    expect(asked).toBe(3)
  })
})
