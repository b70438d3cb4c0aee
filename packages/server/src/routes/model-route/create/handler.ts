import { formatId, newId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { MODEL_ROUTES_MOST, modelRouteCount, modelRouteInsert } from '../../../db/index.ts'
import { ProblemError } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { inEnvironment } from '../../tenant.ts'
import { presentModelRoute } from '../present.ts'
import { refusingTakenRouteName, termsDetail, termsWith } from '../terms.ts'

export const modelRouteCreate = implement('modelRouteCreate', (call) => {
  const { body, deps, principal } = call
  const nothing = { name: body.name, strategy: body.strategy, targets: [], fallbackOn: [], deadlineMs: body.deadline_ms }
  const terms = termsWith(nothing, body, deps.providerKeys.providers)
  return inEnvironment(call, async (tx, at) => {
    if ((await modelRouteCount(tx, at)) >= MODEL_ROUTES_MOST) {
      throw new ProblemError('conflict', `An environment has at most ${MODEL_ROUTES_MOST} routes. Take one out that nobody asks for.`)
    }
    const actor = principalRef(principal)
    const made = await refusingTakenRouteName(modelRouteInsert(tx, at, { ...terms, id: newId('mroute'), createdBy: actor }))
    const target = formatId('mroute', made.id)
    await appendAudit(tx, { action: 'model_route.created', actor, target, detail: termsDetail(made) })
    return presentModelRoute(made)
  })
})
