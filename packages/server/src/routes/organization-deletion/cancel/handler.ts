import { personOf } from '../../../organizations/index.ts'
import { implement } from '../../operation.ts'

export const organizationDeletionCancel = implement('organizationDeletionCancel', async ({ deps, ids, principal }) => {
  await deps.deletions.takeBack(ids.org, personOf(principal).userId)
  return undefined
})
