import { describe, expect, it } from 'vitest'
import { Turnstile } from './turnstile.ts'

describe('Turnstile', () => {
  it('never lets more than its width run, keeps the order of arrival, and refuses behind a full queue', async () => {
    const turnstile = new Turnstile({ width: 2, queue: 3 })
    let running = 0
    let most = 0
    const order: number[] = []
    const results = Array.from({ length: 7 }, (_, i) =>
      turnstile.run(async () => {
        order.push(i)
        most = Math.max(most, ++running)
        await new Promise<void>((resolve) => setImmediate(resolve))
        running -= 1
        return i
      }),
    )
    expect(turnstile.waiting).toBe(3)
    expect(results.map((result) => result === undefined)).toEqual([false, false, false, false, false, true, true])
    expect(await Promise.all(results.filter((result) => result !== undefined))).toEqual([0, 1, 2, 3, 4])
    expect([most, order]).toEqual([2, [0, 1, 2, 3, 4]])
  })

  it('frees its place when a task fails', async () => {
    const turnstile = new Turnstile({ width: 1, queue: 1 })
    await expect(turnstile.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await turnstile.run(() => Promise.resolve(1))).toBe(1)
  })
})
