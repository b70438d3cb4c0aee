import { formatId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { apiKeyFind, apiKeyUpdate } from '../../../db/index.ts'
import type { ApiKey } from '../../../db/index.ts'
import { notFound, ProblemError } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { boundConnection } from '../../connection/bound.ts'
import { implement } from '../../operation.ts'
import { checkedOrigins } from '../../project/update/return-origins.ts'
import { found } from '../../tenant.ts'
import { boundsFrom } from '../create/grant.ts'
import { inKeysOfEnvironment, inKeysOfOrganization } from '../place.ts'
import type { OneKeyCall } from '../place.ts'
import { presentKey, presentOrganizationKey } from '../present.ts'

interface Change {
  readonly name?: string | undefined
  readonly allowed_addresses?: readonly string[] | null | undefined
  readonly allowed_origins?: readonly string[] | null | undefined
}

export const keyUpdate = implement('keyUpdate', async (call) => presentKey(await updateKey(inKeysOfEnvironment(call))))

export const organizationKeyUpdate = implement('organizationKeyUpdate', async (call) =>
  presentOrganizationKey(await updateKey(inKeysOfOrganization(call))),
)

/**
 * What a key is bound to stays: its scopes, connection and sender, and a revoked key, are never changed. To a key bound to one connection, keys
 * bound otherwise are absent.
 */
async function updateKey({ body, deps, ids, principal, inPlace }: OneKeyCall<Change>): Promise<ApiKey> {
  // The place first: a stranger to it learns nothing of what was wrong with the body.
  await inPlace(() => Promise.resolve())
  const { name, allowed_addresses: addresses, allowed_origins: origins } = body
  const wanted = {
    ...(addresses === undefined ? {} : { allowedAddresses: addresses }),
    ...(origins === undefined ? {} : { allowedOrigins: origins && checkedOrigins(origins, deps.loopbackOrigins, '/body/allowed_origins') }),
  }
  const bounds = Object.keys(wanted).length === 0 ? {} : await boundsFrom(deps.database.lookups, principal, wanted)
  const change = { ...(name === undefined ? {} : { name }), ...bounds }
  return inPlace(async (tx, at) => {
    const only = boundConnection(principal)
    const before = found(await apiKeyFind(tx, at, ids.key))
    if (only !== null && before.connection !== only) throw notFound()
    const key = await apiKeyUpdate(tx, at, ids.key, change)
    if (key === undefined) throw new ProblemError('conflict', 'This key is revoked. Revoked keys are not changed.')
    const shown = presentKey(key)
    const detail = {
      ...(name === undefined ? {} : { name: shown.name }),
      ...(addresses === undefined ? {} : { allowed_addresses: shown.allowed_addresses }),
      ...(origins === undefined ? {} : { allowed_origins: shown.allowed_origins }),
    }
    await appendAudit(tx, { action: 'key.updated', actor: principalRef(principal), target: formatId('key', ids.key), detail })
    return key
  })
}
