/** Owns the end of an organization's data keys, in the transaction of whatever it belongs to. Refuses to be undone: what they sealed stays shut. */
import { formatId } from '@sallyport/core'
import type { DataKeyId } from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import { dataKeyDestroyAll } from '../db/index.ts'
import type { TenantTx } from '../db/index.ts'
import { recordsPerKey } from './sweep.ts'

export interface Losses {
  readonly keys: readonly DataKeyId[]
  /** Records that could never be opened again. */
  readonly records: number
}

/** Destroys every data key of the transaction's organization; each is in the log with what was under it. */
export async function shredIn(tx: TenantTx, actor: string): Promise<Losses> {
  const keys = await dataKeyDestroyAll(tx)
  const counts = await recordsPerKey(tx)
  const lost = keys.map((id) => ({ id, records: counts.get(id) ?? 0 }))
  await appendAudit(
    tx,
    ...lost.map(({ id, records }) => ({
      action: 'data_key.destroyed',
      actor,
      target: formatId('dk', id),
      detail: { id: formatId('dk', id), records },
    })),
  )
  return { keys, records: lost.reduce((total, { records }) => total + records, 0) }
}
