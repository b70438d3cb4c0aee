import { implement } from '../../operation.ts'

export const connectSessionGet = implement('connectSessionGet', async ({ deps, ids, principal }) =>
  deps.connect.getSession(principal, ids, ids.session),
)
