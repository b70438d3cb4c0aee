/**
 * Owns what a failure looks like from outside (RFC 9457): one row per public code, and the way from any thrown thing to one.
 * Refuses text it was not given for the caller: an unknown error says `internal` and nothing of itself.
 */
import type { ServerResponse } from 'node:http'
import type { Problem, ProblemCode } from '@sallyport/contract'
import { PipelineError, SallyportError } from '@sallyport/core'
import { EDGE_HEADERS } from './edge-headers.ts'
import { publicCodeOf } from './error-codes.ts'

export interface ProblemRow {
  readonly status: number
  readonly title: string
}

/** A new code does not compile until it has a row here, and docs/errors.md is tested against the same union. */
export const PROBLEMS: Readonly<Record<ProblemCode, ProblemRow>> = {
  bad_request: { status: 400, title: 'The request is malformed' },
  validation_failed: { status: 400, title: 'The request does not fit its schema' },
  path_refused: { status: 400, title: 'The path is refused' },
  header_refused: { status: 400, title: 'A header is refused' },
  payload_too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'The content type is not taken here' },
  headers_too_large: { status: 431, title: 'The headers are too large' },
  request_timeout: { status: 408, title: 'The request did not arrive in time' },
  method_not_allowed: { status: 405, title: 'The method is not taken here' },
  not_found: { status: 404, title: 'Not found' },
  conflict: { status: 409, title: 'The request conflicts with what is there' },
  idempotency_key_invalid: { status: 400, title: 'The Idempotency-Key is none' },
  idempotency_mismatch: { status: 409, title: 'The Idempotency-Key belongs to another request' },
  idempotency_in_progress: { status: 409, title: 'The same request is under way' },
  idempotency_answer_lost: { status: 409, title: 'It was done, and its answer is lost' },
  unauthenticated: { status: 401, title: 'No valid credential' },
  ambiguous_credentials: { status: 400, title: 'More than one credential' },
  forbidden: { status: 403, title: 'Not allowed' },
  insufficient_scope: { status: 403, title: 'The key lacks a scope' },
  environment_mismatch: { status: 403, title: 'The key belongs to another environment' },
  sso_required: { status: 403, title: "The organization's single sign-on is required" },
  step_up_required: { status: 403, title: 'A second factor is required' },
  issuer_unavailable: { status: 503, title: "The issuer's keys can not be had" },
  cross_site_refused: { status: 403, title: 'Refused as cross-site' },
  https_required: { status: 403, title: 'It did not come by TLS' },
  address_refused: { status: 403, title: 'The key is not for this address' },
  origin_refused: { status: 403, title: 'The key is not for this web page' },
  proof_required: { status: 401, title: 'A DPoP proof is required' },
  proof_invalid: { status: 401, title: 'The DPoP proof is not valid' },
  proof_key_mismatch: { status: 401, title: 'The DPoP proof is by another key' },
  proof_request_mismatch: { status: 401, title: 'The DPoP proof is for another request' },
  proof_expired: { status: 401, title: 'The DPoP proof is too old' },
  proof_replayed: { status: 401, title: 'The DPoP proof was used before' },
  proof_nonce_required: { status: 401, title: 'The DPoP proof needs a nonce' },
  certificate_required: { status: 401, title: 'A client certificate is required' },
  certificate_mismatch: { status: 401, title: 'The client certificate is another' },
  confirmation_mismatch: { status: 400, title: 'The confirmation is another' },
  last_owner: { status: 409, title: 'An organization keeps an owner' },
  organization_limit: { status: 409, title: 'Too many organizations' },
  resource_limit: { status: 409, title: 'Too many of these' },
  key_limit: { status: 409, title: 'Too many keys' },
  role_exceeded: { status: 403, title: 'The role is larger than yours' },
  invitation_invalid: { status: 410, title: 'The invitation is over' },
  invitation_email_mismatch: { status: 403, title: 'The invitation is for somebody else' },
  email_domain_refused: { status: 403, title: 'The organization does not take this e-mail address' },
  project_archived: { status: 409, title: 'The project is archived' },
  rate_limited: { status: 429, title: 'Too many requests' },
  connection_required: { status: 400, title: 'No connection was named' },
  connection_ambiguous: { status: 409, title: 'More than one connection fits' },
  connection_not_ready: { status: 409, title: 'The connection is not ready' },
  reconnect_required: { status: 409, title: 'Reconnect required' },
  refresh_token_held: { status: 409, title: 'Another connection holds the refresh token' },
  client_misconfigured: { status: 409, title: 'The provider rejects the integration' },
  provider_unavailable: { status: 503, title: 'The provider can not renew the credential now' },
  provider_rate_limited: { status: 503, title: 'The provider limits renewals' },
  provider_answer_malformed: { status: 503, title: "The provider's answer is no credential" },
  refresh_outcome_unknown: { status: 503, title: 'The renewal was interrupted' },
  refresh_pending: { status: 503, title: 'The credential is being renewed' },
  integration_not_configured: { status: 409, title: 'The integration is not configured' },
  provider_key_required: { status: 400, title: 'No key of this provider' },
  provider_key_refused: { status: 403, title: 'This key of the provider is not taken' },
  provider_key_rejected: { status: 403, title: 'The provider does not take the key' },
  budget_exceeded: { status: 402, title: 'The budget is used up' },
  model_unpriced: { status: 403, title: 'The cost of the call is not known' },
  budget_unavailable: { status: 503, title: 'The budget can not be asked' },
  connect_session_invalid: { status: 410, title: 'The connect session is over' },
  connect_state_invalid: { status: 400, title: 'The authorization answer is not ours' },
  connect_browser_mismatch: { status: 403, title: 'Another browser began this' },
  connect_issuer_mismatch: { status: 400, title: 'Another issuer answered' },
  connect_denied: { status: 403, title: 'Access was declined' },
  connect_exchange_failed: { status: 502, title: 'The provider gave no usable tokens' },
  connect_user_mismatch: { status: 403, title: 'Another user came back' },
  return_to_refused: { status: 400, title: 'The return address is refused' },
  egress_refused: { status: 403, title: 'The destination is refused' },
  upstream_unreachable: { status: 502, title: 'The provider is unreachable' },
  upstream_timeout: { status: 504, title: 'The provider did not answer in time' },
  upstream_reset: { status: 502, title: 'The provider broke off' },
  upstream_invalid: { status: 502, title: 'The provider answered with no valid HTTP' },
  upstream_too_large: { status: 502, title: "The provider's answer is too large" },
  upstream_tls: { status: 502, title: 'No trusted TLS to the provider' },
  circuit_open: { status: 503, title: 'The provider keeps failing' },
  quota_exhausted: { status: 429, title: "The provider's quota is used up" },
  key_unavailable: { status: 503, title: 'An encryption key is unavailable' },
  audit_unavailable: { status: 503, title: 'The audit log is unavailable' },
  database_unavailable: { status: 503, title: 'The database is unavailable' },
  overloaded: { status: 503, title: 'Overloaded' },
  draining: { status: 503, title: 'Shutting down' },
  internal: { status: 500, title: 'Internal error' },
}

