import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId } from '@sallyport/core'
import type { CountedDataKey } from '../../vault/index.ts'

/** A data key as its organization may know it: neither its bytes nor what wraps it. */
export function presentDataKey(key: CountedDataKey): z.input<typeof schemas.dataKey> {
  return {
    id: formatId('dk', key.id),
    status: key.status,
    records: key.records,
    created_at: key.createdAt.toISOString(),
    retired_at: key.retiredAt?.toISOString() ?? null,
  }
}
