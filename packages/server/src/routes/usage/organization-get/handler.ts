import { implement } from '../../operation.ts'
import { inOrganization } from '../../tenant.ts'
import { usageReport } from '../report.ts'

export const organizationUsageGet = implement('organizationUsageGet', (call) =>
  inOrganization(call, (tx) => usageReport(tx, null, { query: call.query, now: call.deps.now() })),
)
