import { Secret } from '@sallyport/core'
import type { Place, TenantTx } from '../../../db/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { requireRoom } from '../../../organizations/index.ts'
import { implement } from '../../operation.ts'
import type { Call } from '../../operation.ts'
import { inOrganization } from '../../tenant.ts'
import { atEnvironment } from '../at-environment.ts'
import { presentProviderKey } from '../present.ts'

async function create(call: Call<'providerKeyCreate'> | Call<'organizationProviderKeyCreate'>, tx: TenantTx, place: Place | null) {
  const { body, deps, principal } = call
  await requireRoom(tx, deps.room, 'providerKeys')
  const wanted = { ...body, secret: new Secret(body.secret) }
  return presentProviderKey(await deps.providerKeys.create(tx, place, wanted, principalRef(principal)), deps.now())
}

export const providerKeyCreate = implement('providerKeyCreate', (call) => atEnvironment(call, (tx, at) => create(call, tx, at)))

export const organizationProviderKeyCreate = implement('organizationProviderKeyCreate', (call) =>
  inOrganization(call, (tx) => create(call, tx, null)),
)
