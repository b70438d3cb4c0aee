/**
 * Owns reading a `multipart/form-data` body (RFC 7578) as it comes in: fields as text, files as their size and digest alone, so that an upload of
 * any size takes no memory. Refuses a body without a boundary or an end.
 */
import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'

export interface Part {
  readonly name: string
  /** Absent: a plain field. */
  readonly filename?: string
  readonly bytes: number
  readonly sha256: string
  /** Of a field, up to 64 KB. */
  readonly text: string
}

const LONGEST_HEAD = 16 * 1024
const LONGEST_FIELD = 64 * 1024

interface Open {
  readonly name: string
  readonly filename?: string
  readonly hash: Hash
  readonly kept: Buffer[]
  bytes: number
}

export class Multipart {
  readonly #delimiter: Buffer
  readonly #parts: Part[] = []
  // The first delimiter has no line before it.
  #pending: Buffer = Buffer.from('\r\n')
  #open: Open | undefined
  #ended = false

  /** @throws Error when the content type names no boundary. */
  constructor(contentType: string) {
    const boundary = /boundary="?(?<boundary>[^";]{1,70})"?/iu.exec(contentType)?.groups?.['boundary']
    if (boundary === undefined) throw new Error('multipart without a boundary')
    this.#delimiter = Buffer.from(`\r\n--${boundary}`)
  }

  write(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    while (!this.#ended && this.#step());
  }

  /** The parts, in order. @throws Error when the last delimiter never came. */
  end(): readonly Part[] {
    if (!this.#ended) throw new Error('multipart without an end')
    return this.#parts
  }

  /** True when there may be more to find in what has come. */
  #step(): boolean {
    const at = this.#pending.indexOf(this.#delimiter)
    if (at < 0) {
      this.#take(this.#pending.length - this.#delimiter.length)
      return false
    }
    const from = at + this.#delimiter.length
    if (this.#pending.length < from + 2) return false
    if (this.#pending.toString('latin1', from, from + 2) === '--') {
      this.#take(at)
      this.#close()
      this.#ended = true
      return false
    }
    const headEnd = this.#pending.indexOf('\r\n\r\n', from)
    if (headEnd < 0) {
      if (this.#pending.length - from > LONGEST_HEAD) throw new Error('multipart with a head that has no end')
      return false
    }
    this.#take(at)
    this.#close()
    this.#begin(this.#pending.toString('utf8', from - at, headEnd - at))
    this.#pending = this.#pending.subarray(headEnd - at + 4)
    return true
  }

  /** Moves the first `length` bytes of what is pending into the open part. */
  #take(length: number): void {
    if (length <= 0) return
    const bytes = this.#pending.subarray(0, length)
    this.#pending = this.#pending.subarray(length)
    if (this.#open === undefined) return
    this.#open.hash.update(bytes)
    this.#open.bytes += length
    // Copied, or the whole chunk would live as long as the field.
    if (this.#open.filename === undefined && this.#open.bytes <= LONGEST_FIELD) this.#open.kept.push(Buffer.from(bytes))
  }

  #begin(head: string): void {
    const name = /\bname="(?<name>[^"]*)"/u.exec(head)?.groups?.['name'] ?? ''
    const filename = /\bfilename="(?<name>[^"]*)"/u.exec(head)?.groups?.['name']
    this.#open = { name, ...(filename === undefined ? {} : { filename }), hash: createHash('sha256'), kept: [], bytes: 0 }
  }

  #close(): void {
    if (this.#open === undefined) return
    const { hash, kept, ...rest } = this.#open
    this.#parts.push({ ...rest, sha256: hash.digest('hex'), text: Buffer.concat(kept).toString('utf8') })
    this.#open = undefined
  }
}
