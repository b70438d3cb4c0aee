/** Owns the metrics of the pipeline. Refuses labels that name an owner, a connection or a URL. */
import type { MetricDefinition } from '../observability/index.ts'

export const PIPELINE_METRICS: readonly MetricDefinition[] = [
  {
    name: 'circuit_breaker_state',
    kind: 'gauge',
    help: 'Circuits that are not closed, by state.',
    labels: { provider: 'open', state: ['open', 'half_open'] },
  },
  {
    name: 'circuit_breaker_changes_total',
    kind: 'counter',
    help: 'Changes of circuits, by the state they came to.',
    labels: { provider: 'open', to: ['closed', 'open', 'half_open'] },
  },
  {
    name: 'http_retries_total',
    kind: 'counter',
    help: 'Further tries of calls: those that were sent, and those that the budget refused.',
    labels: { provider: 'open', outcome: ['sent', 'over_budget'] },
  },
  {
    name: 'answer_cache_total',
    kind: 'counter',
    help: 'Calls that the cache of answers had a say in, by what came of them, and failures of its store.',
    labels: { provider: 'open', outcome: ['hit', 'miss', 'confirmed', 'stale', 'store_failed'] },
  },
  {
    name: 'rate_limit_queue_size',
    kind: 'gauge',
    help: 'Calls that wait for their turn under a limit of calls to a provider.',
    labels: { provider: 'open' },
  },
]
