import type { BudgetId } from '@sallyport/core'
import { budgetList as listRows } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { listPage } from '../../page.ts'
import { inOrganization } from '../../tenant.ts'
import { presentBudgets } from '../present.ts'

export const budgetList = implement('budgetList', (call) =>
  inOrganization(call, async (tx) => {
    const { data, next_cursor } = await listPage(call, {
      rows: (page) => listRows(tx, page),
      keyOf: (budget) => budget.id,
      readKey: (text: string) => text as BudgetId,
      present: (budget) => budget,
    })
    return { data: await presentBudgets(tx, data), next_cursor }
  }),
)
