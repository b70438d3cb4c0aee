import type { KeyId } from '@sallyport/core'
import { apiKeyList } from '../../../db/index.ts'
import { boundConnection } from '../../connection/bound.ts'
import { implement } from '../../operation.ts'
import { listPage } from '../../page.ts'
import { inEnvironment } from '../../tenant.ts'
import { presentKey } from '../present.ts'

/** A key bound to one connection sees the keys that are bound to the same one. */
export const keyList = implement('keyList', (call) => {
  const only = boundConnection(call.principal)
  return inEnvironment(call, (tx, at) =>
    listPage(call, {
      rows: (page) => apiKeyList(tx, at, only, page),
      keyOf: (key) => key.id,
      readKey: (text: string) => text as KeyId,
      present: presentKey,
      filters: [`bound=${only ?? ''}`],
    }),
  )
})
