/**
 * Owns finding where an HTTP/1.1 answer begins and ends in a socket's bytes, cheaply: the load generator shares a core with the upstream and must
 * cost less than what it measures. Knows lengths and chunks; refuses everything else. Bodies are counted, not kept.
 */

export interface Answer {
  readonly status: number
  /** Bytes of the body, without chunk framing. */
  readonly bytes: number
}

const HEAD_END = Buffer.from('\r\n\r\n')
const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) /
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i
const CHUNKED = /\r\ntransfer-encoding: *chunked/i
const EMPTY = Buffer.alloc(0)

type State = 'head' | 'length' | 'chunk-size' | 'chunk' | 'chunk-end' | 'last'

/** Reads the answers of one connection, one after another. `onStart` is told of the first bytes of a body, `onAnswer` of each whole answer. */
export class AnswerReader {
  readonly #onAnswer: (answer: Answer) => void
  readonly #onStart: ((status: number) => void) | undefined
  #state: State = 'head'
  /** What can't be read before more of it comes: a cut head, a cut line of the chunk framing. */
  #kept: Buffer = EMPTY
  #status = 0
  #left = 0
  #bytes = 0

  constructor(onAnswer: (answer: Answer) => void, onStart?: (status: number) => void) {
    this.#onAnswer = onAnswer
    this.#onStart = onStart
  }

  /** @throws Error when the bytes are no answer that this reader knows. */
  take(chunk: Buffer): void {
    let data = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk])
    this.#kept = EMPTY
    while (data.length > 0) {
      const used = this.#step(data)
      if (used === 0) {
        this.#kept = data
        return
      }
      data = data.subarray(used)
    }
  }

  /** Reads what it can from the start of `data` and gives how much that was; 0: more is needed. */
  #step(data: Buffer): number {
    switch (this.#state) {
      case 'head':
        return this.#head(data)
      case 'length':
        return this.#body(data, 'head')
      case 'chunk':
        return this.#body(data, 'chunk-end')
      default:
        return this.#framing(data)
    }
  }

  #head(data: Buffer): number {
    const end = data.indexOf(HEAD_END)
    if (end < 0) return 0
    const head = data.toString('latin1', 0, end)
    const status = STATUS_LINE.exec(head)?.[1]
    if (status === undefined) throw new Error('no HTTP/1.1 answer')
    this.#status = Number(status)
    this.#bytes = 0
    const length = CONTENT_LENGTH.exec(head)?.[1]
    if (length !== undefined) this.#left = Number(length)
    else if (!CHUNKED.test(head)) throw new Error('an answer without length or chunks')
    this.#state = length === undefined ? 'chunk-size' : 'length'
    if (length === '0') this.#end()
    return end + HEAD_END.length
  }

  #body(data: Buffer, next: 'head' | 'chunk-end'): number {
    if (this.#bytes === 0) this.#onStart?.(this.#status)
    const used = Math.min(data.length, this.#left)
    this.#bytes += used
    this.#left -= used
    if (this.#left > 0) return used
    if (next === 'head') this.#end()
    else this.#state = next
    return used
  }

  #framing(data: Buffer): number {
    const end = data.indexOf('\r\n')
    if (end < 0) return 0
    if (this.#state === 'chunk-end') this.#state = 'chunk-size'
    else if (this.#state === 'last') this.#end()
    else {
      this.#left = Number.parseInt(data.toString('latin1', 0, end), 16)
      if (!(this.#left >= 0)) throw new Error('a chunk without a size')
      this.#state = this.#left === 0 ? 'last' : 'chunk'
    }
    return end + 2
  }

  #end(): void {
    this.#state = 'head'
    this.#onAnswer({ status: this.#status, bytes: this.#bytes })
  }
}
