import { describe, expect, it } from 'vitest'
import { ManualClock, newId, Secret } from '@sallyport/core'
import type { ConnectionId } from '@sallyport/core'
import type { ProxyTargetConnection } from '../db/index.ts'
import { createCredentialLife } from './credential-life.ts'
import type { RenewedTokens } from './credential-life.ts'

const MINUTE = 60_000
const org = newId('org')

interface Asked {
  readonly id: string
  readonly afterSeq: bigint | undefined
  resolve(seq: bigint): void
  reject(error: Error): void
}

function stage() {
  const clock = new ManualClock()
  const asked: Asked[] = []
  const failures: unknown[] = []
  const life = createCredentialLife({
    clock,
    bufferMs: 5 * MINUTE,
    jitter: 0,
    onFailure: (error) => void failures.push(error),
    fresh: ({ id }, options) =>
      new Promise<RenewedTokens>((resolve, reject) => {
        asked.push({ id, afterSeq: options?.force?.afterSeq, resolve: (seq) => resolve({ tokens, seq }), reject })
      }),
  })
  const read = () => ({ now: new Date(clock.now()), askedAt: clock.monotonic() })
  return { life, clock, asked, failures, read }
}

const tokens: RenewedTokens['tokens'] = {
  accessToken: new Secret('fake-access'),
  refreshToken: null,
  tokenType: 'bearer',
  expiresAt: null,
  scopes: [],
  extra: new Secret('{}'),
}

/** Of a version that was to live an hour and has `leftMs` of it. */
function candidate(clock: ManualClock, leftMs: number | null, over: Partial<ProxyTargetConnection> = {}): ProxyTargetConnection {
  const expiresAt = leftMs === null ? null : new Date(clock.now() + leftMs)
  const obtainedAt = new Date(clock.now() + (leftMs ?? 0) - 60 * MINUTE)
  const credential = { seq: 1n, sealed: Buffer.alloc(0), obtainedAt, expiresAt }
  return { id: newId('conn'), status: 'active', trouble: null, retryAt: null, generation: 1, credential, ...over }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('the age of a credential', () => {
  it.each([null, 6 * MINUTE, 59 * MINUTE])('S23 lets one with %s ms of life go out, and asks for nothing', (left) => {
    const { life, clock, asked, read } = stage()
    expect(life.isUsable(org, candidate(clock, left), read())).toBe(true)
    expect(asked).toEqual([])
  })

  it('S32 lets one that is due go out, and has it renewed beside, once however many calls come', async () => {
    const { life, clock, asked, read } = stage()
    const due = candidate(clock, 4 * MINUTE)
    for (let i = 0; i < 100; i++) expect(life.isUsable(org, due, read())).toBe(true)
    expect(asked.map(({ id }) => id)).toEqual([due.id])
    asked[0]!.resolve(2n)
    await settled()
    expect(life.isUsable(org, due, read())).toBe(true)
    expect(asked).toHaveLength(2)
  })

  it('F-11 asks again only after a rest when nothing came of it', async () => {
    const { life, clock, asked, failures, read } = stage()
    const due = candidate(clock, 4 * MINUTE)
    const ends: ((one: Asked) => void)[] = [(one) => one.reject(new Error('away')), (one) => one.resolve(1n)]
    for (const end of ends) {
      const before = asked.length
      life.isUsable(org, due, read())
      expect(asked).toHaveLength(before + 1)
      end(asked.at(-1)!)
      await settled()
      for (let i = 0; i < 10; i++) life.isUsable(org, due, read())
      expect(asked).toHaveLength(before + 1)
      clock.advance(1_000)
    }
    expect(failures).toHaveLength(1)
  })

  it('D-13 leaves the provider alone until the time that was noted', () => {
    const { life, clock, asked, read } = stage()
    const resting = candidate(clock, 4 * MINUTE, { trouble: 'rate_limited', retryAt: new Date(clock.now() + MINUTE) })
    expect(life.isUsable(org, resting, read())).toBe(true)
    expect(asked).toEqual([])
    clock.advance(MINUTE)
    expect(life.isUsable(org, resting, read())).toBe(true)
    expect(asked).toHaveLength(1)
  })

  it.each([20_000, 0, -MINUTE])('S23 lets none with %s ms of life go out', (left) => {
    const { life, clock, read } = stage()
    expect(life.isUsable(org, candidate(clock, left), read())).toBe(false)
  })

  it("F-23 is told by the database's clock, whatever this machine's says", () => {
    const { life, clock, read } = stage()
    const due = candidate(clock, 6 * MINUTE)
    const seen = read()
    clock.step(-60 * MINUTE)
    expect(life.isUsable(org, due, seen)).toBe(true)
    clock.step(120 * MINUTE)
    expect(life.isUsable(org, due, seen)).toBe(true)
    clock.advance(7 * MINUTE)
    expect(life.isUsable(org, due, seen)).toBe(false)
  })
})

describe('a token that the provider refuses', () => {
  it('is renewed once in a while for one version, and at once for the next', async () => {
    const { life, clock, asked } = stage()
    const one = candidate(clock, 59 * MINUTE)
    for (let i = 0; i < 100; i++) life.refused(org, one, undefined)
    expect(asked).toMatchObject([{ id: one.id, afterSeq: 1n }])
    life.refused(org, one, 2n)
    expect(asked.map(({ afterSeq }) => afterSeq)).toEqual([1n, 2n])
    clock.advance(30_000)
    life.refused(org, one, 2n)
    expect(asked).toHaveLength(3)
    const other: ConnectionId = newId('conn')
    life.refused(org, { ...one, id: other }, undefined)
    expect(asked).toHaveLength(4)
  })
})
