import { describe, expect, it } from 'vitest'
import { ManualClock } from '../kernel/index.ts'
import { TokenBucket } from './token-bucket.ts'

const drained = (bucket: TokenBucket): number => {
  let taken = 0
  while (bucket.take()) taken += 1
  return taken
}

describe('a token bucket', () => {
  it('D-10 gives its burst, and then what time brings, whatever the wall clock does', () => {
    const clock = new ManualClock()
    const bucket = new TokenBucket(20, 40, clock)
    expect(drained(bucket)).toBe(40)
    expect(bucket.waitMs()).toBe(50)
    clock.step(3_600_000)
    expect(drained(bucket)).toBe(0)
    clock.step(-7_200_000)
    clock.advance(1_000)
    expect(drained(bucket)).toBe(20)
  })

  it('says what is left, and when it is full', () => {
    const clock = new ManualClock()
    const bucket = new TokenBucket(20, 40, clock, 10)
    expect([bucket.left(), bucket.fullInMs(), bucket.isFull()]).toEqual([10, 1_500, false])
    clock.advance(5_000)
    expect([bucket.left(), bucket.fullInMs(), bucket.isFull()]).toEqual([40, 0, true])
  })

  it('keeps what is in it when its figures change, and no more than fits', () => {
    const clock = new ManualClock()
    const bucket = new TokenBucket(20, 40, clock)
    bucket.reshape(10, 100)
    expect(bucket.left()).toBe(40)
    bucket.reshape(10, 5)
    expect(drained(bucket)).toBe(5)
    clock.advance(100)
    expect(drained(bucket)).toBe(1)
  })
})
