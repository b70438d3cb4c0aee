import { describe, expect, it } from 'vitest'
import { EgressError } from '../http/index.ts'
import { DEFAULT_RETRY, delayAfterAnswer, delayAfterFailure } from './retry.ts'
import type { Tried } from './retry.ts'

const get: Tried = { method: 'GET', replayable: true, keyed: false, retries: 0 }
const post: Tried = { ...get, method: 'POST' }
const after = (tried: Tried, status: number, retryAfter: string | null = null, random = 0): number | undefined =>
  delayAfterAnswer(DEFAULT_RETRY, tried, { status, retryAfter }, 0, random)

describe('a call of the SDK', () => {
  it('is made again after 429 and 5xx, up to three times, 1 s to 10 s apart with jitter', () => {
    expect([0, 1, 2, 3].map((retries) => after({ ...get, retries }, 503, null, 1))).toEqual([1000, 2000, 4000, undefined])
    expect([0, 1, 2].map((retries) => after({ ...get, retries }, 503, null, 0))).toEqual([500, 1000, 2000])
    const many = { ...DEFAULT_RETRY, maxRetries: 10 }
    expect(delayAfterAnswer(many, { ...get, retries: 9 }, { status: 429, retryAfter: null }, 0, 1)).toBe(10_000)
  })

  it('is not made again after other answers', () => {
    expect([200, 304, 400, 401, 403, 404, 501].map((status) => after(get, status))).toEqual(Array(7).fill(undefined))
  })

  it('waits as long as Retry-After says, in seconds or as a date, and not at all when that is too long', () => {
    expect(after(get, 429, '7')).toBe(7000)
    expect(after(get, 429, new Date(5000).toUTCString())).toBe(5000)
    expect(after(get, 429, '0')).toBe(500)
    expect(after(get, 429, '99999999')).toBeUndefined()
    expect(after(get, 429, 'soon')).toBe(500)
  })

  it('F-22 is not made again when it may have had an effect, unless the provider knows it by its key', () => {
    expect(after(post, 503)).toBeUndefined()
    expect(after({ ...post, keyed: true }, 503)).toBe(500)
    expect(after({ ...get, replayable: false }, 503)).toBeUndefined()
    const [gone, sent] = [new EgressError('upstream_unreachable', 'ECONNREFUSED'), new EgressError('upstream_reset', 'ECONNRESET', true)]
    expect(delayAfterFailure(DEFAULT_RETRY, post, gone, 0)).toBe(500)
    expect(delayAfterFailure(DEFAULT_RETRY, post, sent, 0)).toBeUndefined()
    expect(delayAfterFailure(DEFAULT_RETRY, get, sent, 0)).toBe(500)
    expect(delayAfterFailure(DEFAULT_RETRY, get, new EgressError('egress_refused', 'address'), 0)).toBeUndefined()
    expect(delayAfterFailure(DEFAULT_RETRY, get, new Error('another'), 0)).toBeUndefined()
  })
})
