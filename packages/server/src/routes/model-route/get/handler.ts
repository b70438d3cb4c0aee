import { modelRouteFind } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { found, inEnvironment } from '../../tenant.ts'
import { presentModelRoute } from '../present.ts'

export const modelRouteGet = implement('modelRouteGet', (call) =>
  inEnvironment(call, async (tx, at) => presentModelRoute(found(await modelRouteFind(tx, at, call.ids.model_route)))),
)
