/**
 * Owns work that reads through all that an organization has: one at a time for each of them on a node. Refuses the next at once, since it would say
 * the same and take connections and processor from the others.
 */
import type { OrgId } from '@sallyport/core'
import { ProblemError } from '../http/index.ts'

const RETRY_S = 5

/** What is given runs `work` unless work of the same kind is under way for `org`. @param busy one sentence for whoever is refused */
export function oneEach(busy: string): <T>(org: OrgId, work: () => Promise<T>) => Promise<T> {
  const underWay = new Set<OrgId>()
  return async (org, work) => {
    if (underWay.has(org)) throw new ProblemError('rate_limited', busy, { retryAfterS: RETRY_S })
    underWay.add(org)
    try {
      return await work()
    } finally {
      underWay.delete(org)
    }
  }
}
