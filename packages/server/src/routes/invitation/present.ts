import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import type { Invitation } from '../../db/index.ts'

export function presentInvitation(made: Invitation): z.input<typeof schemas.invitation> {
  return {
    id: formatId('inv', made.id),
    email: made.email,
    role: made.role,
    state: made.state,
    invited_by: formatId('user', made.invitedBy),
    accepted_by: made.acceptedBy && formatId('user', made.acceptedBy),
    created_at: made.createdAt.toISOString(),
    expires_at: made.expiresAt.toISOString(),
  }
}
