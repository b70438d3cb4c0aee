/**
 * Owns the one list of what the gateway counts. A metric that isn't here can't be counted, and a test holds docs/metrics.md against it.
 * Refuses labels that name a tenant: an organization, a connection or a key never is a label.
 */
import { CALL_METRICS, PIPELINE_METRICS, REFRESH_METRICS } from '@sallyport/core'
import type { MetricDefinition } from '@sallyport/core'

const KEY_METRICS: readonly MetricDefinition[] = [
  { name: 'sallyport_root_key_age_seconds', kind: 'gauge', help: 'Since when the database knows the primary root key.', labels: {} },
  {
    name: 'sallyport_root_keys',
    kind: 'gauge',
    help: 'Root keys that the database knows, by whether anything is wrapped under them.',
    labels: { state: ['primary', 'in_use', 'unused'] },
  },
  {
    name: 'sallyport_data_keys',
    kind: 'gauge',
    help: 'Data keys of all organizations: those that seal, those that only open, and those under another root key than the primary.',
    labels: { state: ['current', 'previous', 'behind'] },
  },
  { name: 'sallyport_data_key_oldest_age_seconds', kind: 'gauge', help: 'Age of the oldest data key that still seals.', labels: {} },
  { name: 'sallyport_data_keys_overdue', kind: 'gauge', help: 'Data keys that seal and are older than 90 days.', labels: {} },
  {
    name: 'sallyport_key_tending_total',
    kind: 'counter',
    help: 'Hourly looks at all keys, by how they ended.',
    labels: { outcome: ['done', 'failed'] },
  },
  {
    name: 'sallyport_open_failures_total',
    kind: 'counter',
    help: 'Sealed values that did not open where they stand: changed, or moved by somebody.',
    labels: {},
  },
]

const LIMIT_METRICS: readonly MetricDefinition[] = [
  {
    name: 'sallyport_rate_limited_total',
    kind: 'counter',
    help: 'Requests that were refused with 429, by whose limit was used up.',
    labels: { holder: ['organization', 'project', 'key', 'person'] },
  },
  { name: 'sallyport_nodes', kind: 'gauge', help: 'Nodes that share the limits, as this one counts them.', labels: {} },
]

const USAGE_METRICS: readonly MetricDefinition[] = [
  {
    name: 'sallyport_model_calls_total',
    kind: 'counter',
    help: 'Calls to models, by what came of them: an answer, a refusal of the provider, or none that is whole. Models beyond a hundred that have no price are `other`.',
    labels: { provider: 'open', model: 'open', outcome: ['answered', 'refused', 'cut'] },
  },
  {
    name: 'sallyport_model_tokens_total',
    kind: 'counter',
    help: 'Tokens of models, as their providers said or as was reckoned from lengths. `input` counts those of caches too.',
    labels: { provider: 'open', model: 'open', kind: ['input', 'cached', 'written', 'output'], source: ['measured', 'estimated'] },
  },
  {
    name: 'sallyport_model_cost_nanodollars_total',
    kind: 'counter',
    help: 'What calls to models cost, in billionths of a US dollar; calls without a known price add nothing.',
    labels: { provider: 'open', model: 'open' },
  },
  {
    name: 'sallyport_model_first_byte_seconds',
    kind: 'histogram',
    help: "Until the first byte of a model's answer.",
    labels: { provider: 'open' },
    buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  },
  {
    name: 'sallyport_model_fallbacks_total',
    kind: 'counter',
    help: 'Targets of named routes that did not answer, by why: the next one was asked, if there was one.',
    labels: { provider: 'open', outcome: ['rate_limited', 'server_error', 'timeout', 'circuit_open', 'no_key', 'unsayable'] },
  },
  {
    name: 'sallyport_budget_refusals_total',
    kind: 'counter',
    help: 'Calls to models that a budget had not enough left for, by whose it was.',
    labels: { holder: ['organization', 'project', 'key'] },
  },
  {
    name: 'sallyport_records_dropped_total',
    kind: 'counter',
    help: 'Records of calls, and of what calls of models used, that were not written: more waited than may be held, or the database refused them.',
    labels: { kind: ['request', 'usage'], outcome: ['full', 'refused'] },
  },
  {
    name: 'sallyport_budget_uncharged_nanodollars_total',
    kind: 'counter',
    help: 'What calls of models cost, in billionths of a US dollar, and could not be taken out of their budgets. Anything but 0 is worth a look at the log.',
    labels: {},
  },
]

