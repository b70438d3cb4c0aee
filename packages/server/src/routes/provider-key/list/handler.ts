import type { ProviderKeyId } from '@sallyport/core'
import { providerKeyList as listRows } from '../../../db/index.ts'
import type { Place, TenantTx } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import type { Call } from '../../operation.ts'
import { listPage } from '../../page.ts'
import { inOrganization } from '../../tenant.ts'
import { atEnvironment } from '../at-environment.ts'
import { presentProviderKey } from '../present.ts'

type Listed = Call<'providerKeyList'> | Call<'organizationProviderKeyList'>

const pageOf = (call: Listed, tx: TenantTx, place: Place | null) =>
  listPage(call, {
    rows: (page) => listRows(tx, place, page),
    keyOf: (key) => key.id,
    readKey: (text: string) => text as ProviderKeyId,
    present: (key) => presentProviderKey(key, call.deps.now()),
  })

export const providerKeyList = implement('providerKeyList', (call) => atEnvironment(call, (tx, at) => pageOf(call, tx, at)))

export const organizationProviderKeyList = implement('organizationProviderKeyList', (call) =>
  inOrganization(call, (tx) => pageOf(call, tx, null)),
)
