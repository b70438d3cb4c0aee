/** Owns what a limit is, and which figures hold where several say something. Refuses figures beyond what the installation allows. */
import type { BucketShape } from '@sallyport/core'

/** Requests a second in the long run, and how many may come at once after a rest. Whole, 1 or more. */
export type RateFigures = BucketShape

/** What the installation says: of whoever has no figures of their own, and of everybody. */
export interface RateBounds {
  readonly standard: RateFigures
  readonly most: RateFigures
}

/** The figures that hold. What was stored under a larger maximum holds as far as today's goes. */
export function inForce(set: RateFigures | undefined, { standard, most }: RateBounds): RateFigures {
  const { perSecond, burst } = set ?? standard
  return { perSecond: Math.min(perSecond, most.perSecond), burst: Math.min(burst, most.burst) }
}

/** One node's part, at least one request at a time. */
export function shareOf({ perSecond, burst }: RateFigures, nodes: number): RateFigures {
  return { perSecond: perSecond / nodes, burst: Math.max(1, burst / nodes) }
}

export function sameFigures(a: RateFigures, b: RateFigures): boolean {
  return a.perSecond === b.perSecond && a.burst === b.burst
}
