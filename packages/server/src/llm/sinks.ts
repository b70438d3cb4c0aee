/**
 * Owns what stands between a provider's answer and its caller: the tap that lets its use be known, comments in the silences of an event stream, and the word of
 * where to ask next. Refuses to hold a byte of the answer back, and to change one; and to send a caller elsewhere with its gateway key.
 */
import { headerText } from '@sallyport/core'
import type { ResponseSink } from '@sallyport/core'
import type { Metering } from '../usage/index.ts'

/** `sink`, with every piece of the body shown to the tap before it passes on. */
export function tapped(sink: ResponseSink, metering: Pick<Metering, 'chunk'>): ResponseSink {
  return new Tap(sink, metering)
}

/** The sink as it is; what stands between overrides what it looks at. */
export class Through implements ResponseSink {
  protected readonly sink: ResponseSink

  constructor(sink: ResponseSink) {
    this.sink = sink
  }

  get destroyed(): boolean {
    return this.sink.destroyed
  }

  get writableFinished(): boolean {
    return this.sink.writableFinished
  }

  writeHead(status: number, headers: string[]): unknown {
    return this.sink.writeHead(status, headers)
  }

  flushHeaders(): void {
    this.sink.flushHeaders()
  }

  write(chunk: Buffer): boolean {
    return this.sink.write(chunk)
  }

  end(): unknown {
    return this.sink.end()
  }

  destroy(): unknown {
    return this.sink.destroy()
  }

  on(event: 'drain' | 'close', listener: () => void): unknown {
    return this.sink.on(event, listener)
  }
}

class Tap extends Through {
  readonly #metering: Pick<Metering, 'chunk'>

  constructor(sink: ResponseSink, metering: Pick<Metering, 'chunk'>) {
    super(sink)
    this.#metering = metering
  }

  override write(chunk: Buffer): boolean {
    this.#metering.chunk(chunk)
    return this.sink.write(chunk)
  }
}

/** Clients ask there next, with the key that they sent here. */
const ASKED_NEXT: ReadonlySet<string> = new Set([
  'operation-location',
  'azure-asyncoperation',
  'x-goog-upload-url',
  'x-goog-upload-control-url',
])

/**
 * `sink`, which is told of no URL outside of `own`'s origin to which a client would send its gateway key. On the way of a redirect to another host clients take
 * `Authorization` off (WHATWG Fetch section 4.4), and no other header: `isBearer` says that the key came there.
 */
export function keptHere(sink: ResponseSink, { own, isBearer }: { readonly own: string; readonly isBearer: boolean }): ResponseSink {
  return new Homebound(sink, own, isBearer)
}

class Homebound extends Through {
  readonly #own: string
  readonly #isBearer: boolean

  constructor(sink: ResponseSink, own: string, isBearer: boolean) {
    super(sink)
    this.#own = own
    this.#isBearer = isBearer
  }

  override writeHead(status: number, headers: string[]): unknown {
    const isRedirect = status >= 300 && status < 400 && !this.#isBearer
    if (!leadsAnywhere(headers, isRedirect)) return this.sink.writeHead(status, headers)
    const kept: string[] = []
    for (let at = 0; at + 1 < headers.length; at += 2)
      if (!leads(headers[at]!, isRedirect) || this.#isHere(headers[at + 1]!)) kept.push(headers[at]!, headers[at + 1]!)
    return this.sink.writeHead(status, kept)
  }

  #isHere(url: string): boolean {
    return URL.parse(url, this.#own)?.origin === new URL(this.#own).origin
  }
}

function leadsAnywhere(headers: readonly string[], isRedirect: boolean): boolean {
  for (let at = 0; at < headers.length; at += 2) if (leads(headers[at]!, isRedirect)) return true
  return false
}

function leads(header: string, isRedirect: boolean): boolean {
  const name = header.toLowerCase()
  return ASKED_NEXT.has(name) || (isRedirect && name === 'location')
}

/** A comment line and the blank line after it (WHATWG HTML section 9.2.6): readers skip it, and whatever counts silence on the way sees bytes. */
const COMMENT = Buffer.from(': keepalive\n\n', 'latin1')
const EVENT_STREAM = /^text\/event-stream(?:$|[ ;])/iu
const [LF, CR] = [0x0a, 0x0d]

/**
 * `sink`, with a comment for every `everyMs` of silence between the events of an event stream, and never inside one. Answers of other types, and with a
 * declared length, pass as they are.
 */
export function keptAlive(sink: ResponseSink, everyMs: number): ResponseSink {
  return new Keepalive(sink, everyMs)
}

class Keepalive extends Through {
  readonly #everyMs: number
  #timer: NodeJS.Timeout | undefined
  /** The caller has not yet read what it was given: it hears enough. */
  #full = false
  /** How the body ends so far: nothing, or after a blank line, is between events. */
  #ends: Boundary = 'blank'

  constructor(sink: ResponseSink, everyMs: number) {
    super(sink)
    this.#everyMs = everyMs
  }

  override writeHead(status: number, headers: string[]): unknown {
    const wrote = this.sink.writeHead(status, headers)
    if (!isEndlessEventStream(headers)) return wrote
    this.#timer = setInterval(() => this.#comment(), this.#everyMs)
    this.#timer.unref()
    this.sink.on('close', () => clearInterval(this.#timer))
    this.sink.on('drain', () => (this.#full = false))
    return wrote
  }

  override write(chunk: Buffer): boolean {
    const flows = this.sink.write(chunk)
    if (this.#timer === undefined) return flows
    this.#ends = boundaryAfter(this.#ends, chunk)
    this.#full = !flows
    this.#timer.refresh()
    return flows
  }

  override end(): unknown {
    clearInterval(this.#timer)
    return this.sink.end()
  }

  override destroy(): unknown {
    clearInterval(this.#timer)
    return this.sink.destroy()
  }

  #comment(): void {
    if (this.#full || this.sink.destroyed || this.#ends !== 'blank') return
    this.#full = !this.sink.write(COMMENT)
  }
}

/**
 * Where in an event stream its last byte stands: after a blank line; after a line's end, as LF, CR or CR LF; inside a line. A lone CR may be the first half of CR LF:
 * after a blank line that ended in one, a LF changes nothing.
 */
type Boundary = 'blank' | 'blank-cr' | 'line' | 'line-cr' | 'inside'

const AFTER_CR: Readonly<Record<Boundary, Boundary>> = {
  blank: 'blank-cr',
  'blank-cr': 'blank-cr',
  line: 'blank-cr',
  'line-cr': 'blank-cr',
  inside: 'line-cr',
}
const AFTER_LF: Readonly<Record<Boundary, Boundary>> = {
  blank: 'blank',
  'blank-cr': 'blank',
  line: 'blank',
  'line-cr': 'line',
  inside: 'line',
}
/** What ends in more bytes than these says all by itself. */
const LOOKED_AT = 4

function boundaryAfter(before: Boundary, chunk: Uint8Array): Boundary {
  let ends: Boundary = chunk.length > LOOKED_AT ? 'inside' : before
  for (const byte of chunk.subarray(-LOOKED_AT)) ends = byte === CR ? AFTER_CR[ends] : byte === LF ? AFTER_LF[ends] : 'inside'
  return ends
}

function isEndlessEventStream(flat: readonly string[]): boolean {
  const headers: Record<string, string> = {}
  for (let at = 0; at + 1 < flat.length; at += 2) headers[flat[at]!.toLowerCase()] = flat[at + 1]!
  return EVENT_STREAM.test(headerText(headers, 'content-type') ?? '') && headers['content-length'] === undefined
}
