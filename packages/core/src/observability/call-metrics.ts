/**
 * Owns what is counted of calls to providers, whoever makes them: the names that DESIGN 3 fixes, with their labels. Whoever makes a registry declares
 * these in it, and those of core/refresh.
 */
import type { MetricDefinition } from './metrics.ts'

/** Of calls to providers, the same for the SDK and the gateway. */
export const CALL_METRICS: readonly MetricDefinition[] = [
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
