/** Owns what is counted in an SDK: calls, refreshes and queues. Refuses labels that name a user. */
import { CALL_METRICS } from '../observability/index.ts'
import type { MetricDefinition } from '../observability/index.ts'
import { PIPELINE_METRICS } from '../pipeline/index.ts'
import { REFRESH_METRICS } from '../refresh/index.ts'

/** All that an SDK counts. */
export const SDK_METRICS: readonly MetricDefinition[] = [
  ...CALL_METRICS,
  ...REFRESH_METRICS,
  ...PIPELINE_METRICS,
  {
    name: 'provider_up',
    kind: 'gauge',
    help: '0 for a provider that fails, by the calls that were made and the probes that were sent; else 1.',
    labels: { provider: 'open' },
  },
  {
    name: 'revocations_pending',
    kind: 'gauge',
    help: 'Connections that were ended and whose tokens are not taken back at their provider yet, in all processes on the store; counted up to 1,000.',
    labels: {},
  },
]
