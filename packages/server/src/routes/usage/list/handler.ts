import { parseId } from '@sallyport/core'
import type { UsageId } from '@sallyport/core'
import { usageFind } from '../../../db/index.ts'
import { ProblemError } from '../../../http/index.ts'
import { boundConnection } from '../../connection/bound.ts'
import { implement } from '../../operation.ts'
import { listPage } from '../../page.ts'
import { inEnvironment } from '../../tenant.ts'
import { presentUsage } from '../present.ts'

export const usageRecordList = implement('usageRecordList', (call) => {
  if (boundConnection(call.principal) !== null)
    throw new ProblemError('forbidden', 'A key bound to one connection sees no calls of others.')
  const { key, end_user: endUser, provider, model, from, until } = call.query
  const filter = {
    key: key === undefined ? undefined : parseId('key', key),
    endUser,
    provider,
    model,
    from: from === undefined ? undefined : new Date(from),
    until: until === undefined ? undefined : new Date(until),
  }
  const filters = Object.entries({ key, endUser, provider, model, from, until }).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  )
  return inEnvironment(call, (tx, at) =>
    listPage(call, {
      rows: (page) => usageFind(tx, at, filter, page),
      keyOf: (row) => row.id,
      readKey: (text: string) => text as UsageId,
      present: presentUsage,
      filters,
    }),
  )
})
