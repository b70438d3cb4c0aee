import { isDeepStrictEqual } from 'node:util'
import { formatId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { budgetHold, budgetUpdate as updateRow } from '../../../db/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { found, inOrganization } from '../../tenant.ts'
import { presentBudgets } from '../present.ts'
import { amountOf, termsDetail } from '../terms.ts'

/** What changes nothing writes nothing. */
export const budgetUpdate = implement('budgetUpdate', (call) => {
  const { body, ids, principal } = call
  return inOrganization(call, async (tx) => {
    const before = found(await budgetHold(tx, ids.budget))
    const wanted = {
      amountNano: body.amount_usd === undefined ? before.amountNano : amountOf(body.amount_usd),
      enforcement: body.enforcement ?? before.enforcement,
      unpriced: body.unpriced ?? before.unpriced,
    }
    const [from, to] = [termsDetail(before), termsDetail(wanted)]
    if (isDeepStrictEqual(from, to)) return (await presentBudgets(tx, [before]))[0]!
    const after = found(await updateRow(tx, ids.budget, wanted))
    const event = { action: 'budget.updated', actor: principalRef(principal), target: formatId('bud', ids.budget) }
    await appendAudit(tx, { ...event, detail: { from, to } })
    return (await presentBudgets(tx, [after]))[0]!
  })
})
