import { verifyOrganization } from '../../../audit/index.ts'
import { oneEach } from '../../one-each.ts'
import { implement } from '../../operation.ts'

const alone = oneEach('This log is being verified on this node already.')

export const auditVerify = implement('auditVerify', async ({ deps, ids }) => {
  const { intact, events, head, checkpoints, vouched, firstFault } = await alone(ids.org, () => verifyOrganization(deps.database, ids.org))
  return {
    intact,
    events: events.toString(),
    head: head === null ? null : head.toString('hex'),
    checkpoints: checkpoints.toString(),
    vouched: vouched && { seq: vouched.seq.toString(), at: vouched.at },
    first_fault: firstFault && { seq: firstFault.seq.toString(), reason: firstFault.reason },
  }
})
