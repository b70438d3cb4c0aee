import { formatId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { budgetDelete as deleteRow, budgetHold } from '../../../db/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { found, inOrganization } from '../../tenant.ts'
import { termsDetail } from '../terms.ts'

export const budgetDelete = implement('budgetDelete', (call) =>
  inOrganization(call, async (tx) => {
    const before = found(await budgetHold(tx, call.ids.budget))
    await deleteRow(tx, before.id)
    const event = { action: 'budget.deleted', actor: principalRef(call.principal), target: formatId('bud', before.id) }
    await appendAudit(tx, { ...event, detail: { period: before.period, ...termsDetail(before) } })
    return undefined
  }),
)
