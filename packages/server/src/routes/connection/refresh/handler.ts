import { formatId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { connectionFind } from '../../../db/index.ts'
import { notFound, ProblemError } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { found, inEnvironment } from '../../tenant.ts'
import { boundConnection } from '../bound.ts'
import { presentConnection } from '../present.ts'

export const connectionRefresh = implement('connectionRefresh', async (call) => {
  const { deps, ids, principal } = call
  const { connection: id } = ids
  const only = boundConnection(principal)
  if (only !== null && only !== id) throw notFound()
  await inEnvironment(call, async (tx, at) => {
    const connection = found(await connectionFind(tx, at, id))
    if (connection.headSeq === 0n) throw new ProblemError('connection_not_ready', 'The connection has no credential yet.')
    // Asked for is what this says; what became of it has events of its own.
    const target = formatId('conn', id)
    await appendAudit(tx, { action: 'connection.refresh_requested', actor: principalRef(principal), target, detail: {} })
  })
  try {
    await deps.refresher.refreshNow({ scope: ids.org, id })
  } catch (error) {
    throw await deps.explain(error, principal, ids, id)
  }
  return inEnvironment(call, async (tx, at) => presentConnection(found(await connectionFind(tx, at, id))))
})
