import { personOf, removeMember } from '../../../organizations/index.ts'
import { implement } from '../../operation.ts'
import { inOrganization } from '../../tenant.ts'

export const memberRemove = implement('memberRemove', async (call) => {
  await inOrganization(call, (tx) =>
    removeMember(tx, personOf(call.principal), call.ids.member, { stepUp: call.deps.stepUp(), keys: call.query.keys }),
  )
  return undefined
})
