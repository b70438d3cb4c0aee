import { ProblemError } from '../../../http/index.ts'
import { boundConnection } from '../../connection/bound.ts'
import { implement } from '../../operation.ts'
import { inEnvironment } from '../../tenant.ts'
import { usageReport } from '../report.ts'

export const usageGet = implement('usageGet', (call) => {
  if (boundConnection(call.principal) !== null)
    throw new ProblemError('forbidden', 'A key bound to one connection sees no calls of others.')
  return inEnvironment(call, (tx, at) => usageReport(tx, at, { query: call.query, now: call.deps.now() }))
})
