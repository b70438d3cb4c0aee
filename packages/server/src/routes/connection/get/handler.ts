import { connectionFind } from '../../../db/index.ts'
import { notFound } from '../../../http/index.ts'
import { implement } from '../../operation.ts'
import { found, inEnvironment } from '../../tenant.ts'
import { boundConnection } from '../bound.ts'
import { presentConnection } from '../present.ts'

export const connectionGet = implement('connectionGet', (call) =>
  inEnvironment(call, async (tx, at) => {
    const only = boundConnection(call.principal)
    if (only !== null && only !== call.ids.connection) throw notFound()
    return presentConnection(found(await connectionFind(tx, at, call.ids.connection)))
  }),
)
