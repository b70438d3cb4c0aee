import type { KeyId } from '@sallyport/core'
import { apiKeyList } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { listPage } from '../../page.ts'
import { inEnvironment } from '../../tenant.ts'
import { presentKey } from '../present.ts'

export const keyList = implement('keyList', (call) =>
  inEnvironment(call, (tx, at) =>
    listPage(call, {
      rows: (page) => apiKeyList(tx, at, page),
      keyOf: (key) => key.id,
      readKey: (text: string) => text as KeyId,
      present: presentKey,
    }),
  ),
)
