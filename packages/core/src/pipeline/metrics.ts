/** Owns the metrics of the pipeline. Refuses labels that name an owner, a connection or a URL. */
import type { MetricDefinition } from '../observability/index.ts'

/** Of the policies around a call. */
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
    name: 'rate_limit_queue_size',
    kind: 'gauge',
    help: 'Calls that wait for their turn under a limit of calls to a provider.',
    labels: { provider: 'open' },
  },
  {
    name: 'http_deprecated_answers_total',
    kind: 'counter',
    help: 'Answers of providers that announce the end of what was asked (Deprecation, Sunset).',
    labels: { provider: 'open' },
  },
  {
    name: 'provider_sunset_timestamp_seconds',
    kind: 'gauge',
    help: 'The earliest end that a provider announced for something that is asked of it, in seconds since 1970.',
    labels: { provider: 'open' },
  },
  {
    name: 'http_cache_hits_total',
    kind: 'counter',
    help: 'Calls that a kept answer was given to: fresh, confirmed by the provider, or stale in place of a provider that fails.',
    labels: { provider: 'open', answer: ['fresh', 'confirmed', 'stale'] },
  },
  {
    name: 'http_cache_misses_total',
    kind: 'counter',
    help: 'Calls that could have had a kept answer and got one from the provider.',
    labels: { provider: 'open' },
  },
  {
    name: 'http_cache_store_failures_total',
    kind: 'counter',
    help: 'Failures of the store of kept answers. They cost the answer, and no call.',
    labels: { provider: 'open' },
  },
]
