/** What the engine tells of itself: records, failures and counts, none of which may carry a secret. */
export { createLogger } from './logger.ts'
export type { LogFields, Logger, LoggerOptions, LogLevel } from './logger.ts'
export { describeError } from './describe-error.ts'
export type { ErrorDescription } from './describe-error.ts'
export { writeLine } from './output.ts'
export { CALL_METRICS } from './call-metrics.ts'
export { METRICS_CONTENT_TYPE, MetricsRegistry, noMetrics } from './metrics.ts'
export type { MetricDefinition, MetricLabels, Metrics } from './metrics.ts'
