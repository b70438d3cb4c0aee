import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { presentDataKey } from '../present.ts'

/** Making the key is done when this answers; moving the records goes on behind it, here or wherever the hourly job comes next. */
export const dataKeyRotate = implement('dataKeyRotate', async ({ deps, ids, principal }) => {
  const actor = principalRef(principal)
  const renewed = await deps.keeper.renew(ids.org, actor)
  deps.keeper.sweepSoon(ids.org, actor)
  return { started: renewed !== undefined, data: (await deps.keeper.dataKeys(ids.org)).map(presentDataKey) }
})
