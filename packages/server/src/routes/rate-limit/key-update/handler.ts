import { apiKeyFind } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { found, inEnvironment } from '../../tenant.ts'
import { changeRateLimit } from '../change.ts'

export const keyRateLimitUpdate = implement('keyRateLimitUpdate', (call) =>
  inEnvironment(call, async (tx, at) => {
    const { id } = found(await apiKeyFind(tx, at, call.ids.key))
    return changeRateLimit(tx, { kind: 'key', id }, call)
  }),
)
