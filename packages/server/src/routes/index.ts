/** The control plane's operations over the features. */
export { registerOperations } from './register.ts'
export type { RouteDeps } from './operation.ts'
export { organizationLines } from './organization/export/lines.ts'
export { presentBudgets } from './budget/present.ts'
export { usageReport } from './usage/report.ts'
