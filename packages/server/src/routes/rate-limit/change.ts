/** Owns changing a limit, whoever holds it. Refuses more than the installation allows, and an event for what stands already. */
import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import { appendAudit } from '../../audit/index.ts'
import { rateLimitDelete, rateLimitFind, rateLimitPut } from '../../db/index.ts'
import type { RateLimitHolder, TenantTx } from '../../db/index.ts'
import { ProblemError } from '../../http/index.ts'
import { principalRef } from '../../identity/index.ts'
import type { Principal } from '../../identity/index.ts'
import type { RateBounds } from '../../limits/index.ts'
import { presentRateLimit } from './present.ts'

type Limit = z.output<typeof schemas.rateFigures> | null

interface Asked {
  readonly principal: Principal
  readonly body: { readonly limit: Limit }
  readonly deps: { readonly rates: RateBounds }
}

/** @throws ProblemError `validation_failed` for figures beyond the installation's. To be asked once the place of the holder is known. */
export async function changeRateLimit(
  tx: TenantTx,
  holder: RateLimitHolder,
  { principal, body: { limit }, deps: { rates } }: Asked,
): Promise<z.input<typeof schemas.rateLimit>> {
  requireAllowed(limit, rates)
  const [before] = await rateLimitFind(tx, [holder.id])
  const same = limit === null ? before === undefined : before?.perSecond === limit.per_second && before.burst === limit.burst
  if (same) return presentRateLimit(before, rates)
  if (limit === null) await rateLimitDelete(tx, holder)
  else await rateLimitPut(tx, holder, { perSecond: limit.per_second, burst: limit.burst })
  const [after] = await rateLimitFind(tx, [holder.id])
  await appendAudit(tx, {
    action: 'rate_limit.changed',
    actor: principalRef(principal),
    target: nameOf(holder),
    detail: { limit, before: before === undefined ? null : { per_second: before.perSecond, burst: before.burst } },
  })
  return presentRateLimit(after, rates)
}

function requireAllowed(limit: Limit, { most }: RateBounds): void {
  if (limit === null) return
  const faults = [
    ...(limit.per_second > most.perSecond ? [{ pointer: '/body/limit/per_second', reason: `is at most ${most.perSecond} here` }] : []),
    ...(limit.burst > most.burst ? [{ pointer: '/body/limit/burst', reason: `is at most ${most.burst} here` }] : []),
  ]
  if (faults.length > 0) throw new ProblemError('validation_failed', 'This installation allows no limit as large.', { faults })
}

function nameOf(holder: RateLimitHolder): string {
  if (holder.kind === 'organization') return formatId('org', holder.id)
  return holder.kind === 'project' ? formatId('proj', holder.id) : formatId('key', holder.id)
}
