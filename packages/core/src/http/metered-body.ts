/** Owns passing a request body on while counting it. Refuses more than the limit; never destroys its source, whose socket is the caller's. */
import { Readable } from 'node:stream'
import { EgressError } from './egress-error.ts'

/**
 * A body under way, read from `source` only as fast as it is sent. Fails with `request_too_large` before the byte past `limit` is
 * passed on, and with `client_gone` when the source ends early. Destroyed before its end it goes on discarding what arrives up to the
 * limit, so that a caller who writes before reading still gets to its answer; past the limit it stops reading.
 */
export class MeteredBody extends Readable {
  readonly #source: Readable
  readonly #limit: number
  #attached = false
  bytes = 0

  constructor(source: Readable, limit: number) {
    super()
    this.#source = source
    this.#limit = limit
    // A body that fails is reported by the call it belongs to; without a listener the same failure would end the process.
    this.on('error', ignoreReportedElsewhere)
  }

  override _read(): void {
    if (this.#attached) this.#source.resume()
    else this.#attach()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#attached) this.#attach()
    else if (this.bytes <= this.#limit) this.#source.resume()
    done(error)
  }

  #attach(): void {
    this.#attached = true
    if (this.#source.destroyed && !this.#source.readableEnded) {
      this.#fail('client_gone', 'body')
      return
    }
    this.#source.on('data', (chunk: Buffer) => this.#take(chunk))
    this.#source.once('end', () => this.push(null))
    this.#source.once('error', () => this.#fail('client_gone', 'body'))
    this.#source.once('close', () => {
      if (!this.#source.readableEnded) this.#fail('client_gone', 'body')
    })
    // Listening starts a stream only if nobody paused it before.
    this.#source.resume()
  }

  #take(chunk: Buffer): void {
    this.bytes += chunk.length
    if (this.bytes > this.#limit) {
      this.#source.pause()
      this.#fail('request_too_large', 'body')
    } else if (!this.destroyed && !this.push(chunk)) {
      this.#source.pause()
    }
  }

  #fail(code: 'client_gone' | 'request_too_large', reason: string): void {
    if (!this.destroyed) this.destroy(new EgressError(code, reason, true))
  }
}

function ignoreReportedElsewhere(): void {}
