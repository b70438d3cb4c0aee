/** Owns what is counted in an SDK: calls, refreshes and queues. Refuses labels that name a user. */
import { CALL_METRICS } from '../observability/index.ts'
import type { MetricDefinition } from '../observability/index.ts'
import { REFRESH_METRICS } from '../refresh/index.ts'

export const SDK_METRICS: readonly MetricDefinition[] = [
  ...CALL_METRICS,
  ...REFRESH_METRICS,
  {
    name: 'rate_limit_queue_size',
    kind: 'gauge',
    help: 'Calls that wait for the limits of a provider in this process.',
    labels: { provider: 'open' },
  },
]
