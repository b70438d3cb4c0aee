import { changeRole, personOf } from '../../../organizations/index.ts'
import { implement } from '../../operation.ts'
import { inOrganization } from '../../tenant.ts'
import { presentMember } from '../present.ts'

export const memberUpdate = implement('memberUpdate', async (call) =>
  presentMember(
    await inOrganization(call, (tx) => changeRole(tx, personOf(call.principal), call.ids.member, call.body.role, call.deps.stepUp())),
  ),
)
