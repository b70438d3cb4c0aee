import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import type { BlastRadius, BulkRevocation } from '../../db/index.ts'

export function presentBulkRevocation(bulk: BulkRevocation): z.input<typeof schemas.bulkRevocation> {
  return {
    id: formatId('bulk', bulk.id),
    state: bulk.state,
    found: bulk.found,
    ended: bulk.ended,
    requested_by: bulk.requestedBy,
    created_at: bulk.madeAt.toISOString(),
    finished_at: bulk.finishedAt?.toISOString() ?? null,
  }
}

export function presentBlastRadius({ connections, endUsers, boundKeys, byIntegration }: BlastRadius): z.input<typeof schemas.blastRadius> {
  const integrations = byIntegration.map(({ integration, ...rest }) => ({ id: formatId('int', integration), ...rest }))
  return { connections, end_users: endUsers, bound_keys: boundKeys, integrations }
}
