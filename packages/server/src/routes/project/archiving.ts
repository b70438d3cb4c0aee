/** Owns putting a project to rest and back into use. What is so already is no change: nothing is written of it. */
import { formatId } from '@sallyport/core'
import { appendAudit } from '../../audit/index.ts'
import { projectSetArchived } from '../../db/index.ts'
import { principalRef } from '../../identity/index.ts'
import type { Call } from '../operation.ts'
import { inProject } from '../tenant.ts'
import { presentProject } from './present.ts'

export function archiving(call: Call<'projectArchive'> | Call<'projectRestore'>, archived: boolean) {
  return inProject(call, async (tx, before) => {
    const after = await projectSetArchived(tx, before.id, archived)
    if (after === undefined) return presentProject(before)
    const action = archived ? 'project.archived' : 'project.restored'
    await appendAudit(tx, { action, actor: principalRef(call.principal), target: formatId('proj', after.id), detail: {} })
    return presentProject(after)
  })
}
