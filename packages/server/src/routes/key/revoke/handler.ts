import { formatId } from '@sallyport/core'
import { appendAuditAll } from '../../../audit/index.ts'
import { apiKeyFind, apiKeyRevoke } from '../../../db/index.ts'
import type { ApiKey } from '../../../db/index.ts'
import { notFound } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { boundConnection } from '../../connection/bound.ts'
import { implement } from '../../operation.ts'
import { found } from '../../tenant.ts'
import { inKeysOfEnvironment, inKeysOfOrganization } from '../place.ts'
import type { OneKeyCall } from '../place.ts'
import { presentKey, presentOrganizationKey } from '../present.ts'

export const keyRevoke = implement('keyRevoke', async (call) => presentKey(await revokeKey(inKeysOfEnvironment(call))))

export const organizationKeyRevoke = implement('organizationKeyRevoke', async (call) =>
  presentOrganizationKey(await revokeKey(inKeysOfOrganization(call))),
)

/**
 * Repeating it answers the same and writes nothing: one event stands beside each change that it tells of, of the key and of every key that
 * came of it. To a key bound to one connection,
 * keys bound otherwise are absent.
 */
function revokeKey({ ids, principal, inPlace }: OneKeyCall): Promise<ApiKey> {
  return inPlace(async (tx, at) => {
    const only = boundConnection(principal)
    const wanted = found(await apiKeyFind(tx, at, ids.key))
    if (only !== null && wanted.connection !== only) throw notFound()
    const { key, ended } = found(await apiKeyRevoke(tx, at, ids.key))
    const actor = principalRef(principal)
    const events = ended.map(({ id }) => {
      const detail = id === key.id ? {} : { with: formatId('key', key.id) }
      return { action: 'key.revoked', actor, target: formatId('key', id), detail }
    })
    await appendAuditAll(tx, events)
    return key
  })
}
