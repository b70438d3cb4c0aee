/** Owns the metrics of refreshing. Refuses labels that name a credential. */
import type { MetricDefinition } from '../observability/index.ts'

/** Of renewing, under the names that dashboards know. */
export const REFRESH_METRICS: readonly MetricDefinition[] = [
  {
    name: 'token_refresh_total',
    kind: 'counter',
    help: 'Refresh calls made to providers, by what came of them.',
    labels: { provider: 'open', outcome: ['tokens', 'refused', 'misconfigured', 'limited', 'unsent', 'unknown'] },
  },
  {
    name: 'token_refresh_duration_seconds',
    kind: 'histogram',
    help: 'Time from a refresh call to its answer.',
    labels: { provider: 'open' },
    buckets: [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20],
  },
  {
    name: 'token_refresh_dedup_local_total',
    kind: 'counter',
    help: 'Callers that joined a refresh under way in their own process.',
    labels: {},
  },
  {
    name: 'token_refresh_dedup_distributed_total',
    kind: 'counter',
    help: 'Refreshes that another process made while this one waited for it.',
    labels: {},
  },
  {
    name: 'token_refresh_unsaved',
    kind: 'gauge',
    help: 'Answers of providers that this process holds and could not save yet.',
    labels: {},
  },
]
