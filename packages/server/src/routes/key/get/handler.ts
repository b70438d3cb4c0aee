import { apiKeyFind } from '../../../db/index.ts'
import { notFound } from '../../../http/index.ts'
import { boundConnection } from '../../connection/bound.ts'
import { implement } from '../../operation.ts'
import { found, inEnvironment } from '../../tenant.ts'
import { presentKey } from '../present.ts'

/** To a key bound to one connection, keys bound otherwise are absent. */
export const keyGet = implement('keyGet', (call) =>
  inEnvironment(call, async (tx, at) => {
    const only = boundConnection(call.principal)
    const key = found(await apiKeyFind(tx, at, call.ids.key))
    if (only !== null && key.connection !== only) throw notFound()
    return presentKey(key)
  }),
)
