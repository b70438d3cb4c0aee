import { formatId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { organizationFind, organizationRename } from '../../../db/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { found, inOrganization } from '../../tenant.ts'
import { presentOrganization } from '../present.ts'

export const organizationUpdate = implement('organizationUpdate', (call) =>
  inOrganization(call, async (tx) => {
    const { name } = call.body
    const before = found(await organizationFind(tx))
    if (before.name === name) return presentOrganization(before)
    const after = found(await organizationRename(tx, name))
    await appendAudit(tx, {
      action: 'organization.updated',
      actor: principalRef(call.principal),
      target: formatId('org', after.id),
      detail: { name: { from: before.name, to: name } },
    })
    return presentOrganization(after)
  }),
)
