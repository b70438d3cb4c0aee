import { principalRef } from '../../../identity/index.ts'
import { presentRewrap } from '../../data-key/present.ts'
import { implement } from '../../operation.ts'

/** Of this organization alone: other organizations' keys, and the installation's secrets, are the hourly job's and the operator's. */
export const rootKeyRotate = implement('rootKeyRotate', async ({ deps, ids, principal }) =>
  presentRewrap(await deps.keeper.rotateRootOf(ids.org, principalRef(principal))),
)
