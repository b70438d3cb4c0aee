/** Owns the base of every error this project throws. Refuses free-form codes: each package closes its own union. */

export interface SallyportErrorOptions {
  /** The failure underneath. Kept for logs; never shown to a caller. */
  readonly cause?: unknown
  /** One sentence that may be shown to the caller: no secret, no body, no host of ours, no SQL. */
  readonly publicDetail?: string
}

/**
 * A failure with a stable code. `message` is for the operator, `publicDetail` for the caller; neither may carry a secret,
 * a request body or a token. Branch on `code`, never on text.
 */
export class SallyportError<Code extends string = string> extends Error {
  override readonly name: string = 'SallyportError'
  readonly code: Code
  readonly publicDetail: string | undefined

  constructor(code: Code, message: string, options: SallyportErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.publicDetail = options.publicDetail
  }
}

/** True when `error` is ours and carries `code`. */
export function hasCode<Code extends string>(error: unknown, code: Code): error is SallyportError<Code> {
  return error instanceof SallyportError && error.code === code
}
