import { describe, expect, it } from 'vitest'
import { ManualClock, newId } from '@sallyport/core'
import type { OrgId, ProjectId } from '@sallyport/core'
import type { RateLimitRow } from '../db/index.ts'
import { RateLimitError } from './limit-error.ts'
import { createLimiter } from './limiter.ts'
import type { Counted, Limiter } from './limiter.ts'
import { fieldsOf } from './standing.ts'
import type { HolderKind } from './standing.ts'

const BOUNDS = { standard: { perSecond: 20, burst: 40 }, most: { perSecond: 1_000, burst: 2_000 } }

function keyOf(org: OrgId, project: ProjectId) {
  return { kind: 'key', keyId: newId('key'), org, project } as const
}

interface Stage {
  readonly limiter: Limiter
  readonly clock: ManualClock
  /** What was set, to be read by id. */
  readonly set: Map<string, { perSecond: number; burst: number }>
  reads: number
  fails: boolean
  readonly refused: HolderKind[]
}

function stage(): Stage {
  const clock = new ManualClock()
  const set: Stage['set'] = new Map()
  const refused: HolderKind[] = []
  const made = {
    clock,
    set,
    refused,
    reads: 0,
    fails: false,
    limiter: createLimiter({
      bounds: BOUNDS,
      clock,
      onRefusal: (holder) => refused.push(holder),
      async read(_org, ids) {
        made.reads += 1
        if (made.fails) throw new Error('the database is away')
        return ids.flatMap((id) => (set.has(id) ? [{ id, changedAt: new Date(0), ...set.get(id)! } as RateLimitRow] : []))
      },
    }),
  }
  return made
}

/** How many of `tries` are let through, and the last refusal. */
async function through({ limiter }: Stage, principal: Counted, tries: number) {
  let passed = 0
  let refusal: RateLimitError | undefined
  for (let i = 0; i < tries; i++) {
    try {
      await limiter.admit(principal)
      passed += 1
    } catch (error) {
      if (!(error instanceof RateLimitError)) throw error
      refusal = error
    }
  }
  return { passed, refusal }
}

const [ORG, PROJECT] = [newId('org'), newId('proj')]

