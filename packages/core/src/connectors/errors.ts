import { SallyportError } from '../kernel/index.ts'

/**
 * - `collection_refused`: the provider answered that it won't, by status or in its body. `status` and, from a closed alphabet, its `reason`.
 * - `collection_unreadable`: the answer is not of the documented form, or larger or deeper than is read.
 * - `collection_endless`: a page leads back to one that was seen, or there are more than a collection can have.
 * - `collection_input_invalid`: what was asked for can't be asked for.
 */
export type ConnectorErrorCode = 'collection_refused' | 'collection_unreadable' | 'collection_endless' | 'collection_input_invalid'

/** A collection that could not be read. Nothing of an answer is in it but its status and a word. */
export class ConnectorError extends SallyportError<ConnectorErrorCode> {
  /** The provider's status; null when there was none. */
  readonly status: number | null
  /** A word of the provider's for it, such as `missing_scope`; null when it gave none that is a word. */
  readonly reason: string | null

  constructor(code: ConnectorErrorCode, message: string, { status = null, reason }: { status?: number | null; reason?: unknown } = {}) {
    super(code, message)
    this.status = status
    this.reason = typeof reason === 'string' && /^[a-z][a-z0-9_]{0,63}$/u.test(reason) ? reason : null
  }
}
