import { signInPolicyFind } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { inOrganization } from '../../tenant.ts'
import { presentSignInPolicy } from '../present.ts'

export const signInPolicyGet = implement('signInPolicyGet', (call) =>
  inOrganization(call, async (tx) => presentSignInPolicy(await signInPolicyFind(tx))),
)
