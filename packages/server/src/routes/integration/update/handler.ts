import { isDeepStrictEqual } from 'node:util'
import { formatId, Secret } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import type { JsonObject } from '../../../audit/index.ts'
import { integrationChange, integrationHold, integrationNeeds } from '../../../db/index.ts'
import type { Integration } from '../../../db/index.ts'
import { ProblemError } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { clientSecretPlace } from '../../../vault/index.ts'
import { implement } from '../../operation.ts'
import { found, inEnvironment } from '../../tenant.ts'
import { policyWith } from '../policy.ts'
import { presentIntegration } from '../present.ts'

/**
 * Connections stay: the next call that needs the client reads it anew. A call to the provider that is under way ends with the secret that it was
 * given, so make the new secret at the provider first, and end the old one there after this.
 */
export const integrationUpdate = implement('integrationUpdate', (call) => {
  const { body, deps, ids, principal } = call
  const secret = body.client_secret === undefined ? undefined : new Secret(body.client_secret)
  return inEnvironment(call, async (tx, at) => {
    const before = found(await integrationHold(tx, at, ids.integration))
    const wanted = {
      clientId: body.client_id ?? before.clientId,
      scopes: [...new Set(body.scopes ?? before.scopes)],
      callPolicy: policyWith(before.callPolicy, body.call_policy),
    }
    if (wanted.clientId !== before.clientId) refuseWhileNeeded(await integrationNeeds(tx, before.id))
    const changed = changes(before, wanted, secret !== undefined)
    if (Object.keys(changed).length === 0) return presentIntegration(before, deps.publicUrl)
    const clientSecret = secret === undefined ? before.clientSecret : await deps.vault.seal(tx, clientSecretPlace(before.id), secret)
    const after = await integrationChange(tx, before.id, { ...wanted, clientSecret })
    const target = formatId('int', before.id)
    await appendAudit(tx, { action: 'integration.updated', actor: principalRef(principal), target, detail: changed })
    return presentIntegration(after, deps.publicUrl)
  })
})

/** As another client nothing could be ended at the provider that was granted to this one: tokens would stay alive there. */
function refuseWhileNeeded({ connections, revocations }: Awaited<ReturnType<typeof integrationNeeds>>): void {
  if (connections)
    throw new ProblemError(
      'conflict',
      'Its connections were granted to the client id that it has. End them first, or make another integration.',
    )
  if (revocations)
    throw new ProblemError(
      'conflict',
      'The provider is still to be told, as the client id that it has, of grants that ended. Try again in a moment, or make another integration.',
    )
}

/** For the log. A secret that is given counts as another one: nothing compares it with the one before. */
function changes(before: Integration, wanted: Pick<Integration, 'clientId' | 'scopes' | 'callPolicy'>, secretGiven: boolean): JsonObject {
  return {
    ...(wanted.clientId === before.clientId ? {} : { client_id: { from: before.clientId, to: wanted.clientId } }),
    ...(isDeepStrictEqual(wanted.scopes, before.scopes) ? {} : { scopes: { from: [...before.scopes], to: [...wanted.scopes] } }),
    ...(isDeepStrictEqual(wanted.callPolicy, before.callPolicy)
      ? {}
      : { call_policy: { from: { ...before.callPolicy }, to: { ...wanted.callPolicy } } }),
    ...(secretGiven ? { client_secret: 'replaced' } : {}),
  }
}
