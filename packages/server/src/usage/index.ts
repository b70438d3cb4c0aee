/** What model calls use: tokens, their cost, and how much of it may be spent. */
export { BudgetError } from './budget-error.ts'
export type { BudgetErrorCode } from './budget-error.ts'
export { createBudgets } from './budgets.ts'
export type { Budgets, BudgetStore, Reservation, Spender } from './budgets.ts'
export { createUsageMeter } from './meter.ts'
export type { MeteredCall, MeteredEnd, Metering, UsageMeter } from './metering.ts'
