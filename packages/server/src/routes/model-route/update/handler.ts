import { isDeepStrictEqual } from 'node:util'
import { formatId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { modelRouteChange, modelRouteHold } from '../../../db/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { found, inEnvironment } from '../../tenant.ts'
import { presentModelRoute } from '../present.ts'
import { refusingTakenRouteName, termsDetail, termsWith } from '../terms.ts'

/** What changes nothing writes nothing. */
export const modelRouteUpdate = implement('modelRouteUpdate', (call) => {
  const { body, deps, ids, principal } = call
  return inEnvironment(call, async (tx, at) => {
    const before = found(await modelRouteHold(tx, at, ids.model_route))
    const wanted = termsWith(before, body, deps.providerKeys.providers)
    const [from, to] = [termsDetail(before), termsDetail(wanted)]
    const changed = Object.keys(to).filter((name) => !isDeepStrictEqual(from[name], to[name]))
    if (changed.length === 0) return presentModelRoute(before)
    const after = await refusingTakenRouteName(modelRouteChange(tx, before.id, wanted))
    const detail = Object.fromEntries(changed.map((name) => [name, { from: from[name]!, to: to[name]! }]))
    const target = formatId('mroute', before.id)
    await appendAudit(tx, { action: 'model_route.updated', actor: principalRef(principal), target, detail })
    return presentModelRoute(after)
  })
})
