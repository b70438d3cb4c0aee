/**
 * Owns the bytes of a body that was read whole, until they are sent or nobody needs them. Refuses to keep them any longer: an answer may take an hour, and what
 * was asked is held for none of it.
 */
import { Readable } from 'node:stream'

/** Of a piece. As much again may wait on each side of the way out, as with a body that passes through. */
const PIECE_BYTES = 64 * 1024

/** Whoever keeps this keeps no bytes once they are gone. */
export class HeldBody {
  readonly length: number
  #bytes: Uint8Array | undefined
  #told: (() => void) | undefined

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.length = bytes.length
  }

  /** For a look: not to be kept. @throws TypeError once they are gone */
  get bytes(): Uint8Array {
    if (this.#bytes === undefined) throw new TypeError('a body that is gone')
    return this.#bytes
  }

  /** `told` is called once, when the bytes are gone. */
  whenGone(told: () => void): this {
    this.#told = told
    return this
  }

  /** Repeating it changes nothing. */
  letGo(): void {
    const told = this.#told
    this.#bytes = this.#told = undefined
    told?.()
  }

  /** For one sending, as fast as it is read. The pieces are copies, so that the last of them does not hold all that went before it. */
  outgoing(): Readable {
    let at = 0
    const next = (): Uint8Array | null => {
      if (this.#bytes === undefined) return null
      const [from, whole] = [at, this.#bytes]
      at = Math.min(from + PIECE_BYTES, whole.length)
      if (at === whole.length) this.letGo()
      return whole.length <= PIECE_BYTES ? whole : Buffer.from(whole.subarray(from, at))
    }
    return new Readable({
      // One piece ahead.
      highWaterMark: 1,
      read() {
        this.push(next())
      },
    })
  }
}
