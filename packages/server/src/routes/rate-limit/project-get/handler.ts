import { rateLimitFind } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { inProject } from '../../tenant.ts'
import { presentRateLimit } from '../present.ts'

export const projectRateLimitGet = implement('projectRateLimitGet', (call) =>
  inProject(call, async (tx, { id }) => {
    const [row] = await rateLimitFind(tx, [id])
    return presentRateLimit(row, call.deps.rates)
  }),
)
