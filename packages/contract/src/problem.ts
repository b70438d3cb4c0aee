/** Owns the public error vocabulary (RFC 9457). Refuses codes that are not listed: clients branch on `code`, never on text. */
import { z } from 'zod'

/** Every code a caller may meet, with who is to act. docs/errors.md explains each; a test compares the two both ways. */
export const PROBLEM_CODES = [
  // The request itself
  'bad_request',
  'validation_failed',
  'path_refused',
  'header_refused',
  'payload_too_large',
  'unsupported_media_type',
  'headers_too_large',
  'request_timeout',
  'method_not_allowed',
  'not_found',
  'conflict',
  'idempotency_key_invalid',
  'idempotency_mismatch',
  'idempotency_in_progress',
  'idempotency_answer_lost',
  // Who calls, and what it may do
  'unauthenticated',
  'ambiguous_credentials',
  'forbidden',
  'insufficient_scope',
  'environment_mismatch',
  'sso_required',
  'step_up_required',
  'issuer_unavailable',
  'cross_site_refused',
  'https_required',
  'address_refused',
  'origin_refused',
  'proof_required',
  'proof_invalid',
  'proof_key_mismatch',
  'proof_request_mismatch',
  'proof_expired',
  'proof_replayed',
  'proof_nonce_required',
  'certificate_required',
  'certificate_mismatch',
  'rate_limited',
  // Organizations and their members
  'confirmation_mismatch',
  'last_owner',
  'organization_limit',
  'resource_limit',
  'key_limit',
  'role_exceeded',
  'invitation_invalid',
  'invitation_email_mismatch',
  'email_domain_refused',
  'project_archived',
  // Connections
  'connection_required',
  'connection_ambiguous',
  'connection_not_ready',
  'reconnect_required',
  'refresh_token_held',
  'client_misconfigured',
  'provider_unavailable',
  'provider_rate_limited',
  'provider_answer_malformed',
  'refresh_outcome_unknown',
  'refresh_pending',
  'integration_not_configured',
  // Keys of model providers
  'provider_key_required',
  'provider_key_refused',
  'provider_key_rejected',
  // What models may cost
  'budget_exceeded',
  'model_unpriced',
  'budget_unavailable',
  // Connecting an account
  'connect_session_invalid',
  'connect_state_invalid',
  'connect_browser_mismatch',
  'connect_issuer_mismatch',
  'connect_denied',
  'connect_exchange_failed',
  'connect_user_mismatch',
  'return_to_refused',
  // The provider
  'egress_refused',
  'upstream_unreachable',
  'upstream_timeout',
  'upstream_reset',
  'upstream_invalid',
  'upstream_too_large',
  'upstream_tls',
  'circuit_open',
  'quota_exhausted',
  // The gateway
  'key_unavailable',
  'audit_unavailable',
  'database_unavailable',
  'overloaded',
  'draining',
  'internal',
] as const

/** What a program can tell failures apart by. docs/errors.md has what each means and what to do. */
export type ProblemCode = (typeof PROBLEM_CODES)[number]

/** Why a connection's credential can't be renewed. See docs/errors.md. */
export const TROUBLES = [
  'revoked',
  'grant_expired',
  'no_refresh_token',
  'client_misconfigured',
  'provider_down',
  'rate_limited',
  'malformed',
  'outcome_unknown',
  'token_lost',
] as const

/** How the account of a connection is connected again: where to begin, and for callers who may begin it, a link that was just made. */
export const reconnectSchema = z
  .object({
    endpoint: z.string().describe('POST here, with the integration, the end user and `connection`, to make a link'),
    link: z.url().optional().describe('For the end user’s browser. Only for callers that hold `connect_sessions:write`'),
    session: z.string().optional().describe('The connect session behind the link, to be completed by the application'),
    expires_at: z.iso.datetime().optional(),
  })
  .meta({ id: 'Reconnect' })

/** A failure as it is answered: RFC 9457, `application/problem+json`. */
export const problemSchema = z
  .object({
    type: z.url().describe('Where the code is explained'),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string().optional().describe('What happened and what to do next; safe to show'),
    instance: z.string().describe('urn:sallyport:request:{request id}'),
    code: z.enum(PROBLEM_CODES),
    connection: z.string().optional().describe('The connection that this is about, where it is about its credential'),
    trouble: z.enum(TROUBLES).optional().describe('What is wrong with the credential of the connection'),
    reconnect: reconnectSchema.optional().describe('With `reconnect_required`'),
    errors: z.array(z.object({ pointer: z.string().describe('JSON pointer (RFC 6901) into the request'), reason: z.string() })).optional(),
  })
  .meta({ id: 'Problem' })

/** A failure as it is answered. */
export type Problem = z.infer<typeof problemSchema>
