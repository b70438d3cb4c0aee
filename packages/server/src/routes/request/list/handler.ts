import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import type { RequestId } from '@sallyport/core'
import { requestRecordList } from '../../../db/index.ts'
import type { RequestRecordRow } from '../../../db/index.ts'
import { ProblemError } from '../../../http/index.ts'
import { boundConnection } from '../../connection/bound.ts'
import { implement } from '../../operation.ts'
import { listPage } from '../../page.ts'
import { inEnvironment } from '../../tenant.ts'

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

const US_PER_MS = 1000

function presentRecord(record: RequestRecordRow): z.input<typeof schemas.requestRecord> {
  return {
    id: formatId('req', record.id),
    at: record.at.toISOString(),
    integration: record.integrationSlug,
    connection: record.connection && formatId('conn', record.connection),
    key: formatId('key', record.key),
    method: record.method,
    path: record.path,
    status: record.status,
    source: record.source,
    error: record.error,
    duration_ms: record.durationUs / US_PER_MS,
    bytes_in: record.bytesIn,
    bytes_out: record.bytesOut,
  }
}
