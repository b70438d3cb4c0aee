import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId, hasCode } from '@sallyport/core'
import { notFound } from '../../http/index.ts'
import type { CountedDataKey, RewrapReport } from '../../vault/index.ts'

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

export function presentRewrap({ to, dataKeys, unreadable }: RewrapReport): z.input<typeof schemas.rewrapReport> {
  return { to, rewrapped: dataKeys, unreadable }
}

/** A key that was named and isn't there is absent; the same code means elsewhere that something can't be opened. */
export async function foundKey<T>(work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    throw hasCode(error, 'data_key_missing') || hasCode(error, 'root_key_missing') ? notFound() : error
  })
}
