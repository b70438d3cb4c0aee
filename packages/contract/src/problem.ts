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
  // Who calls, and what it may do
  'unauthenticated',
  'ambiguous_credentials',
  'forbidden',
  'insufficient_scope',
  'environment_mismatch',
  'cross_site_refused',
  // Connections
  'connection_required',
  'connection_ambiguous',
  'connection_not_ready',
  'reconnect_required',
  'integration_not_configured',
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
  // The gateway
  'key_unavailable',
  'audit_unavailable',
  'database_unavailable',
  'overloaded',
  'draining',
  'internal',
] as const

export type ProblemCode = (typeof PROBLEM_CODES)[number]

export const problemSchema = z
  .object({
    type: z.url().describe('Where the code is explained'),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string().optional().describe('What happened and what to do next; safe to show'),
    instance: z.string().describe('urn:sallyport:request:{request id}'),
    code: z.enum(PROBLEM_CODES),
    errors: z.array(z.object({ pointer: z.string().describe('JSON pointer (RFC 6901) into the request'), reason: z.string() })).optional(),
  })
  .meta({ id: 'Problem' })

export type Problem = z.infer<typeof problemSchema>
