import { leave, personOf } from '../../../organizations/index.ts'
import { implement } from '../../operation.ts'
import { inOrganization } from '../../tenant.ts'

export const organizationLeave = implement('organizationLeave', async (call) => {
  await inOrganization(call, (tx) => leave(tx, personOf(call.principal)))
  return undefined
})
