import { isDeepStrictEqual } from 'node:util'
import { formatId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { projectUpdate as updateProject } from '../../../db/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { found, inProject } from '../../tenant.ts'
import { presentProject } from '../present.ts'
import { checkedOrigins } from './return-origins.ts'

/** What is asked for and stands already is no change: nothing is written of it, neither in the project nor in the log. */
export const projectUpdate = implement('projectUpdate', (call) => {
  const { name, return_origins } = call.body
  const returnOrigins = return_origins && checkedOrigins(return_origins, call.deps.loopbackOrigins)
  return inProject(call, async (tx, before) => {
    const renamed = name !== undefined && name !== before.name
    const moved = returnOrigins !== undefined && !isDeepStrictEqual(returnOrigins, before.returnOrigins)
    if (!renamed && !moved) return presentProject(before)
    const after = found(await updateProject(tx, before.id, { ...(renamed && { name }), ...(moved && { returnOrigins }) }))
    await appendAudit(tx, {
      action: 'project.updated',
      actor: principalRef(call.principal),
      target: formatId('proj', after.id),
      detail: { ...(renamed && { name }), ...(moved && { return_origins: returnOrigins }) },
    })
    return presentProject(after)
  })
})
