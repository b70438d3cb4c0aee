import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import type { RequestRecordRow } from '../../db/index.ts'

const US_PER_MS = 1000

export function presentRecord(record: RequestRecordRow): z.input<typeof schemas.requestRecord> {
  return {
    id: formatId('req', record.id),
    at: record.at.toISOString(),
    integration: record.integrationSlug,
    connection: record.connection && formatId('conn', record.connection),
    model_provider: record.modelProvider ?? null,
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
