import { notFound } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { found, inEnvironment } from '../../tenant.ts'
import { boundConnection } from '../bound.ts'
import { presentConnection } from '../present.ts'

export const connectionRevoke = implement('connectionRevoke', async (call) => {
  const { ids, deps, principal } = call
  const only = boundConnection(principal)
  if (only !== null && only !== ids.connection) throw notFound()
  const at = await inEnvironment(call, async (_tx, place) => place)
  const { connection, provider } = found(await deps.revocation.disconnect(ids.org, at, ids.connection, principalRef(principal)))
  const reason = provider.state === 'impossible' ? provider.reason : null
  return { connection: presentConnection(connection), provider_revocation: { state: provider.state, reason } }
})
