import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { inEnvironment } from '../../tenant.ts'

export const eventSourceDelete = implement('eventSourceDelete', async (call) => {
  const { ids, deps, principal } = call
  const at = await inEnvironment(call, async (_tx, place) => place)
  await deps.eventSources.remove(ids.org, at, ids.integration, ids.source, principalRef(principal))
  return undefined
})
