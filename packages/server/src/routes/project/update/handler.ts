import { formatId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { projectUpdate as updateProject } from '../../../db/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { found, inProject } from '../../tenant.ts'
import { presentProject } from '../present.ts'
import { checkedOrigins } from './return-origins.ts'

export const projectUpdate = implement('projectUpdate', (call) => {
  const { name, return_origins } = call.body
  const returnOrigins = return_origins && checkedOrigins(return_origins, call.deps.loopbackOrigins)
  return inProject(call, async (tx, before) => {
    const after = found(await updateProject(tx, before.id, { name, returnOrigins }))
    await appendAudit(tx, {
      action: 'project.updated',
      actor: principalRef(call.principal),
      target: formatId('proj', after.id),
      detail: { ...(name === undefined ? {} : { name }), ...(returnOrigins === undefined ? {} : { return_origins: returnOrigins }) },
    })
    return presentProject(after)
  })
})
