/**
 * Owns what the engine counts, whoever runs it: the names that DESIGN 3 fixes, with their labels. Whoever makes a registry declares these in it.
 * Refuses what only the gateway or only the SDK counts: that stands beside whoever counts it.
 */
import type { MetricDefinition } from './metrics.ts'

/** Token calls take from a few milliseconds to the hard timeout of the slowest provider. */
const TOKEN_CALL_BOUNDS = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export const ENGINE_METRICS: readonly MetricDefinition[] = [
  {
    name: 'token_refresh_total',
    kind: 'counter',
    help: 'Refreshes of a credential that came to an end, by provider and outcome.',
    labels: { provider: 'open', outcome: 'open' },
  },
  {
    name: 'token_refresh_duration_seconds',
    kind: 'histogram',
    help: 'Time from the beginning of a refresh to its outcome.',
    labels: { provider: 'open' },
    buckets: TOKEN_CALL_BOUNDS,
  },
  {
    name: 'token_refresh_dedup_local_total',
    kind: 'counter',
    help: 'Callers that joined a refresh under way in the same process.',
    labels: { provider: 'open' },
  },
  {
    name: 'token_refresh_dedup_distributed_total',
    kind: 'counter',
    help: 'Refreshes that another process did while this one waited for its lease.',
    labels: { provider: 'open' },
  },
  {
    name: 'http_requests_total',
    kind: 'counter',
    help: 'Calls to providers, by the class of their status and by who answered. 4xx of the source client: it left before the answer.',
    labels: {
      provider: 'open',
      method: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
      status: ['1xx', '2xx', '3xx', '4xx', '5xx'],
      source: ['provider', 'gateway', 'client'],
    },
  },
  {
    name: 'http_request_duration_seconds',
    kind: 'histogram',
    help: 'Time from the head of a call to the last byte of its answer.',
    labels: { provider: 'open' },
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  },
]
