import type { z } from 'zod'
import type { schemas } from '@sallyport/contract'
import { formatId, usdOf } from '@sallyport/core'
import type { KeyId, ProjectId } from '@sallyport/core'
import { budgetStates } from '../../db/index.ts'
import type { Budget, BudgetState, TenantTx } from '../../db/index.ts'

/** With how each stands now. */
export async function presentBudgets(tx: TenantTx, budgets: readonly Budget[]): Promise<z.input<typeof schemas.budget>[]> {
  const states = await budgetStates(
    tx,
    budgets.map(({ id }) => id),
  )
  return budgets.map((budget) => presentBudget(budget, states.get(budget.id)!))
}

function presentBudget(budget: Budget, { startsOn, spentNano, heldNano }: BudgetState): z.input<typeof schemas.budget> {
  return {
    id: formatId('bud', budget.id),
    holder: budget.holder,
    project: budget.holder === 'project' ? formatId('proj', budget.holderId as ProjectId) : null,
    key: budget.holder === 'key' ? formatId('key', budget.holderId as KeyId) : null,
    amount_usd: usdOf(budget.amountNano),
    period: budget.period,
    enforcement: budget.enforcement,
    unpriced: budget.unpriced,
    period_starts_on: startsOn,
    spent_usd: usdOf(spentNano),
    held_usd: usdOf(heldNano),
    created_by: budget.createdBy,
    created_at: budget.createdAt.toISOString(),
    changed_at: budget.changedAt.toISOString(),
  }
}
