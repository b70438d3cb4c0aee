import type { ProjectId } from '@sallyport/core'
import { projectList as listProjects } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { listPage } from '../../page.ts'
import { inOrganization } from '../../tenant.ts'
import { presentProject } from '../present.ts'

export const projectList = implement('projectList', (call) =>
  inOrganization(call, (tx) =>
    listPage(call, {
      rows: (page) => listProjects(tx, page),
      keyOf: (project) => project.id,
      readKey: (text: string) => text as ProjectId,
      present: presentProject,
    }),
  ),
)
