import { principalRef } from '../../../identity/index.ts'
import { foundKey } from '../../data-key/present.ts'
import { implement } from '../../operation.ts'

export const rootKeyRemove = implement('rootKeyRemove', async ({ deps, ids, principal }) => {
  await foundKey(deps.keeper.removeRetiredRootKey(ids.root_key, principalRef(principal), ids.org))
  return undefined
})
