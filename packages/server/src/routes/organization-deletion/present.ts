import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import type { OrganizationDeletion } from '../../db/index.ts'

export function presentDeletion(deletion: OrganizationDeletion): z.input<typeof schemas.organizationDeletion> {
  return {
    state: deletion.state,
    requested_by: deletion.requestedBy,
    requested_at: deletion.requestedAt.toISOString(),
    due_at: deletion.dueAt.toISOString(),
  }
}
