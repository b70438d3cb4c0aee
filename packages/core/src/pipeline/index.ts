/** What stands around a call to a provider, so that a bad moment of either side does not become an outage of both. */
export type { Answer, Call, Policy, Send } from './call.ts'
export { PipelineError } from './errors.ts'
export type { PipelineErrorCode } from './errors.ts'
export { PIPELINE_METRICS } from './metrics.ts'
export { Breaker } from './breaker.ts'
export type { BreakerOptions, CircuitChange, CircuitState } from './breaker.ts'
export { ManualTime, systemPause } from './time.ts'
