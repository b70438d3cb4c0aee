import { apiKeyFind, rateLimitFind } from '../../../db/index.ts'
import { notFound } from '../../../http/index.ts'
import { boundConnection } from '../../connection/bound.ts'
import { implement } from '../../operation.ts'
import { found, inEnvironment } from '../../tenant.ts'
import { presentRateLimit } from '../present.ts'

/** To a key bound to one connection, keys bound otherwise are absent. */
export const keyRateLimitGet = implement('keyRateLimitGet', (call) =>
  inEnvironment(call, async (tx, at) => {
    const only = boundConnection(call.principal)
    const { id, connection } = found(await apiKeyFind(tx, at, call.ids.key))
    if (only !== null && connection !== only) throw notFound()
    const [row] = await rateLimitFind(tx, [id])
    return presentRateLimit(row, call.deps.rates)
  }),
)
