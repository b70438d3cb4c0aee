import { formatId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { modelRouteHold, modelRouteRemove } from '../../../db/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { found, inEnvironment } from '../../tenant.ts'

export const modelRouteDelete = implement('modelRouteDelete', (call) =>
  inEnvironment(call, async (tx, at) => {
    const { id, name } = found(await modelRouteHold(tx, at, call.ids.model_route))
    await modelRouteRemove(tx, id)
    const event = { action: 'model_route.deleted', actor: principalRef(call.principal), target: formatId('mroute', id) }
    await appendAudit(tx, { ...event, detail: { name } })
    return undefined
  }),
)
