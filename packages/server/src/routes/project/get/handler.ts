import { implement } from '../../operation.ts'
import { inProject } from '../../tenant.ts'
import { presentProject } from '../present.ts'

export const projectGet = implement('projectGet', (call) => inProject(call, async (_tx, project) => presentProject(project)))
