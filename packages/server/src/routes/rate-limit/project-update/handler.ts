import { implement } from '../../operation.ts'
import { inProject } from '../../tenant.ts'
import { changeRateLimit } from '../change.ts'

export const projectRateLimitUpdate = implement('projectRateLimitUpdate', (call) =>
  inProject(call, (tx, { id }) => changeRateLimit(tx, { kind: 'project', id }, call)),
)
