/** Owns several nodes' limiters over one Redis, and a crowd that asks them as fast as they answer; for tests and for the bench. */
import { setImmediate as turn } from 'node:timers/promises'
import { newId, RedisAllowances, systemClock } from '@sallyport/core'
import type { Clock } from '@sallyport/core'
import { createLeaseSource, createLimiter, RateLimitError } from '../../src/limits/index.ts'
import type { RateLimitRow } from '../../src/db/index.ts'
import type { Counted, LeaseSource, Limiter, RateFigures } from '../../src/limits/index.ts'
import { silent as logger } from '../db/fresh-database.ts'

export const newKey = () => ({ kind: 'key', keyId: newId('key'), org: newId('org'), project: newId('proj') }) as const

export interface Fleet {
  readonly limiters: readonly Limiter[]
  /** Questions to Redis so far. */
  readonly asked: () => number
  close(): Promise<void>
}

export interface FleetSettings {
  readonly nodes: number
  readonly standard: RateFigures
  /** By id of organization, project or key. */
  readonly set?: ReadonlyMap<string, RateFigures>
  readonly clock?: Clock
  /** How long Redis may be silent; long where a test must not take a busy machine for its end. */
  readonly answerMs?: number
}

/** @param url of Redis; undefined: without one, by parts */
export function fleet(
  url: string | undefined,
  { nodes, standard, set = new Map(), clock = systemClock, answerMs = 5_000 }: FleetSettings,
): Fleet {
  let asked = 0
  const sources: LeaseSource[] = []
  const sourceOf = (at: string): LeaseSource => {
    const allowances = new RedisAllowances({ url: at, answerMs })
    const source = createLeaseSource(
      {
        draw: (name, shape, want) => {
          asked += 1
          return allowances.draw(name, shape, want)
        },
        giveBack: (name, shape, count) => allowances.giveBack(name, shape, count),
        close: () => allowances.close(),
      },
      logger,
    )
    sources.push(source)
    return source
  }
  const limiters = Array.from({ length: nodes }, () => {
    const limiter = createLimiter({
      bounds: { standard, most: { perSecond: 1_000_000, burst: 1_000_000 } },
      read: async (_org, ids) =>
        ids.flatMap((id) => (set.has(id) ? [{ id, changedAt: new Date(0), ...set.get(id)! } as RateLimitRow] : [])),
      source: url === undefined ? undefined : sourceOf(url),
      clock,
    })
    limiter.useNodes(nodes)
    return limiter
  })
  return {
    limiters,
    asked: () => asked,
    async close() {
      for (const limiter of limiters) limiter.close()
      await Promise.all(sources.map((source) => source.close()))
    },
  }
}

/** True when it was let through. */
export async function passes(limiter: Limiter, key: Counted): Promise<boolean> {
  try {
    await limiter.admit(key)
    return true
  } catch (error) {
    if (error instanceof RateLimitError) return false
    throw error
  }
}

/** Asks all, with one key or with another each time, as fast as they answer, for as long as `goesOn` says so of those that passed; gives the tries and the seconds that it took. */
export async function flood(limiters: readonly Limiter[], key: Counted | (() => Counted), goesOn: (passed: number) => boolean) {
  const startedAt = systemClock.monotonic()
  let passed = 0
  let tries = 0
  const one = async (limiter: Limiter): Promise<void> => {
    while (goesOn(passed)) {
      tries += 1
      if (await passes(limiter, typeof key === 'function' ? key() : key)) passed += 1
      // Others have a turn: a refusal is decided without waiting.
      await turn()
    }
  }
  await Promise.all(limiters.flatMap((limiter) => [one(limiter), one(limiter)]))
  return { passed, tries, seconds: (systemClock.monotonic() - startedAt) / 1_000 }
}
