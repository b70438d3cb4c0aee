import { describe, expect, it } from 'vitest'
import { Secret } from '../kernel/index.ts'
import type { CredentialState, RefreshFailure } from '../tokens/index.ts'
import { ANY, bufferFor, isUsable, judge } from './policy.ts'
import type { Reading } from './policy.ts'

const NOW = 1_800_000_000_000
const MINUTE = 60_000
const POLICY = { bufferMs: 5 * MINUTE, jitter: 0.2, forceRestMs: 30_000 }

function reading({
  leftMs = 60 * MINUTE,
  livesMs = 60 * MINUTE,
  seq = 1n,
  id = 'u',
  ...state
}: {
  leftMs?: number | null
  livesMs?: number
  seq?: bigint
  id?: string
} & Partial<CredentialState> = {}): Reading {
  const expiresAt = leftMs === null ? null : NOW + leftMs
  const tokens = {
    accessToken: new Secret('a'),
    refreshToken: new Secret('r'),
    tokenType: 'bearer',
    expiresAt,
    scopes: [],
    extra: new Secret('{}'),
  } as const
  return {
    askedAt: 0,
    state: {
      ref: { scope: 's', id },
      generation: 1,
      status: 'active',
      head: { seq, parentSeq: null, generation: 1, tokens, obtainedAt: (expiresAt ?? NOW) - livesMs },
      intent: null,
      failure: null,
      readAt: NOW,
      ...state,
    },
  }
}

const failing = (retryInMs: number, trouble: RefreshFailure['trouble'] = 'provider_down'): RefreshFailure => ({
  trouble,
  at: NOW,
  failures: 1,
  retryAt: NOW + retryInMs,
})

describe('the buffer', () => {
  it('S32 is five minutes and up to a fifth more, the same for every process, another for each version', () => {
    const buffers = Array.from({ length: 200 }, (_, i) => {
      const { ref, head } = reading({ seq: BigInt(i), livesMs: 24 * 60 * MINUTE }).state
      expect(bufferFor(ref, head, POLICY)).toBe(bufferFor({ ...ref }, { ...head }, POLICY))
      return bufferFor(ref, head, POLICY) / MINUTE
    })
    expect(Math.min(...buffers)).toBeGreaterThanOrEqual(5)
    expect(Math.max(...buffers)).toBeLessThanOrEqual(6)
    expect(new Set(buffers.map((buffer) => Math.floor(buffer * 10))).size).toBeGreaterThanOrEqual(9)
  })

  it('is a quarter of a short life', () => {
    const { ref, head } = reading({ livesMs: MINUTE }).state
    expect(bufferFor(ref, head, POLICY)).toBe(15_000)
  })
})

describe('a reading', () => {
  it.each([
    [7 * MINUTE, 'fresh'],
    [4 * MINUTE, 'due'],
    [-1, 'due'],
    [null, 'fresh'],
  ])('with %j left is %s', (leftMs, kind) => {
    expect(judge(reading({ leftMs }), 0, ANY, POLICY).kind).toBe(kind)
  })

  it('grows old by monotonic time', () => {
    expect(judge(reading({ leftMs: 7 * MINUTE }), 3 * MINUTE, ANY, POLICY).kind).toBe('due')
    expect(isUsable(reading({ leftMs: MINUTE }), 59_000)).toBe(false)
    expect(isUsable(reading({ leftMs: MINUTE }), 57_000)).toBe(true)
  })

  it('of a grant that is over says why', () => {
    const over = { status: 'reconnect_required', failure: failing(0, 'token_lost') } as const
    expect(judge(reading(over), 0, ANY, POLICY)).toEqual({ kind: 'over', trouble: 'token_lost' })
  })

  it('rests after a failure, however much a call is wanted', () => {
    const resting = reading({ leftMs: -1, failure: failing(5_000) })
    expect(judge(resting, 0, ANY, POLICY)).toEqual({ kind: 'resting', trouble: 'provider_down', retryAfterMs: 5_000 })
    expect(judge(resting, 5_000, ANY, POLICY).kind).toBe('due')
    expect(judge(resting, 0, { afterSeq: 1n, byHand: true }, POLICY).kind).toBe('due')
    const limited = reading({ leftMs: -1, failure: failing(5_000, 'rate_limited') })
    expect(judge(limited, 0, { afterSeq: 1n, byHand: true }, POLICY).kind).toBe('resting')
  })

  it('does not rest while a call is under way: its end is to be waited for', () => {
    const intent = { id: 'i', generation: 1, parentSeq: 1n, headSeq: 1n, attempt: 1, node: 'n', startedAt: NOW, state: 'calling' } as const
    expect(judge(reading({ leftMs: -1, failure: failing(5_000), intent }), 0, ANY, POLICY).kind).toBe('due')
    expect(judge(reading({ leftMs: -1, failure: failing(5_000), intent: { ...intent, state: 'unknown' } }), 0, ANY, POLICY).kind).toBe(
      'resting',
    )
  })

  it('of a token that is wanted to be renewed is due, unless it was only just obtained', () => {
    const forced = { afterSeq: 1n, byHand: false }
    expect(judge(reading({ leftMs: 50 * MINUTE }), 0, forced, POLICY).kind).toBe('due')
    expect(judge(reading({ leftMs: 60 * MINUTE }), 0, forced, POLICY).kind).toBe('fresh')
    expect(judge(reading({ leftMs: 50 * MINUTE, seq: 2n }), 0, forced, POLICY).kind).toBe('fresh')
  })
})
