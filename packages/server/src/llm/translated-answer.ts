/**
 * Owns a vendor's answer on its way to a caller who asked in OpenAI's words: events one by one, anything else as a whole. Refuses to keep more than one
 * answer's bound, and to let an answer that was cut look whole: the caller is told in the words of its own API.
 */
import { DONE, eventText, Pieces } from '@sallyport/core'
import type { Asked, AnswerStream, ModelOperation, ResponseSink, Translation } from '@sallyport/core'

export interface TranslatedAnswerOptions {
  readonly translation: Translation
  readonly operation: ModelOperation
  /** As the vendor was asked. */
  readonly asked: Asked
  /** Bytes of an answer in one piece. */
  readonly most: number
  /** For one in one piece, of all of them: asked for each piece of it, and given all of them back once the caller has it. */
  readonly room: { enter(bytes: number): boolean; leave(bytes: number): void }
  /** Called when the caller has all there will be while the vendor still sends. */
  readonly abandon: () => void
}

/** They are about the vendor's body, and another one goes on. */
const OF_THE_BODY: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'content-encoding',
  'content-language',
  'content-md5',
  'content-range',
  'digest',
  'repr-digest',
  'content-digest',
  'etag',
  'last-modified',
  'trailer',
])

/** How long a caller may take to read that its answer is not whole. */
const LINGER_MS = 2_000
/** What a vendor could not have said. */
const NO_JSON = undefined

/** Writes to `to`, which nothing has been written to. */
export class TranslatedAnswer implements ResponseSink {
  readonly #to: ResponseSink
  readonly #options: TranslatedAnswerOptions
  /** Of the vendor's answer. */
  #status = 0
  #headers: string[] = []
  /** Of one in events. */
  #stream: AnswerStream | undefined
  readonly #body = new Pieces()
  /** Of the room that was given. */
  #held = 0
  /** Whether the caller has all there will be: the vendor's part is over then, whatever it still says. */
  #over = false

  constructor(to: ResponseSink, options: TranslatedAnswerOptions) {
    this.#to = to
    this.#options = options
  }

  get destroyed(): boolean {
    return this.#to.destroyed
  }

  get writableFinished(): boolean {
    return this.#to.writableFinished
  }

  writeHead(status: number, headers: string[]): void {
    this.#status = status
    this.#headers = headers
    const { translation, asked } = this.#options
    if (asked['stream'] !== true || status !== 200) return
    this.#stream = translation.stream(asked)
    this.#to.writeHead(200, [...withoutBody(headers), 'content-type', 'text/event-stream; charset=utf-8', 'cache-control', 'no-cache'])
  }

  flushHeaders(): void {
    if (this.#stream !== undefined) this.#to.flushHeaders()
  }

  write(chunk: Buffer): boolean {
    if (this.#over) return true
    if (this.#stream !== undefined) return this.#pass(this.#stream, chunk)
    const isFitting = this.#body.length + chunk.length <= this.#options.most
    if (isFitting && this.#hold(chunk.length)) this.#body.add(chunk)
    else {
      // Without room it is worth another try: others end.
      this.#answer(isFitting ? 503 : 502, NO_JSON)
      this.#options.abandon()
    }
    return true
  }

  end(): void {
    if (this.#over) return
    if (this.#stream === undefined) return this.#answer(this.#status, jsonOf(this.#body.whole()))
    this.#tell(this.#stream.end())
    this.#finish(this.#stream)
  }

  /** The vendor broke off. Whoever has part of a stream is told so in it; whoever has nothing gets an answer; whoever doesn't read is let go of. */
  destroy(): void {
    if (!this.#over && !this.#to.destroyed) {
      if (this.#stream === undefined) this.#answer(502, NO_JSON)
      else {
        this.#tell(this.#stream.end())
        this.#finish(this.#stream)
      }
    }
    if (this.#to.destroyed || this.#to.writableFinished) return
    const timer = setTimeout(() => this.#to.destroy(), LINGER_MS)
    this.#to.on('close', () => clearTimeout(timer))
  }

  on(event: 'drain' | 'close', listener: () => void): void {
    this.#to.on(event, listener)
  }

  /** Until the caller has read what is made of it: it takes as much. */
  #hold(bytes: number): boolean {
    if (this.#to.destroyed) return true
    const { room } = this.#options
    if (!room.enter(bytes)) return false
    if (this.#held === 0) this.#to.on('close', () => room.leave(this.#held))
    this.#held += bytes
    return true
  }

  #pass(stream: AnswerStream, chunk: Buffer): boolean {
    const room = this.#tell(stream.push(chunk))
    if (stream.failure === undefined) return room
    // Nothing comes after a failure.
    this.#finish(stream)
    this.#options.abandon()
    return true
  }

  #tell(items: readonly object[]): boolean {
    if (items.length === 0) return true
    return this.#to.write(Buffer.from(items.map(eventText).join('')))
  }

  #finish(stream: AnswerStream): void {
    if (this.#over) return
    this.#over = true
    if (this.#options.operation === 'chat' && stream.failure === undefined) this.#to.write(Buffer.from(DONE))
    this.#to.end()
  }

  #answer(status: number, json: unknown): void {
    this.#over = true
    const { translation, asked } = this.#options
    const answer = translation.answer(status, json, asked)
    const body = written(answer.body)
    if (body === undefined) return this.#answer(status, NO_JSON)
    const own = ['content-type', 'application/json; charset=utf-8', 'content-length', String(body.length)]
    this.#to.writeHead(answer.status, [...withoutBody(this.#headers), ...own])
    this.#to.write(body)
    this.#to.end()
  }
}

/** Undefined for what is nested too deeply to be written: a vendor's own error passes as it is. */
function written(body: object): Buffer | undefined {
  try {
    return Buffer.from(JSON.stringify(body))
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return NO_JSON
  }
}

/** Flat, without what is about a body that another one takes the place of. */
export function withoutBody(headers: readonly string[]): string[] {
  const kept: string[] = []
  for (let at = 0; at + 1 < headers.length; at += 2)
    if (!OF_THE_BODY.has(headers[at]!.toLowerCase())) kept.push(headers[at]!, headers[at + 1]!)
  return kept
}
