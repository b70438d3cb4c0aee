/** Owns what a failed call throws. Refuses to invent a code: what is no problem of the gateway is its own kind of error. */
import type { Problem, ProblemCode } from '@sallyport/contract'

/** The gateway's own refusal or failure (RFC 9457). Branch on `code`. */
export class SallyportApiError extends Error {
  override readonly name = 'SallyportApiError'
  readonly status: number
  readonly code: ProblemCode
  /** What happened and what to do next; may be shown. */
  readonly detail: string | undefined
  /** For `validation_failed`: JSON pointers into the request. */
  readonly errors: Problem['errors']
  /** About a connection's credential: which connection, what is wrong with it, and with `reconnect_required` the way to a new one. */
  readonly connection: string | undefined
  readonly trouble: Problem['trouble']
  readonly reconnect: Problem['reconnect']
  /** Name this when asking the operator: the log has it. */
  readonly requestId: string | undefined
  /** Whole seconds after which trying again is sensible; undefined when the gateway named none. */
  readonly retryAfterS: number | undefined

  constructor(problem: Problem, headers: Headers) {
    super(problem.detail === undefined ? problem.title : `${problem.title}: ${problem.detail}`)
    this.status = problem.status
    this.code = problem.code
    this.detail = problem.detail
    this.errors = problem.errors
    this.connection = problem.connection
    this.trouble = problem.trouble
    this.reconnect = problem.reconnect
    this.requestId = headers.get('sallyport-request-id') ?? undefined
    const seconds = headers.get('retry-after') ?? ''
    this.retryAfterS = /^\d+$/u.test(seconds) ? Number(seconds) : undefined
  }
}

/** An answer that is not of the contract: another server behind the address, a proxy's error page, or another version. */
export class SallyportAnswerError extends Error {
  override readonly name = 'SallyportAnswerError'
  readonly status: number

  constructor(status: number, operation: string, cause?: unknown) {
    super(`the answer to ${operation} (status ${status}) is not of the contract`, { cause })
    this.status = status
  }
}
