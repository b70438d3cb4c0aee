import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Rounds } from './rounds.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0)

/** A round that ends when it is told to, and counts. */
function stepping() {
  const ends: ((more: boolean) => void)[] = []
  const failed = vi.fn<(error: unknown) => void>()
  const rounds = new Rounds({ everyMs: 1_000, failed, round: () => new Promise<boolean>((resolve) => ends.push(resolve)) })
  return { ends, failed, rounds }
}

describe('rounds', () => {
  it('begin at once, and again by themselves', async () => {
    const round = vi.fn<() => Promise<boolean>>(async () => false)
    const rounds = new Rounds({ everyMs: 1_000, round, failed: () => undefined })
    rounds.start()
    rounds.start()
    await vi.advanceTimersByTimeAsync(2_500)
    expect(round).toHaveBeenCalledTimes(3)
    await rounds.close()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(round).toHaveBeenCalledTimes(3)
  })

  it('are never two at once, and one that is asked for meanwhile comes behind', async () => {
    const { ends, rounds } = stepping()
    rounds.poke()
    for (let n = 0; n < 5; n++) rounds.poke()
    expect(ends).toHaveLength(1)
    ends[0]!(false)
    await settled()
    expect(ends).toHaveLength(2)
    ends[1]!(false)
    await settled()
    expect(ends).toHaveLength(2)
  })

  it('come behind whoever asks as one ends, too, at whichever step of its end', async () => {
    for (let steps = 0; steps < 12; steps++) {
      let count = 0
      const askLater = async (): Promise<void> => {
        for (let step = 0; step < steps; step++) await Promise.resolve()
        rounds.poke()
      }
      const round = async (): Promise<boolean> => {
        if (++count === 1) void askLater()
        return false
      }
      const rounds = new Rounds({ everyMs: 1_000, round, failed: () => undefined })
      rounds.poke()
      await settled()
      expect([steps, count]).toEqual([steps, 2])
    }
  })

  it('follow each other while there may be more', async () => {
    let left = 3
    const round = vi.fn<() => Promise<boolean>>(async () => --left > 0)
    new Rounds({ everyMs: 1_000, round, failed: () => undefined }).poke()
    await settled()
    expect(round).toHaveBeenCalledTimes(3)
  })

  it('go on after one that failed, which is heard of once', async () => {
    const round = vi.fn<() => Promise<boolean>>().mockRejectedValueOnce(new Error('away')).mockResolvedValue(false)
    const failed = vi.fn<(error: unknown) => void>()
    const rounds = new Rounds({ everyMs: 1_000, round, failed })
    rounds.start()
    await settled()
    expect(failed).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(1_000)
    expect([round.mock.calls.length, failed.mock.calls.length]).toEqual([2, 1])
    await rounds.close()
  })

  it('end with the one that is under way, and begin no more', async () => {
    const { ends, rounds } = stepping()
    rounds.start()
    const closing = rounds.close()
    expect(rounds.closed).toBe(true)
    const ended = vi.fn<() => void>()
    void closing.then(ended)
    await settled()
    expect(ended).not.toHaveBeenCalled()
    ends[0]!(true)
    await closing
    rounds.poke()
    rounds.start()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(ends).toHaveLength(1)
  })
})
