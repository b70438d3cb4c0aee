import { notFound } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { boundConnection } from '../../connection/bound.ts'
import { implement } from '../../operation.ts'
import { inEnvironment } from '../../tenant.ts'

export const endUserDelete = implement('endUserDelete', async (call) => {
  const { ids, deps, principal } = call
  // A person may have more connections than the one that a bound key reaches.
  if (boundConnection(principal) !== null) throw notFound()
  const at = await inEnvironment(call, async (_tx, place) => place)
  const erased = await deps.revocation.eraseEndUser(ids.org, at, ids.end_user, principalRef(principal))
  if (erased.connections + erased.sessions + erased.usageRecords + erased.contents === 0) throw notFound()
  return {
    connections: erased.connections,
    connect_sessions: erased.sessions,
    keys: erased.keys.length,
    provider_revocations: erased.revocations,
    usage_records: erased.usageRecords,
    stored_contents: erased.contents,
  }
})
