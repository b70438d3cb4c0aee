/**
 * Owns a provider's answer as the application gets it: head at once, body as it comes. Refuses to gather more than fits into memory, and to let an
 * answer that was cut look whole.
 */
import { Readable } from 'node:stream'
import { EgressError } from '../http/index.ts'
import type { ForwardResult, ResponseSink } from '../http/index.ts'

/** Bytes that `text`, `json` and `bytes` gather. What is larger is read as a stream. */
export const MAX_GATHERED = 32 * 1024 * 1024
const AHEAD = 64 * 1024

/** An answer of a provider's API, whatever its status. Its body is read, or `discard`ed; left alone, a long one holds its connection until the call's timeout. */
export class ProviderAnswer {
  readonly status: number
  /** Without cookies and what concerns connections. An echo of the credential is masked. */
  readonly headers: Headers
  readonly body: Readable

  constructor(status: number, headers: Headers, body: Readable) {
    this.status = status
    this.headers = headers
    this.body = body
  }

  /** True for 200 to 299. */
  get ok(): boolean {
    return this.status >= 200 && this.status < 300
  }

  /** @throws EgressError `upstream_too_large` above 32 MiB; what cut the answer. */
  async bytes(): Promise<Buffer> {
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of this.body as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > MAX_GATHERED) throw new EgressError('upstream_too_large', 'body', true)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  }

  /** As UTF-8. @throws as `bytes`. */
  async text(): Promise<string> {
    return (await this.bytes()).toString('utf8')
  }

  /** @throws EgressError `upstream_invalid` for what is no JSON; otherwise as `bytes`. */
  async json<T = unknown>(): Promise<T> {
    const text = await this.text()
    try {
      return JSON.parse(text) as T
    } catch {
      // The parser's error quotes the text.
      throw new EgressError('upstream_invalid', 'json', true)
    }
  }

  /** Leaves the rest unread. */
  discard(): void {
    this.body.destroy()
  }
}

/** Takes an answer from the door out and makes a stream of it. */
export class AnswerSink implements ResponseSink {
  readonly body: Readable
  /** Settles with the head. */
  readonly answer: Promise<ProviderAnswer>
  readonly #answered = Promise.withResolvers<ProviderAnswer>()
  readonly #listeners: Record<'drain' | 'close', (() => void)[]> = { drain: [], close: [] }
  #finished = false
  #broken = false
  #closed = false

  constructor() {
    this.answer = this.#answered.promise
    this.body = new Readable({
      highWaterMark: AHEAD,
      read: () => this.#tell('drain'),
      destroy: (error, done) => {
        this.#close()
        done(error)
      },
    })
    // Whoever reads is told; where nobody does, a cut answer is no reason to end the process.
    this.body.on('error', () => undefined)
  }

  get destroyed(): boolean {
    return this.#broken || this.body.destroyed
  }

  get writableFinished(): boolean {
    return this.#finished
  }

  writeHead(status: number, flat: string[]): void {
    const headers = new Headers()
    for (let i = 0; i + 1 < flat.length; i += 2) headers.append(flat[i]!, flat[i + 1]!)
    this.#answered.resolve(new ProviderAnswer(status, headers, this.body))
  }

  flushHeaders(): void {
    // The head is out already.
  }

  write(chunk: Buffer): boolean {
    return this.body.push(chunk)
  }

  /** What is left to be read waits here: the door's part is done. */
  end(): void {
    this.body.push(null)
    this.#finished = true
    this.#close()
  }

  /** Why is told by `settle`, right after. */
  destroy(): void {
    this.#broken = true
  }

  on(event: 'drain' | 'close', listener: () => void): void {
    this.#listeners[event].push(listener)
  }

  /** Tells the reader how the call ended. */
  settle({ aborted }: ForwardResult): void {
    if (aborted !== undefined) this.body.destroy(new EgressError(aborted, 'cut', true))
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#tell('close')
  }

  #tell(event: 'drain' | 'close'): void {
    for (const listener of this.#listeners[event]) listener()
  }
}
