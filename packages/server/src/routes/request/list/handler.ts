import type { RequestId } from '@sallyport/core'
import { requestRecordList } from '../../../db/index.ts'
import { ProblemError } from '../../../http/index.ts'
import { boundConnection } from '../../connection/bound.ts'
import { implement } from '../../operation.ts'
import { listPage } from '../../page.ts'
import { inEnvironment } from '../../tenant.ts'
import { presentRecord } from '../present.ts'

export const requestList = implement('requestList', (call) => {
  if (boundConnection(call.principal) !== null)
    throw new ProblemError('forbidden', 'A key bound to one connection sees no calls of others.')
  return inEnvironment(call, (tx, at) =>
    listPage(call, {
      rows: (page) => requestRecordList(tx, at, page),
      keyOf: (record) => record.id,
      readKey: (text: string) => text as RequestId,
      present: presentRecord,
    }),
  )
})
