/**
 * Owns the one type that may hold a secret value. Refuses every implicit way out: string conversion, JSON, inspection,
 * spread, structured clone and property enumeration all yield the marker or nothing.
 */
import { inspect } from 'node:util'

const MARKER = '[secret]'

/**
 * A secret text (token, key, password, code). Wrap at the first line that touches the value, `reveal()` on the last line
 * that needs it: a cipher's input or an outgoing header. Never log a prefix, a length or a hash of it.
 */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The value. Called in a listed handful of files; the architecture test holds the list. */
  reveal(): string {
    return this.#value
  }

  /** True for the empty text, so that callers can refuse it without revealing anything. */
  isEmpty(): boolean {
    return this.#value.length === 0
  }

  toString(): string {
    return MARKER
  }

  toJSON(): string {
    return MARKER
  }

  get [Symbol.toStringTag](): string {
    return 'Secret'
  }

  [Symbol.toPrimitive](): string {
    return MARKER
  }

  [inspect.custom](): string {
    return MARKER
  }
}