/** Seconds a caller is asked to wait where the error itself names none (429 and 503 always carry `Retry-After`). */
const DEFAULT_RETRY_AFTER_S = 1

export interface FieldFault {
  /** JSON pointer (RFC 6901) into `/body`, `/query` or `/params`. */
  readonly pointer: string
  readonly reason: string
}

/** What a problem about a connection's credential says beside its code. */
export type CredentialFacts = Pick<Problem, 'connection' | 'trouble' | 'reconnect'>

interface ProblemErrorOptions {
  readonly faults?: readonly FieldFault[]
  readonly cause?: unknown
  readonly facts?: CredentialFacts
  readonly retryAfterS?: number
}

/** A failure raised at the HTTP border itself, already in public terms. `detail` is shown to the caller. */
export class ProblemError extends SallyportError<ProblemCode> {
  override readonly name = 'ProblemError'
  readonly faults: readonly FieldFault[] | undefined
  readonly facts: CredentialFacts
  readonly retryAfterS: number | undefined

  constructor(code: ProblemCode, detail: string, { faults, cause, facts = {}, retryAfterS }: ProblemErrorOptions = {}) {
    super(code, detail, { publicDetail: detail, ...(cause === undefined ? {} : { cause }) })
    this.faults = faults
    this.facts = facts
    this.retryAfterS = retryAfterS
  }
}

/** Absent, foreign and forbidden-to-know are this one answer, built afresh each time (battery T-01). */
export function notFound(): ProblemError {
  return new ProblemError('not_found', 'There is nothing here, or nothing that this caller may see.')
}

/** What can't be undone asks for a second factor in this very sign-in, and for one that was given a moment ago. */
export function stepUpRequired(maxAgeS: number): ProblemError {
  return new ProblemError(
    'step_up_required',
    `This can not be undone and needs a sign-in with a second factor (aal2), at most ${maxAgeS} seconds old. Give it at the identity provider, then come with the new session or token.`,
  )
}

/**
 * The problem that `error` becomes. Text from anything but a SallyportError's `publicDetail` is dropped.
 * @param requestId as in `Sallyport-Request-Id`; the operator finds the cause in the log under it.
 */
export function problemFor(error: unknown, requestId: string): Problem {
  const code = publicCodeOf(error)
  const { status, title } = PROBLEMS[code]
  const ours = error instanceof SallyportError && code !== 'internal' ? error : undefined
  const faults = error instanceof ProblemError ? error.faults : undefined
  return {
    type: `urn:sallyport:problem:${code}`,
    title,
    status,
    ...(ours?.publicDetail === undefined ? {} : { detail: ours.publicDetail }),
    instance: `urn:sallyport:request:${requestId}`,
    code,
    ...(error instanceof ProblemError ? error.facts : {}),
    ...(faults === undefined ? {} : { errors: faults.map((fault) => ({ ...fault })) }),
  }
}

/** It is the provider that can't be asked now; the gateway only says so. */
const OF_PROVIDER: ReadonlySet<ProblemCode> = new Set(['circuit_open', 'quota_exhausted'])

