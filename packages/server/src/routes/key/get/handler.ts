import { apiKeyFind } from '../../../db/index.ts'
import type { ApiKey } from '../../../db/index.ts'
import { notFound } from '../../../http/index.ts'
import { boundConnection } from '../../connection/bound.ts'
import { implement } from '../../operation.ts'
import { found } from '../../tenant.ts'
import { inKeysOfEnvironment, inKeysOfOrganization } from '../place.ts'
import type { OneKeyCall } from '../place.ts'
import { presentKey, presentOrganizationKey } from '../present.ts'

export const keyGet = implement('keyGet', async (call) => presentKey(await getKey(inKeysOfEnvironment(call))))

export const organizationKeyGet = implement('organizationKeyGet', async (call) =>
  presentOrganizationKey(await getKey(inKeysOfOrganization(call))),
)

/** To a key bound to one connection, keys bound otherwise are absent. */
function getKey({ ids, principal, inPlace }: OneKeyCall): Promise<ApiKey> {
  return inPlace(async (tx, at) => {
    const only = boundConnection(principal)
    const key = found(await apiKeyFind(tx, at, ids.key))
    if (only !== null && key.connection !== only) throw notFound()
    return key
  })
}
