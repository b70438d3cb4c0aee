import { describe, expect, it, vi } from 'vitest'
import { gathered } from './gathered.ts'

function setup() {
  const statements: (readonly string[])[] = []
  const answers: PromiseWithResolvers<void>[] = []
  const ask = gathered(async (keys: readonly string[]) => {
    statements.push(keys)
    const gate = Promise.withResolvers<void>()
    answers.push(gate)
    await gate.promise
    return new Map(keys.filter((key) => !key.startsWith('no')).map((key) => [key, key.toUpperCase()]))
  })
  return { statements, answers, ask }
}

describe('gathered questions', () => {
  it('go at once when they come alone, and together while others go', async () => {
    const { statements, answers, ask } = setup()
    const first = ask('a')
    expect(statements).toEqual([['a']])
    const more = [ask('b'), ask('nobody'), ask('c'), ask('b')]
    expect(statements).toHaveLength(1)
    await expect.poll(() => statements.length, { timeout: 10_000 }).toBe(2)
    expect(statements[1]).toEqual(['b', 'nobody', 'c'])
    // The first is still out: nobody waits for another's answer.
    answers[1]!.resolve()
    expect(await Promise.all(more)).toEqual(['B', undefined, 'C', 'B'])
    answers[0]!.resolve()
    expect(await first).toBe('A')
  })

  it('are few statements however slow the database is: those over it wait, and go together with the next', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] })
    try {
      const { statements, answers, ask } = setup()
      const all: Promise<string | undefined>[] = []
      for (let n = 0; n < 10; n++) {
        all.push(ask(`k${n}`))
        await vi.advanceTimersByTimeAsync(50)
      }
      expect(statements).toEqual([['k0'], ['k1'], ['k2'], ['k3']])
      answers[2]!.resolve()
      expect(await all[2]).toBe('K2')
      await vi.advanceTimersByTimeAsync(50)
      expect(statements[4]).toEqual(['k4', 'k5', 'k6', 'k7', 'k8', 'k9'])
      for (const { resolve } of answers) resolve()
      expect(await Promise.all(all)).toEqual(Array.from({ length: 10 }, (_, n) => `K${n}`))
    } finally {
      vi.useRealTimers()
    }
  })

  it('are asked again when they come again: no answer is held', async () => {
    const { statements, answers, ask } = setup()
    const first = ask('a')
    answers[0]!.resolve()
    await first
    const second = ask('a')
    await expect.poll(() => statements.length, { timeout: 10_000 }).toBe(2)
    answers[1]!.resolve()
    expect(await second).toBe('A')
  })

  it('fail together when the statement does, and the next does not', async () => {
    let fails = true
    const ask = gathered((keys: readonly string[]) =>
      fails ? Promise.reject(new Error('gone')) : Promise.resolve(new Map(keys.map((key) => [key, 1]))),
    )
    const first = await Promise.allSettled([ask('a'), ask('b'), ask('c')])
    expect(first.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    fails = false
    expect(await ask('a')).toBe(1)
  })

  it('put no more into one statement than it takes', async () => {
    const sizes: number[] = []
    const ask = gathered((keys: readonly string[]) => {
      sizes.push(keys.length)
      return Promise.resolve(new Map(keys.map((key) => [key, key])))
    })
    const all = await Promise.all(Array.from({ length: 1_101 }, (_, n) => ask(`k${n}`)))
    expect(all).toHaveLength(1_101)
    expect(sizes).toEqual([1, 500, 500, 100])
  })
})
