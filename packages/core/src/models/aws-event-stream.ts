/**
 * Owns reading AWS's event streams (application/vnd.amazon.eventstream: two lengths and their checksum, headers, a payload, a checksum of it all) out of
 * a body that arrives in pieces. Refuses a message above its limit, one whose lengths make no sense, and one whose checksum is another.
 * https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html
 */
import { crc32 } from 'node:zlib'
import { SallyportError } from '../kernel/index.ts'

/** One message: its headers that are texts, and its payload. */
export interface AwsMessage {
  readonly headers: Readonly<Record<string, string>>
  readonly payload: Buffer
}

/** Of one body; not shared between bodies. */
export interface AwsEventStream {
  /** The messages that these bytes complete. @throws SallyportError `event_malformed`, `event_too_large`, and again at every later call. */
  push(bytes: Uint8Array): readonly AwsMessage[]
}

/** How an event stream of AWS's is refused. */
export type AwsEventStreamErrorCode = 'event_malformed'

const PRELUDE = 12
const CHECKSUM = 4
/** AWS's own limit. */
const MAX_BYTES = 16 * 1024 * 1024

/** A reader of one body. */
export function awsEventStream(): AwsEventStream {
  return new Messages()
}

class Messages implements AwsEventStream {
  #pieces: Uint8Array[] = []
  #held = 0
  /** Of the message at hand; what its lengths take before they are known. */
  #wanted = PRELUDE
  #fault: SallyportError | undefined

  push(bytes: Uint8Array): readonly AwsMessage[] {
    if (this.#fault !== undefined) throw this.#fault
    this.#pieces.push(bytes)
    this.#held += bytes.length
    const found: AwsMessage[] = []
    try {
      while (this.#held >= this.#wanted) this.#advance(found)
    } catch (error) {
      if (error instanceof SallyportError) this.#fault = error
      throw error
    }
    return found
  }

  /** Joins what is held, once for the lengths of a message and once for the whole of it. */
  #advance(found: AwsMessage[]): void {
    const held =
      this.#pieces.length === 1
        ? Buffer.from(this.#pieces[0]!.buffer, this.#pieces[0]!.byteOffset, this.#held)
        : Buffer.concat(this.#pieces)
    this.#pieces = [held]
    const total = lengthOf(held)
    this.#wanted = total
    if (held.length < total) return
    found.push(messageOf(held.subarray(0, total)))
    this.#pieces = [held.subarray(total)]
    this.#held -= total
    this.#wanted = PRELUDE
  }
}

const malformed = (): SallyportError => new SallyportError('event_malformed', 'a message of the event stream is malformed')

function lengthOf(held: Buffer): number {
  const total = held.readUInt32BE(0)
  if (crc32(held.subarray(0, 8)) !== held.readUInt32BE(8)) throw malformed()
  if (total > MAX_BYTES) throw new SallyportError('event_too_large', 'a message of the event stream is above its limit')
  if (held.readUInt32BE(4) > total - PRELUDE - CHECKSUM) throw malformed()
  return total
}

function messageOf(message: Buffer): AwsMessage {
  const body = message.length - CHECKSUM
  if (crc32(message.subarray(0, body)) !== message.readUInt32BE(body)) throw malformed()
  const payload = PRELUDE + message.readUInt32BE(4)
  return { headers: headersOf(message.subarray(PRELUDE, payload)), payload: message.subarray(payload, body) }
}

/** Bytes that the value of each type of header takes; of the types with a length of their own, it stands in two bytes before. */
const SIZES: readonly (number | undefined)[] = [0, 0, 1, 2, 4, 8, undefined, undefined, 8, 16]
const TEXT = 7

function headersOf(bytes: Buffer): Readonly<Record<string, string>> {
  const headers: [string, string][] = []
  for (let at = 0; at < bytes.length;) {
    const name = take(bytes, at + 1, bytes[at]!)
    at += 1 + name.length
    const type = take(bytes, at, 1)[0]!
    at += 1
    if (type >= SIZES.length) throw malformed()
    const fixed = SIZES[type]
    const size = fixed ?? take(bytes, at, 2).readUInt16BE(0)
    at += fixed === undefined ? 2 : 0
    const value = take(bytes, at, size)
    at += size
    if (type === TEXT) headers.push([name.toString('utf8'), value.toString('utf8')])
  }
  return Object.fromEntries(headers)
}

function take(bytes: Buffer, at: number, size: number): Buffer {
  if (at + size > bytes.length) throw malformed()
  return bytes.subarray(at, at + size)
}
