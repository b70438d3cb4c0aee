import { formatId } from '@sallyport/core'
import { organizationFind } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { found, inOrganization } from '../../tenant.ts'

export const organizationGet = implement('organizationGet', async (call) => {
  const { id, name, createdAt } = found(await inOrganization(call, organizationFind))
  return { id: formatId('org', id), name, created_at: createdAt.toISOString() }
})
