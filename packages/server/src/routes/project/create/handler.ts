import { formatId, newId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { organizationFind, projectCreate as createProject } from '../../../db/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { requireRoom } from '../../../organizations/index.ts'
import { implement } from '../../operation.ts'
import { found, inOrganization } from '../../tenant.ts'
import { presentProject } from '../present.ts'
import { checkedOrigins } from '../update/return-origins.ts'

export const projectCreate = implement('projectCreate', (call) => {
  const { name, return_origins } = call.body
  const returnOrigins = checkedOrigins(return_origins, call.deps.loopbackOrigins)
  return inOrganization(call, async (tx) => {
    found(await organizationFind(tx))
    await requireRoom(tx, call.deps.room, 'projects')
    const made = await createProject(tx, { id: newId('proj'), name, returnOrigins })
    await appendAudit(tx, {
      action: 'project.created',
      actor: principalRef(call.principal),
      target: formatId('proj', made.id),
      detail: { name, return_origins: [...returnOrigins] },
    })
    return presentProject(made)
  })
})
