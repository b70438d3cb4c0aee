import { Secret } from '@sallyport/core'
import { acceptInvitation, personOf } from '../../../organizations/index.ts'
import { implement } from '../../operation.ts'
import { presentOwn } from '../../organization/present.ts'

export const invitationAccept = implement('invitationAccept', async ({ body, deps, principal }) =>
  presentOwn(await acceptInvitation(deps.database, deps.personal, personOf(principal), new Secret(body.token))),
)
