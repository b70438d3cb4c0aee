/**
 * Owns the way from the codes inside to the codes outside. Refuses to guess: each union of codes is listed whole, so a new
 * internal code does not compile until someone has decided what a caller is told.
 */
import { PROBLEM_CODES } from '@sallyport/contract'
import type { ProblemCode } from '@sallyport/contract'
import { SallyportError } from '@sallyport/core'
import type {
  AwsEventStreamErrorCode,
  CatalogErrorCode,
  ConnectorErrorCode,
  CryptoErrorCode,
  EgressErrorCode,
  EventStreamErrorCode,
  JwtErrorCode,
  KeySourceErrorCode,
  OAuth1ErrorCode,
  OAuthErrorCode,
  PipelineErrorCode,
  RefreshErrorCode,
  TokenErrorCode,
  TranslationErrorCode,
} from '@sallyport/core'
import type { AuditErrorCode } from '../audit/index.ts'
import type { ConnectErrorCode } from '../connect/index.ts'
import type { DatabaseErrorCode } from '../db/index.ts'
import type { EventErrorCode } from '../events/index.ts'
import type { IdempotencyErrorCode } from '../idempotency/index.ts'
import type { IdentityErrorCode } from '../identity/index.ts'
import type { OrganizationErrorCode } from '../organizations/index.ts'
import type { BudgetErrorCode } from '../usage/index.ts'
import type { VaultErrorCode } from '../vault/index.ts'

type CoreErrorCode =
  | AwsEventStreamErrorCode
  | RefreshErrorCode
  | CatalogErrorCode
  | ConnectorErrorCode
  | CryptoErrorCode
  | EgressErrorCode
  | EventStreamErrorCode
  | JwtErrorCode
  | KeySourceErrorCode
  | OAuth1ErrorCode
  | OAuthErrorCode
  | PipelineErrorCode
  | TokenErrorCode
  | TranslationErrorCode
type FeatureErrorCode =
  | AuditErrorCode
  | BudgetErrorCode
  | ConnectErrorCode
  | DatabaseErrorCode
  | EventErrorCode
  | IdempotencyErrorCode
  | IdentityErrorCode
  | OrganizationErrorCode
  | VaultErrorCode

/** Codes of our own packages that are no public codes themselves. */
type InternalCode = Exclude<CoreErrorCode | FeatureErrorCode, ProblemCode>

/** What can't be opened is one answer, whatever the cause: wrong key, moved row, changed bytes. */
const INTERNAL_CODES: Readonly<Record<InternalCode, ProblemCode>> = {
  envelope_malformed: 'key_unavailable',
  envelope_version_unknown: 'key_unavailable',
  key_unknown: 'key_unavailable',
  decrypt_failed: 'key_unavailable',
  key_invalid: 'key_unavailable',
  key_source_unavailable: 'key_unavailable',
  key_source_refused: 'key_unavailable',
  root_key_missing: 'key_unavailable',
  root_key_wrong: 'key_unavailable',
  data_key_missing: 'key_unavailable',
  key_in_use: 'conflict',
  export_unreadable: 'internal',
  credential_malformed: 'key_unavailable',
  store_unavailable: 'database_unavailable',
  credential_absent: 'connection_not_ready',
  store_misconfigured: 'internal',
  event_refused: 'unauthenticated',
  event_source_unknown: 'not_found',
  // A token of others that is not believed is no credential here.
  jwt_malformed: 'unauthenticated',
  jwt_algorithm: 'unauthenticated',
  jwt_type: 'unauthenticated',
  jwt_key_unknown: 'unauthenticated',
  jwt_signature: 'unauthenticated',
  jwt_issuer: 'unauthenticated',
  jwt_audience: 'unauthenticated',
  jwt_expired: 'unauthenticated',
  jwt_claims: 'unauthenticated',
  jwt_keys_unavailable: 'issuer_unavailable',
  // No route of the server serves items, so no caller is told of these.
  collection_refused: 'internal',
  collection_unreadable: 'internal',
  collection_endless: 'internal',
  collection_input_invalid: 'internal',
  event_malformed: 'upstream_invalid',
  event_too_large: 'upstream_too_large',
  queue_full: 'overloaded',
  deadline_exceeded: 'upstream_timeout',
  request_too_large: 'payload_too_large',
  model_request_untranslatable: 'bad_request',
  request_unsignable: 'bad_request',
  // Nobody is left to read it.
  client_gone: 'bad_request',
  provider_misconfigured: 'integration_not_configured',
  provider_record_invalid: 'integration_not_configured',
  database_url_invalid: 'internal',
  database_tls_required: 'internal',
  database_role_unsafe: 'internal',
  database_version: 'internal',
  database_not_migrated: 'database_unavailable',
  database_migration_changed: 'internal',
  database_migration_unknown: 'internal',
  database_migrating: 'database_unavailable',
  database_in_use: 'internal',
  database_migration_failed: 'internal',
  database_not_heard: 'internal',
  database_query_failed: 'internal',
}

/** What Fastify's own refusals mean here. Its texts are dropped, since they may echo the request. */
const FASTIFY_STATUS: ReadonlyMap<number, ProblemCode> = new Map([
  [400, 'bad_request'],
  [404, 'not_found'],
  [405, 'method_not_allowed'],
  [408, 'request_timeout'],
  [413, 'payload_too_large'],
  [414, 'path_refused'],
  [415, 'unsupported_media_type'],
  [431, 'headers_too_large'],
])

const PUBLIC: ReadonlySet<string> = new Set(PROBLEM_CODES)

/** The public code of anything thrown; `internal` for what is not known here. */
export function publicCodeOf(error: unknown): ProblemCode {
  if (error instanceof SallyportError) {
    if (PUBLIC.has(error.code)) return error.code as ProblemCode
    return Object.hasOwn(INTERNAL_CODES, error.code) ? INTERNAL_CODES[error.code as InternalCode] : 'internal'
  }
  return fastifyCode(error)
}

function fastifyCode(error: unknown): ProblemCode {
  if (!(error instanceof Error) || !('code' in error) || !('statusCode' in error)) return 'internal'
  if (typeof error.code !== 'string' || !error.code.startsWith('FST_') || typeof error.statusCode !== 'number') return 'internal'
  return FASTIFY_STATUS.get(error.statusCode) ?? 'internal'
}
