import { personOf, revokeInvitation } from '../../../organizations/index.ts'
import { implement } from '../../operation.ts'
import { inOrganization } from '../../tenant.ts'
import { presentInvitation } from '../present.ts'

export const invitationRevoke = implement('invitationRevoke', async (call) =>
  presentInvitation(await inOrganization(call, (tx) => revokeInvitation(tx, personOf(call.principal), call.ids.invitation))),
)
