import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import type { RateLimitRow } from '../../db/index.ts'
import { inForce } from '../../limits/index.ts'
import type { RateBounds, RateFigures } from '../../limits/index.ts'

/** What was set, and what of it holds. */
export function presentRateLimit(row: RateLimitRow | undefined, bounds: RateBounds): z.input<typeof schemas.rateLimit> {
  return {
    ...shown(inForce(row, bounds)),
    set: row === undefined ? null : shown(row),
    most: shown(bounds.most),
    changed_at: row?.changedAt.toISOString() ?? null,
  }
}

function shown({ perSecond, burst }: RateFigures): z.input<typeof schemas.rateFigures> {
  return { per_second: perSecond, burst }
}
