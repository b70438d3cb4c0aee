/**
 * Owns how many calls of one organization are under way to one origin. Refuses more than its share of the connections that all
 * organizations have to that origin: calls that never end must not become everybody's outage.
 */
import type { OrgId } from '@sallyport/core'
import { CallError } from './call.ts'

export interface CallShares {
  /** Takes a place, to be given back once by the answer. @throws CallError `overloaded` at once; nobody waits for a place. */
  enter(org: OrgId, origin: string): () => void
}

/** @param maxCalls of one organization to one origin at a time, 1 or more. */
export function createCallShares(maxCalls: number): CallShares {
  const underWay = new Map<string, number>()
  return {
    enter(org, origin) {
      const place = `${org} ${origin}`
      const before = underWay.get(place) ?? 0
      if (before >= maxCalls) {
        throw new CallError('overloaded', 'share of the origin used up', {
          publicDetail: `${maxCalls} calls of this organization to this provider are under way, and more are not taken until one of them ends.`,
        })
      }
      underWay.set(place, before + 1)
      return () => {
        const left = underWay.get(place)! - 1
        if (left === 0) underWay.delete(place)
        else underWay.set(place, left)
      }
    },
  }
}
