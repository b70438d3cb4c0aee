/** Owns the refusals of budgets. */
import { SallyportError } from '@sallyport/core'

/**
 * - `budget_exceeded`: what is left of a budget is less than the call may cost.
 * - `model_unpriced`: what the call may cost is not known, and a budget lets no such call through.
 * - `budget_unavailable`: whether there is enough left can't be asked now.
 */
export type BudgetErrorCode = 'budget_exceeded' | 'model_unpriced' | 'budget_unavailable'

const DETAILS: Readonly<Record<BudgetErrorCode, (holder: string) => string>> = {
  budget_exceeded: (holder) => `What is left of a budget of this ${holder} is less than this call may cost.`,
  model_unpriced: (holder) => `The cost of this call is not known, and a budget of this ${holder} lets no such call through.`,
  budget_unavailable: () => 'Whether a budget has enough left can not be asked at the moment. Try again shortly.',
}

export class BudgetError extends SallyportError<BudgetErrorCode> {
  override readonly name = 'BudgetError'
  /** Only of `budget_unavailable`: trying again soon helps. */
  readonly retryAfterS: number | undefined

  constructor(code: BudgetErrorCode, holder: string, cause?: unknown) {
    super(code, `a budget of the ${holder} refuses a call`, {
      publicDetail: DETAILS[code](holder),
      ...(cause === undefined ? {} : { cause }),
    })
    this.retryAfterS = code === 'budget_unavailable' ? 1 : undefined
  }
}
