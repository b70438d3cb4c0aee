import { verifyOrganization } from '../../../audit/index.ts'
import { implement } from '../../operation.ts'

export const auditVerify = implement('auditVerify', async ({ deps, ids }) => {
  const { intact, events, head, firstFault } = await verifyOrganization(deps.database, ids.org)
  return {
    intact,
    events: events.toString(),
    head: head === null ? null : head.toString('hex'),
    first_fault: firstFault && { seq: firstFault.seq.toString(), reason: firstFault.reason },
  }
})
