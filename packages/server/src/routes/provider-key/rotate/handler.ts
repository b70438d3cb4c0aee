import { Secret } from '@sallyport/core'
import type { ProviderKeyId } from '@sallyport/core'
import type { Place, TenantTx } from '../../../db/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import type { Call } from '../../operation.ts'
import { inOrganization } from '../../tenant.ts'
import { atEnvironment } from '../at-environment.ts'
import { presentProviderKey } from '../present.ts'

type Rotated = Call<'providerKeyRotate'> | Call<'organizationProviderKeyRotate'>

async function rotate({ body, deps, principal }: Rotated, tx: TenantTx, place: Place | null, id: ProviderKeyId) {
  const next = { secret: new Secret(body.secret), settings: body.settings, overlapS: body.overlap_s }
  const { key, replaced } = await deps.providerKeys.rotate(tx, place, id, next, principalRef(principal))
  return { key: presentProviderKey(key, deps.now()), replaced: presentProviderKey(replaced, deps.now()) }
}

export const providerKeyRotate = implement('providerKeyRotate', (call) =>
  atEnvironment(call, (tx, at) => rotate(call, tx, at, call.ids.provider_key)),
)

export const organizationProviderKeyRotate = implement('organizationProviderKeyRotate', (call) =>
  inOrganization(call, (tx) => rotate(call, tx, null, call.ids.organization_provider_key)),
)
