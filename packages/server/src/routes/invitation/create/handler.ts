import { invite, personOf } from '../../../organizations/index.ts'
import { implement } from '../../operation.ts'
import { inOrganization } from '../../tenant.ts'
import { presentInvitation } from '../present.ts'

/** The token leaves in this answer alone. In the link it stands behind the `#`, which browsers send to nobody. */
export const invitationCreate = implement('invitationCreate', async (call) => {
  const { body, deps, principal } = call
  const wanted = { email: body.email, role: body.role, lifeS: body.expires_in_s }
  const { invitation, token } = await inOrganization(call, (tx) =>
    invite(tx, { personal: deps.personal, room: deps.room }, personOf(principal), wanted),
  )
  const text = token.reveal()
  return { invitation: presentInvitation(invitation), token: text, link: `${deps.publicUrl}/console/#invitation=${text}` }
})
