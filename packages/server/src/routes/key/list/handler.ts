import type { KeyId } from '@sallyport/core'
import { apiKeyList } from '../../../db/index.ts'
import { boundConnection } from '../../connection/bound.ts'
import { implement } from '../../operation.ts'
import { listPage } from '../../page.ts'
import { inKeysOfEnvironment, inKeysOfOrganization } from '../place.ts'
import { presentKey, presentOrganizationKey } from '../present.ts'

const readKey = (text: string) => text as KeyId

/** A key bound to one connection sees the keys that are bound to the same one. */
export const keyList = implement('keyList', (call) => {
  const only = boundConnection(call.principal)
  return inKeysOfEnvironment(call).inPlace((tx, at) =>
    listPage(call, {
      rows: (page) => apiKeyList(tx, at, only, page),
      keyOf: (key) => key.id,
      readKey,
      present: presentKey,
      filters: [`bound=${only ?? ''}`],
    }),
  )
})

/** A key sees those of its own environment. */
export const organizationKeyList = implement('organizationKeyList', (call) =>
  inKeysOfOrganization(call).inPlace((tx, at) =>
    listPage(call, {
      rows: (page) => apiKeyList(tx, at, null, page),
      keyOf: (key) => key.id,
      readKey,
      present: presentOrganizationKey,
      filters: [`environment=${at.environment ?? ''}`],
    }),
  ),
)