describe('the limit of a request', () => {
  it('D-10 is one over organization, project and key: none is touched by what another refuses', async () => {
    const at = stage()
    const [narrow, wide] = [keyOf(ORG, PROJECT), keyOf(ORG, PROJECT)]
    at.set.set(narrow.keyId, { perSecond: 1, burst: 5 })
    expect((await through(at, narrow, 100)).passed).toBe(5)
    expect(at.refused.every((holder) => holder === 'key')).toBe(true)
    // All but the five that passed are there still.
    expect((await through(at, wide, 100)).passed).toBe(35)
  })

  it("D-10 of a child never widens its parent's, and fresh keys bring nothing", async () => {
    const at = stage()
    at.set.set(ORG, { perSecond: 10, burst: 10 })
    let passed = 0
    for (let i = 0; i < 50; i++) {
      const key = keyOf(ORG, i % 2 === 0 ? PROJECT : newId('proj'))
      at.set.set(key.keyId, { perSecond: 1_000, burst: 1_000 })
      passed += (await through(at, key, 3)).passed
    }
    expect(passed).toBe(10)
    at.clock.advance(1_000)
    expect((await through(at, keyOf(ORG, PROJECT), 100)).passed).toBe(10)
  })

  it('D-10 goes by no wall clock', async () => {
    const at = stage()
    const key = keyOf(ORG, PROJECT)
    expect((await through(at, key, 100)).passed).toBe(40)
    at.clock.step(86_400_000)
    expect((await through(at, key, 10)).passed).toBe(0)
    at.clock.step(-2 * 86_400_000)
    at.clock.advance(500)
    expect((await through(at, key, 100)).passed).toBe(10)
  })

  it('is bounded by what the installation allows, whatever was set', async () => {
    const at = stage()
    const key = keyOf(ORG, PROJECT)
    for (const id of [ORG, PROJECT, key.keyId]) at.set.set(id, { perSecond: 900_000, burst: 900_000 })
    expect((await through(at, key, 3_000)).passed).toBe(2_000)
  })

  it('is the standard while nothing can be read, and what was known goes on: it is never off', async () => {
    const at = stage()
    at.fails = true
    expect((await through(at, keyOf(ORG, PROJECT), 100)).passed).toBe(40)
    const other = { org: newId('org'), key: keyOf(newId('org'), newId('proj')) }
    at.fails = false
    at.set.set(other.key.org, { perSecond: 3, burst: 3 })
    expect((await through(at, other.key, 100)).passed).toBe(3)
    at.fails = true
    at.limiter.heard('unknown')
    at.clock.advance(1_000)
    expect((await through(at, other.key, 100)).passed).toBe(3)
  })

  it('is the new one from the first request after a change is heard, and only then is it read again', async () => {
    const at = stage()
    const key = keyOf(ORG, PROJECT)
    await through(at, key, 10)
    expect(at.reads).toBe(1)
    at.set.set(key.keyId, { perSecond: 5, burst: 2 })
    at.limiter.heard({ table: 'rate_limit', org: ORG, id: key.keyId })
    expect((await through(at, key, 10)).passed).toBe(2)
    expect(at.reads).toBe(2)
    at.limiter.heard({ table: 'rate_limit', org: newId('org'), id: newId('key') })
    at.limiter.heard({ table: 'connection', org: ORG, id: newId('conn') })
    await through(at, key, 10)
    expect(at.reads).toBe(2)
  })

  it('is read again after ten seconds, when no word of a change came', async () => {
    const at = stage()
    const key = keyOf(ORG, PROJECT)
    await through(at, key, 1)
    at.set.set(key.keyId, { perSecond: 1, burst: 1 })
    at.clock.advance(10_001)
    // The first goes by what is known, and has it read.
    await through(at, key, 1)
    await expect.poll(async () => (await through(at, key, 5)).passed).toBe(0)
  })

  it('is shared with the other nodes: each has its part, and it is never less than something', async () => {
    const at = stage()
    at.limiter.useNodes(4)
    const key = keyOf(ORG, PROJECT)
    expect((await through(at, key, 100)).passed).toBe(10)
    at.clock.advance(1_000)
    expect((await through(at, key, 100)).passed).toBe(5)
    at.limiter.useNodes(2)
    at.clock.advance(1_000)
    expect((await through(at, key, 100)).passed).toBe(10)
    at.limiter.useNodes(1_000)
    expect((await through(at, keyOf(newId('org'), newId('proj')), 100)).passed).toBe(1)
  })

  it('of people is their own: keys that are out of hand do not keep them out', async () => {
    const at = stage()
    await through(at, keyOf(ORG, PROJECT), 100)
    const person = { kind: 'person', userId: newId('user') } as const
    expect((await through(at, person, 100)).passed).toBe(40)
    expect(at.refused.at(-1)).toBe('person')
  })
})

describe('what a caller is told', () => {
  it('names the limit that has the least left, in the current fields and the older ones alike', async () => {
    const at = stage()
    const key = keyOf(ORG, PROJECT)
    at.set.set(key.keyId, { perSecond: 5, burst: 10 })
    const first = fieldsOf(await at.limiter.admit(key))
    expect(first).toEqual({
      'ratelimit-policy': '"organization";q=40;w=2, "project";q=40;w=2, "key";q=10;w=2',
      ratelimit: '"key";r=9;t=1',
      'x-ratelimit-limit': '10',
      'x-ratelimit-remaining': '9',
      'x-ratelimit-reset': '1',
    })
  })

  it('is when to come back, and whoever does so is let in', async () => {
    const at = stage()
    const key = keyOf(ORG, PROJECT)
    at.set.set(PROJECT, { perSecond: 1, burst: 3 })
    const { passed, refusal } = await through(at, key, 4)
    expect(passed).toBe(3)
    expect(refusal).toMatchObject({ code: 'rate_limited', retryAfterS: 1, publicDetail: expect.stringContaining('project') })
    expect(refusal!.fields).toMatchObject({ ratelimit: '"project";r=0;t=1', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1' })
    at.clock.advance(refusal!.retryAfterS * 1_000)
    expect((await through(at, key, 4)).passed).toBe(1)
  })
})

describe('a node that Redis never answered', () => {
  it('goes on with its part of every limit, from the first request on', async () => {
    const source = { away: false, draw: async () => undefined, giveBack: () => undefined, close: async () => undefined }
    const draw = async (): Promise<undefined> => void (source.away = true)
    const made = {
      ...stage(),
      limiter: createLimiter({
        bounds: BOUNDS,
        clock: new ManualClock(),
        read: async () => [],
        source: {
          ...source,
          get away() {
            return source.away
          },
          draw,
        },
      }),
    }
    made.limiter.useNodes(2)
    expect((await through(made, keyOf(newId('org'), newId('proj')), 40)).passed).toBe(20)
    made.limiter.close()
  })
})
