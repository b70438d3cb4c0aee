/** Owns the refusal of a caller that asks too often. */
import { SallyportError } from '@sallyport/core'

export class RateLimitError extends SallyportError<'rate_limited'> {
  override readonly name = 'RateLimitError'
  /** Whole seconds, 1 or more, after which it may be tried again. */
  readonly retryAfterS: number
  /** Of the answer, by lower-case name: how the caller stands. */
  readonly fields: Readonly<Record<string, string>>

  constructor(holder: string, retryAfterS: number, fields: Readonly<Record<string, string>>) {
    super('rate_limited', `the limit of the ${holder} is used up`, {
      publicDetail: `The rate limit of this ${holder} is used up. Try again in ${retryAfterS} s.`,
    })
    this.retryAfterS = retryAfterS
    this.fields = fields
  }
}
