/**
 * Owns finding the payloads of AWS event streams (application/vnd.amazon.eventstream: lengths and a checksum, headers, payload, a checksum) as bytes
 * that pass by. Refuses to check sums: whoever the stream is for does that.
 */
import type { EventSink } from './event-lines.ts'

const PRELUDE_BYTES = 12
const CHECKSUM_BYTES = 4

/** Feeds `sink`, however the stream is cut into chunks. A stream whose lengths make no sense is read no further. */
export class AwsFrames {
  readonly #sink: EventSink
  readonly #prelude = Buffer.alloc(PRELUDE_BYTES)
  #preludeBytes = 0
  /** What is still to come of the message at hand. */
  #headers = 0
  #payload = 0
  #checksum = 0
  #lost = false

  constructor(sink: EventSink) {
    this.#sink = sink
  }

  write(chunk: Uint8Array): void {
    for (let rest = chunk; rest.length > 0 && !this.#lost;) rest = rest.subarray(this.#take(rest))
  }

  /** How much of it was taken, 1 or more. */
  #take(bytes: Uint8Array): number {
    if (this.#preludeBytes < PRELUDE_BYTES) return this.#takePrelude(bytes)
    if (this.#headers > 0) {
      const taken = Math.min(this.#headers, bytes.length)
      this.#headers -= taken
      return taken
    }
    return this.#payload > 0 ? this.#takePayload(bytes) : this.#takeChecksum(bytes)
  }

  #takePrelude(bytes: Uint8Array): number {
    const taken = Math.min(PRELUDE_BYTES - this.#preludeBytes, bytes.length)
    this.#prelude.set(bytes.subarray(0, taken), this.#preludeBytes)
    this.#preludeBytes += taken
    if (this.#preludeBytes === PRELUDE_BYTES) {
      this.#headers = this.#prelude.readUInt32BE(4)
      this.#payload = this.#prelude.readUInt32BE(0) - this.#headers - PRELUDE_BYTES - CHECKSUM_BYTES
      this.#checksum = CHECKSUM_BYTES
      this.#lost = this.#payload < 0
    }
    return taken
  }

  #takePayload(bytes: Uint8Array): number {
    const taken = Math.min(this.#payload, bytes.length)
    this.#payload -= taken
    this.#sink.data(bytes, 0, taken)
    return taken
  }

  #takeChecksum(bytes: Uint8Array): number {
    const taken = Math.min(this.#checksum, bytes.length)
    this.#checksum -= taken
    if (this.#checksum === 0) {
      this.#preludeBytes = 0
      this.#sink.end()
    }
    return taken
  }
}
