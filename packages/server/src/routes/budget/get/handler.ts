import { budgetFind } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { found, inOrganization } from '../../tenant.ts'
import { presentBudgets } from '../present.ts'

export const budgetGet = implement('budgetGet', (call) =>
  inOrganization(call, async (tx) => (await presentBudgets(tx, [found(await budgetFind(tx, call.ids.budget))]))[0]!),
)
