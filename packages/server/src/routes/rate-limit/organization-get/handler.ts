import { organizationFind, rateLimitFind } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { found, inOrganization } from '../../tenant.ts'
import { presentRateLimit } from '../present.ts'

export const organizationRateLimitGet = implement('organizationRateLimitGet', (call) =>
  inOrganization(call, async (tx) => {
    found(await organizationFind(tx))
    const [row] = await rateLimitFind(tx, [call.ids.org])
    return presentRateLimit(row, call.deps.rates)
  }),
)