/** Who is to blame for what a caller is told. */
export function sourceOf(code: ProblemCode): 'gateway' | 'provider' {
  return OF_PROVIDER.has(code) ? 'provider' : 'gateway'
}

/** Every header of the problem answer to `error` but its length. Names are lower case. */
export function problemHeaders(problem: Problem, error: unknown, requestId: string): Record<string, string> {
  return {
    'content-type': 'application/problem+json; charset=utf-8',
    'cache-control': 'no-store',
    ...EDGE_HEADERS,
    'sallyport-request-id': requestId,
    'sallyport-error-source': sourceOf(problem.code),
    ...(problem.status === 503 || problem.status === 429 ? { 'retry-after': String(retryAfterS(error)) } : {}),
    ...(problem.status === 401 ? { 'www-authenticate': told(error, 'challenge') ?? 'Bearer realm="sallyport"' } : {}),
    ...nonceHeader(told(error, 'nonce')),
    ...fieldsTold(error),
  }
}

/** What an error says of the caller beside its text, as headers of the answer. */
function fieldsTold(error: unknown): Readonly<Record<string, string>> {
  return error instanceof SallyportError && 'fields' in error ? (error.fields as Readonly<Record<string, string>>) : {}
}

/**
 * Answers a raw node response with the problem of `error`, and returns it for the caller's log. Nothing is written when the
 * headers are out already: then the connection is cut, so that a half answer can't be taken for a whole one.
 * @param more headers that belong to the answer whatever it says.
 */
export function sendProblem(
  response: ServerResponse,
  error: unknown,
  requestId: string,
  more: Readonly<Record<string, string>> = {},
): Problem {
  if (error instanceof Error && Object.isFrozen(error) && !response.headersSent) return sendPrepared(response, error, requestId, more)
  const problem = problemFor(error, requestId)
  if (response.headersSent) {
    response.destroy()
    return problem
  }
  const body = Buffer.from(JSON.stringify(problem), 'utf8')
  response.writeHead(problem.status, { ...more, ...problemHeaders(problem, error, requestId), 'content-length': body.length })
  response.end(response.req.method === 'HEAD' ? undefined : body)
  return problem
}

/** The answer to an error that is made once, but for the request's id, which stands once in the body and once in the headers. */
interface Prepared {
  readonly problem: Problem
  readonly headers: readonly string[]
  readonly before: string
  readonly behind: string
}

/** By what else the answer says: the planes have each their own. */
const prepared = new WeakMap<Error, WeakMap<object, Prepared>>()
const SLOT = 'req_'

/** The same answer, worked out once: errors that are frozen are those that come by the thousand (`REFUSED_KEY`). */
function sendPrepared(response: ServerResponse, error: Error, requestId: string, more: Readonly<Record<string, string>>): Problem {
  const { problem, headers, before, behind } = prepared.get(error)?.get(more) ?? prepare(error, more)
  const body = `${before}${requestId}${behind}`
  response.writeHead(problem.status, [...headers, 'sallyport-request-id', requestId, 'content-length', String(body.length)])
  // As text, so that head and body leave in one piece.
  response.end(response.req.method === 'HEAD' ? undefined : body, 'latin1')
  return { ...problem, instance: `urn:sallyport:request:${requestId}` }
}

/** @throws TypeError for a text beyond ASCII, whose length would not be what is said. */
function prepare(error: Error, more: Readonly<Record<string, string>>): Prepared {
  const problem = problemFor(error, SLOT)
  const [before = '', behind = '', ...rest] = JSON.stringify(problem).split(`:${SLOT}"`)
  if (rest.length > 0 || /[^\x20-\x7e]/u.test(before + behind)) throw new TypeError('this problem can not be prepared')
  const { 'sallyport-request-id': _, ...headers } = { ...more, ...problemHeaders(problem, error, SLOT) }
  const made = { problem, headers: Object.entries(headers).flat(), before: `${before}:`, behind: `"${behind}` }
  const known = prepared.get(error) ?? new WeakMap<object, Prepared>()
  prepared.set(error, known.set(more, made))
  return made
}

/** What a refused caller is to answer with next (RFC 9449 section 9). */
function nonceHeader(nonce: string | undefined): Record<string, string> {
  return nonce === undefined ? {} : { 'dpop-nonce': nonce }
}

function told(error: unknown, name: 'challenge' | 'nonce'): string | undefined {
  const value = error instanceof SallyportError ? (error as { [told in typeof name]?: unknown })[name] : undefined
  return typeof value === 'string' ? value : undefined
}

function retryAfterS(error: unknown): number {
  if (error instanceof PipelineError) return Math.max(DEFAULT_RETRY_AFTER_S, Math.ceil((error.retryAfterMs ?? 0) / 1000))
  if (!(error instanceof SallyportError) || !('retryAfterS' in error) || typeof error.retryAfterS !== 'number') return DEFAULT_RETRY_AFTER_S
  return Math.max(DEFAULT_RETRY_AFTER_S, Math.ceil(error.retryAfterS))
}
