import { personOf } from '../../../organizations/index.ts'
import { implement } from '../../operation.ts'
import { presentDeletion } from '../present.ts'

export const organizationDelete = implement('organizationDelete', async ({ body, deps, ids, principal }) => {
  const wanted = { confirm: body.confirm, graceS: body.grace_s, patienceS: body.wait_for_providers_s }
  return presentDeletion(await deps.deletions.request(ids.org, personOf(principal).userId, wanted))
})
