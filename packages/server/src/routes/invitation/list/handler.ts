import type { InvitationId } from '@sallyport/core'
import { invitationList as listInvitations } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { listPage } from '../../page.ts'
import { inOrganization } from '../../tenant.ts'
import { presentInvitation } from '../present.ts'

export const invitationList = implement('invitationList', (call) =>
  inOrganization(call, (tx) =>
    listPage(call, {
      rows: (page) => listInvitations(tx, page),
      keyOf: ({ id }) => id,
      readKey: (text: string) => text as InvitationId,
      present: presentInvitation,
    }),
  ),
)
