import { integrationFind } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { found, inEnvironment } from '../../tenant.ts'
import { presentIntegration } from '../present.ts'

export const integrationGet = implement('integrationGet', (call) =>
  inEnvironment(call, async (tx, at) =>
    presentIntegration(found(await integrationFind(tx, at, call.ids.integration)), call.deps.publicUrl),
  ),
)
