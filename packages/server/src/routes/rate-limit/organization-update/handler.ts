import { organizationFind } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { found, inOrganization } from '../../tenant.ts'
import { changeRateLimit } from '../change.ts'

export const organizationRateLimitUpdate = implement('organizationRateLimitUpdate', (call) =>
  inOrganization(call, async (tx) => {
    const { id } = found(await organizationFind(tx))
    return changeRateLimit(tx, { kind: 'organization', id }, call)
  }),
)
