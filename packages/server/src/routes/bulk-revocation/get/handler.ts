import { implement } from '../../operation.ts'
import { found } from '../../tenant.ts'
import { presentBulkRevocation } from '../present.ts'

export const bulkRevocationGet = implement('bulkRevocationGet', async ({ ids, deps }) =>
  presentBulkRevocation(found(await deps.revocation.bulk.find(ids.org, ids.bulk))),
)
