import { verifyOrganization } from '../../../audit/index.ts'
import { implement } from '../../operation.ts'

export const auditVerify = implement('auditVerify', async ({ deps, ids }) => {
  const { intact, events, head, checkpoints, vouched, firstFault } = await verifyOrganization(deps.database, ids.org)
  return {
    intact,
    events: events.toString(),
    head: head === null ? null : head.toString('hex'),
    checkpoints: checkpoints.toString(),
    vouched: vouched && { seq: vouched.seq.toString(), at: vouched.at },
    first_fault: firstFault && { seq: firstFault.seq.toString(), reason: firstFault.reason },
  }
})
