import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { foundKey } from '../present.ts'

export const dataKeyRemove = implement('dataKeyRemove', async ({ deps, ids, principal }) => {
  await foundKey(deps.keeper.removeDataKey(ids.org, ids.data_key, principalRef(principal)))
  return undefined
})
