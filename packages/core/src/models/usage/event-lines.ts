/**
 * Owns finding the data of server-sent events (WHATWG HTML, section 9.2.6) as bytes that pass by, none of them kept. Refuses their names and ids: what
 * they carry says what it is.
 */

const [CR, LF, COLON, SPACE] = [0x0d, 0x0a, 0x3a, 0x20]
const FIELD = Buffer.from('data')
/** As nearly every line begins that has data. */
const USUAL = Buffer.from('data: ')

export interface EventSink {
  /** A piece of an event's data: of `bytes` what stands from `from` on, before `to`. */
  data(bytes: Uint8Array, from: number, to: number): void
  /** The event is whole. */
  end(): void
}

/** Feeds `sink`, however the stream is cut into chunks. */
export class EventLines {
  readonly #sink: EventSink
  /** How far the line at hand agrees with `data`; `data` and `other` once that is decided. */
  #line: number | 'space' | 'data' | 'other' = 0
  #afterCr = false
  /** Of the chunk at hand: where the next of each stands. Looked for once each, not once a line: there may be none of one kind, and many of the other. */
  #lf = -1
  #cr = -1

  constructor(sink: EventSink) {
    this.#sink = sink
  }

  write(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    this.#lf = this.#cr = -1
    for (let at = 0; at < bytes.length;) {
      if (this.#line === 'data' || this.#line === 'other') at = this.#rest(bytes, at)
      else if (this.#line === 0 && beginsUsually(bytes, at)) {
        this.#line = 'data'
        this.#afterCr = false
        at += USUAL.length
      } else this.#step(bytes[at++]!)
    }
  }

  /** The rest of a line of which it is known what it is. */
  #rest(bytes: Buffer, from: number): number {
    if (this.#lf < from) this.#lf = positionOf(bytes, LF, from)
    if (this.#cr < from) this.#cr = positionOf(bytes, CR, from)
    const end = Math.min(this.#lf, this.#cr)
    if (this.#line === 'data' && end > from) this.#sink.data(bytes, from, end)
    if (end < bytes.length) this.#endLine(bytes[end]!)
    return end + 1
  }

  #step(byte: number): void {
    if (byte === LF && this.#afterCr) this.#afterCr = false
    else if (byte === LF || byte === CR) this.#endLine(byte)
    else this.#field(byte)
  }

  #field(byte: number): void {
    this.#afterCr = false
    if (this.#line === 'space') {
      this.#line = 'data'
      if (byte !== SPACE) this.#sink.data(Uint8Array.of(byte), 0, 1)
    } else if (this.#line === FIELD.length && byte === COLON) {
      this.#line = 'space'
    } else {
      this.#line = byte === FIELD[this.#line as number] ? (this.#line as number) + 1 : 'other'
    }
  }

  #endLine(byte: number): void {
    this.#afterCr = byte === CR
    const isBlank = this.#line === 0
    this.#line = 0
    if (isBlank) this.#sink.end()
  }
}

/** The whole of it is there; a line that is cut before is read byte by byte. */
function beginsUsually(bytes: Buffer, at: number): boolean {
  if (bytes.length - at < USUAL.length) return false
  for (let i = 0; i < USUAL.length; i++) if (bytes[at + i] !== USUAL[i]) return false
  return true
}

function positionOf(bytes: Buffer, byte: number, from: number): number {
  const found = bytes.indexOf(byte, from)
  return found === -1 ? bytes.length : found
}
