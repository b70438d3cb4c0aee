/**
 * Owns how many calls of one organization are under way to one origin. Refuses more than its share of the connections that all
 * organizations have to that origin: calls that never end must not become everybody's outage, whether they are one organization's or many's.
 */
import type { OrgId } from '@sallyport/core'
import { CallError } from './call.ts'

export interface CallShares {
  /** Takes a place, to be given back once by the answer. @throws CallError `overloaded` at once; nobody waits for a place. */
  enter(org: OrgId, origin: string): () => void
}

/** An organization may hold this part of what is free: alone a quarter of all, two a fifth each, ten a thirteenth. */
const PART_OF_FREE = 1 / 3

/**
 * The fuller an origin is, the less a newcomer's neighbours may still take of it. Whoever has no call under way gets one in any case.
 * @param connections to one origin, of all organizations together; 1 or more.
 */
export function createCallShares(connections: number): CallShares {
  const origins = new Map<string, Occupancy>()
  return {
    enter(org, origin) {
      const at = origins.get(origin) ?? { total: 0, of: new Map<OrgId, number>() }
      const before = at.of.get(org) ?? 0
      if (before > 0 && before + 1 > Math.floor((connections - at.total) * PART_OF_FREE)) {
        throw new CallError('overloaded', 'share of the origin used up', {
          publicDetail: `${before} calls of this organization to this provider are under way, and more are not taken until one of them ends.`,
        })
      }
      origins.set(origin, at)
      at.total += 1
      at.of.set(org, before + 1)
      return () => leave(origins, origin, at, org)
    },
  }
}

interface Occupancy {
  total: number
  readonly of: Map<OrgId, number>
}

function leave(origins: Map<string, Occupancy>, origin: string, at: Occupancy, org: OrgId): void {
  const left = at.of.get(org)! - 1
  at.total -= 1
  if (left === 0) at.of.delete(org)
  else at.of.set(org, left)
  if (at.total === 0) origins.delete(origin)
}
