import { Secret } from '@sallyport/core'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { inEnvironment } from '../../tenant.ts'
import { presentEventSource } from '../present.ts'

export const eventSourceCreate = implement('eventSourceCreate', async (call) => {
  const { ids, body, deps, principal } = call
  const at = await inEnvironment(call, async (_tx, place) => place)
  const wanted = {
    kind: body.kind,
    secret: body.secret === undefined ? undefined : new Secret(body.secret),
    issuers: body.issuers,
    keysUri: body.keys_uri,
    audiences: body.audiences,
  }
  const { source, secret } = await deps.eventSources.create(ids.org, at, ids.integration, wanted, principalRef(principal))
  return { source: presentEventSource(source, deps.publicUrl), secret: secret?.reveal() ?? null }
})
