/** What the gateway counts, and the port on which it tells. */
export { METRICS } from './declared.ts'
export { watchProcess } from './process.ts'
export type { ProcessFigures } from './process.ts'
export { startMetricsServer } from './server.ts'
export type { MetricsServer } from './server.ts'
