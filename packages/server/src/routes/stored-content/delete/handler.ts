import { formatId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { storedContentDelete as remove } from '../../../db/index.ts'
import { notFound } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { inEnvironment } from '../../tenant.ts'

export const storedContentDelete = implement('storedContentDelete', (call) =>
  inEnvironment(call, async (tx, at) => {
    const { request } = call.ids
    const parts = await remove(tx, at, request)
    if (parts === 0) throw notFound()
    await appendAudit(tx, {
      action: 'stored_content.deleted',
      actor: principalRef(call.principal),
      target: formatId('req', request),
      detail: { parts },
    })
    return undefined
  }),
)