const TLS_METRICS: readonly MetricDefinition[] = [
  {
    name: 'sallyport_tls_certificate_end_seconds',
    kind: 'gauge',
    help: 'When the certificate in use ends, in seconds since 1970; only where the gateway ends TLS itself.',
    labels: {},
  },
  {
    name: 'sallyport_tls_certificate_reads_total',
    kind: 'counter',
    help: 'Changes of the files of TLS, by whether what they hold was taken.',
    labels: { outcome: ['taken', 'refused'] },
  },
  { name: 'sallyport_tls_handshakes_failed_total', kind: 'counter', help: 'Clients that TLS was not agreed with.', labels: {} },
]

const REVOCATION_METRICS: readonly MetricDefinition[] = [
  {
    name: 'sallyport_provider_revocations_total',
    kind: 'counter',
    help: 'Tries to take tokens back at their provider, by what came of them.',
    labels: { provider: 'open', outcome: ['done', 'retry', 'impossible', 'given_up'] },
  },
]

const CONTENT_METRICS: readonly MetricDefinition[] = [
  {
    name: 'sallyport_stored_content_total',
    kind: 'counter',
    help: 'Prompts and answers of organizations that keep them, by what came of that: dropped are those beyond what may wait, or that could not be written.',
    labels: { outcome: ['stored', 'dropped'] },
  },
]

const AUDIT_METRICS: readonly MetricDefinition[] = [
  {
    name: 'sallyport_audit_checkpoints_total',
    kind: 'counter',
    help: 'Checkpoints of audit logs that this node signed and stored, and looks at the logs that failed.',
    labels: { outcome: ['stored', 'failed'] },
  },
  {
    name: 'sallyport_audit_checkpoints_outside_total',
    kind: 'counter',
    help: 'Checkpoints written outside the database, tries that failed, and those given up because too many waited.',
    labels: { outcome: ['written', 'failed', 'dropped'] },
  },
]

const PROCESS_METRICS: readonly MetricDefinition[] = [
  { name: 'process_cpu_seconds_total', kind: 'counter', help: 'User and system CPU time.', labels: {} },
  { name: 'process_resident_memory_bytes', kind: 'gauge', help: 'Resident memory.', labels: {} },
  { name: 'process_start_time_seconds', kind: 'gauge', help: 'Start of the process, in seconds since 1970.', labels: {} },
  { name: 'nodejs_heap_used_bytes', kind: 'gauge', help: 'Heap in use.', labels: {} },
  { name: 'nodejs_external_memory_bytes', kind: 'gauge', help: 'Memory of buffers and native objects outside the heap.', labels: {} },
  {
    name: 'nodejs_event_loop_delay_seconds',
    kind: 'gauge',
    help: 'How late the event loop was since the last scrape.',
    labels: { quantile: ['0.5', '0.99', '1'] },
  },
]

export const METRICS: readonly MetricDefinition[] = [
  ...REFRESH_METRICS,
  ...CALL_METRICS,
  ...PIPELINE_METRICS,
  ...KEY_METRICS,
  ...REVOCATION_METRICS,
  ...CONTENT_METRICS,
  ...AUDIT_METRICS,
  ...LIMIT_METRICS,
  ...USAGE_METRICS,
  ...TLS_METRICS,
  ...PROCESS_METRICS,
]
