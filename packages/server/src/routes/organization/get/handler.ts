import { organizationFind } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { found, inOrganization } from '../../tenant.ts'
import { presentOrganization } from '../present.ts'

export const organizationGet = implement('organizationGet', async (call) =>
  presentOrganization(found(await inOrganization(call, organizationFind))),
)
