/**
 * Owns how a failure of our own reads in a vendor's words, so that the vendor's client raises the error class that it has for it. Refuses to hold anything
 * but what it is given: a status, a code and a sentence.
 */
import type { Dialect } from './schema.ts'

/** A failure in public terms. */
export interface OwnFailure {
  /** 400 to 599. */
  readonly status: number
  /** Ours, as docs/errors.md explains it. */
  readonly code: string
  readonly message: string
  /** As in `Sallyport-Request-Id`. */
  readonly requestId: string
  /** Of a request that is itself at fault: the field, and OpenAI's own word for what is wrong with it. Said where the vendor's form has a place for them. */
  readonly field?: { readonly param: string | null; readonly reason: string } | undefined
  /** Whether a client should send the same again by itself. Said where the vendor's clients listen to it; others go by the status. */
  readonly again?: boolean
}

/** What is answered: JSON, with headers that the vendor's clients look at. */
export interface VendorError {
  readonly headers: Readonly<Record<string, string>>
  readonly body: object
}

/** By status, with what holds for any other below 500 and from there on. */
interface Words {
  readonly of: Readonly<Record<number, string>>
  readonly client: string
  readonly server: string
}

const OPENAI: Words = {
  of: {
    401: 'authentication_error',
    402: 'insufficient_quota',
    403: 'permission_error',
    404: 'not_found_error',
    429: 'rate_limit_error',
  },
  client: 'invalid_request_error',
  server: 'server_error',
}
const ANTHROPIC: Words = {
  of: {
    401: 'authentication_error',
    402: 'billing_error',
    403: 'permission_error',
    404: 'not_found_error',
    413: 'request_too_large',
    429: 'rate_limit_error',
    503: 'overloaded_error',
    504: 'timeout_error',
  },
  client: 'invalid_request_error',
  server: 'api_error',
}
/** Names of google.rpc.Code. */
const GOOGLE: Words = {
  of: {
    401: 'UNAUTHENTICATED',
    402: 'RESOURCE_EXHAUSTED',
    403: 'PERMISSION_DENIED',
    404: 'NOT_FOUND',
    409: 'FAILED_PRECONDITION',
    429: 'RESOURCE_EXHAUSTED',
    500: 'INTERNAL',
    504: 'DEADLINE_EXCEEDED',
  },
  client: 'INVALID_ARGUMENT',
  server: 'UNAVAILABLE',
}
/** Exceptions of the Bedrock runtime. */
const BEDROCK: Words = {
  of: {
    401: 'AccessDeniedException',
    402: 'ServiceQuotaExceededException',
    403: 'AccessDeniedException',
    404: 'ResourceNotFoundException',
    408: 'ModelTimeoutException',
    429: 'ThrottlingException',
    500: 'InternalServerException',
    504: 'ModelTimeoutException',
  },
  client: 'ValidationException',
  server: 'ServiceUnavailableException',
}

const SPOKEN: Readonly<Record<Dialect, (failure: OwnFailure) => VendorError>> = {
  openai: (failure) => ({
    headers: { 'x-request-id': failure.requestId, ...shouldRetry(failure) },
    body: {
      error: {
        message: failure.message,
        type: wordOf(OPENAI, failure),
        param: failure.field?.param ?? null,
        code: failure.field?.reason ?? failure.code,
      },
    },
  }),
  anthropic: (failure) => ({
    headers: { 'request-id': failure.requestId, ...shouldRetry(failure) },
    body: {
      type: 'error',
      error: { type: wordOf(ANTHROPIC, failure), message: failure.message, code: failure.code },
      request_id: failure.requestId,
    },
  }),
  gemini: (failure) => ({
    headers: {},
    body: {
      error: {
        code: failure.status,
        message: failure.message,
        status: wordOf(GOOGLE, failure),
        details: [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: failure.code.toUpperCase(), domain: 'sallyport' }],
      },
    },
  }),
  cohere: (failure) => ({ headers: {}, body: { id: failure.requestId, message: failure.message, code: failure.code } }),
  bedrock: (failure) => ({
    headers: { 'x-amzn-errortype': wordOf(BEDROCK, failure), 'x-amzn-requestid': failure.requestId },
    body: { message: failure.message, code: failure.code },
  }),
}

/** The failure as the vendor of this dialect would have said it. The status stays. */
export function vendorError(dialect: Dialect, failure: OwnFailure): VendorError {
  return SPOKEN[dialect](failure)
}

/** What the clients of OpenAI and Anthropic obey before they look at the status. */
function shouldRetry({ again }: OwnFailure): Readonly<Record<string, string>> {
  return again === undefined ? {} : { 'x-should-retry': String(again) }
}

function wordOf({ of, client, server }: Words, { status }: OwnFailure): string {
  return of[status] ?? (status < 500 ? client : server)
}
