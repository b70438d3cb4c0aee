import { formatId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { integrationHold, integrationNeeds, integrationRemove } from '../../../db/index.ts'
import { ProblemError } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { found, inEnvironment } from '../../tenant.ts'

/** Nothing is ended by the way: whoever takes a client out with connections in use would end them at the provider without having said so. */
export const integrationDelete = implement('integrationDelete', (call) =>
  inEnvironment(call, async (tx, at) => {
    const { id, slug, provider } = found(await integrationHold(tx, at, call.ids.integration, true))
    const needs = await integrationNeeds(tx, id)
    if (needs.connections) throw new ProblemError('conflict', 'It has connections. Disconnect them first.')
    if (needs.revocations)
      throw new ProblemError('conflict', 'The provider is still to be told of grants that ended. Try again in a moment.')
    if (!(await integrationRemove(tx, id))) throw new ProblemError('conflict', 'It is needed again. Look at its connections.')
    const event = { action: 'integration.deleted', actor: principalRef(call.principal), target: formatId('int', id) }
    await appendAudit(tx, { ...event, detail: { slug, provider } })
    return undefined
  }),
)
