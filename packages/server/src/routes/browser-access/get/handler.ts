import { browserOriginsFind } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { inProject } from '../../tenant.ts'

export const browserAccessGet = implement('browserAccessGet', (call) =>
  inProject(call, async (tx, { id }) => ({ origins: [...(await browserOriginsFind(tx, id))] })),
)
