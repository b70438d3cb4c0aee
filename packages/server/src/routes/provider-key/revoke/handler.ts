import type { ProviderKeyId } from '@sallyport/core'
import type { Place, TenantTx } from '../../../db/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import type { Call } from '../../operation.ts'
import { inOrganization } from '../../tenant.ts'
import { atEnvironment } from '../at-environment.ts'
import { presentProviderKey } from '../present.ts'

type Revoked = Call<'providerKeyRevoke'> | Call<'organizationProviderKeyRevoke'>

async function revoke({ deps, principal }: Revoked, tx: TenantTx, place: Place | null, id: ProviderKeyId) {
  return presentProviderKey(await deps.providerKeys.revoke(tx, place, id, principalRef(principal)), deps.now())
}

export const providerKeyRevoke = implement('providerKeyRevoke', (call) =>
  atEnvironment(call, (tx, at) => revoke(call, tx, at, call.ids.provider_key)),
)

export const organizationProviderKeyRevoke = implement('organizationProviderKeyRevoke', (call) =>
  inOrganization(call, (tx) => revoke(call, tx, null, call.ids.organization_provider_key)),
)
