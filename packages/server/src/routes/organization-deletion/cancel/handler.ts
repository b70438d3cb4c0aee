import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'

export const organizationDeletionCancel = implement('organizationDeletionCancel', async ({ deps, ids, principal }) => {
  await deps.deletions.takeBack(ids.org, principalRef(principal))
  return undefined
})
