/**
 * Owns a provider's answer as the application gets it: head at once, body as it comes. Refuses to gather more than fits into memory, and to let an
 * answer that was cut look whole.
 */
import { Readable } from 'node:stream'
import { EgressError, Pieces } from '../http/index.ts'
import type { ResponseSink } from '../http/index.ts'
import type { Answer } from '../pipeline/index.ts'

/** Bytes that `text`, `json` and `bytes` gather. What is larger is read as a stream. */
export const MAX_GATHERED = 32 * 1024 * 1024
const AHEAD = 64 * 1024

/**
 * What went on although something was away:
 * - `answer_stale`: it is what was kept of the provider, which fails.
 * - `credential_stale`: the token is the last known one: it could not be renewed in time, or the token store is away. A revocation may not have been heard of.
 * - `credential_unsaved`: the token was renewed and the store could not keep it yet.
 */
export type AnswerWarning = 'answer_stale' | 'credential_stale' | 'credential_unsaved'

/** An answer of a provider's API, whatever its status. Its body is read, or `discard`ed; left alone, a long one holds its connection until the call's timeout. */
export class ProviderAnswer {
  readonly status: number
  /** Without cookies and what concerns connections. An echo of the credential is masked. */
  readonly headers: Headers
  /** It was kept here: `fresh` without asking, `confirmed` by the provider, `stale` in place of a provider that fails. Null: it has just come. */
  readonly kept: 'fresh' | 'confirmed' | 'stale' | null
  /** Empty when all is well. */
  readonly warnings: readonly AnswerWarning[]
  readonly #stream: ReadableStream<Uint8Array> | null
  #body: Readable | undefined

  constructor(
    { status, headers, body, kept = null }: Pick<Answer, 'status' | 'headers' | 'body'> & { readonly kept?: Answer['kept'] | null },
    warnings: readonly AnswerWarning[] = [],
  ) {
    this.status = status
    this.headers = headers
    this.kept = kept
    this.warnings = kept === 'stale' ? ['answer_stale', ...warnings] : warnings
    this.#stream = body
  }

  /** True for 200 to 299. */
  get ok(): boolean {
    return this.status >= 200 && this.status < 300
  }

  /** The body, for reading it as it comes: in place of `bytes`, `text` and `json`. */
  get body(): Readable {
    if (this.#body !== undefined) return this.#body
    this.#body = this.#stream === null ? Readable.from([]) : Readable.fromWeb(this.#stream as Parameters<typeof Readable.fromWeb>[0])
    // Whoever reads is told; where nobody does, a cut answer is no reason to end the process.
    this.#body.on('error', () => undefined)
    return this.#body
  }

  /** @throws EgressError `upstream_too_large` above 32 MiB; what cut the answer. */
  async bytes(): Promise<Buffer> {
    const body = new Pieces()
    for await (const chunk of this.#chunks()) {
      if (body.length + chunk.length > MAX_GATHERED) throw new EgressError('upstream_too_large', 'body', true)
      body.add(chunk)
    }
    return body.whole()
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
    if (this.#body !== undefined) this.#body.destroy()
    else void this.#stream?.cancel().catch(() => undefined)
  }

  #chunks(): AsyncIterable<Uint8Array> {
    return (this.#body ?? this.#stream ?? []) as AsyncIterable<Uint8Array>
  }
}

/** Takes an answer from the door out and makes a stream of it. */
export class AnswerSink implements ResponseSink {
  /** Settles with the head. */
  readonly head: Promise<Pick<Answer, 'status' | 'headers' | 'body'>>
  readonly #method: string
  readonly #headed = Promise.withResolvers<Pick<Answer, 'status' | 'headers' | 'body'>>()
  readonly #listeners: Record<'drain' | 'close', (() => void)[]> = { drain: [], close: [] }
  #to: ReadableStreamDefaultController<Uint8Array> | undefined
  #finished = false
  #destroyed = false
  #closed = false

  /** `method`: of the call that is answered. */
  constructor(method: string) {
    this.#method = method
    this.head = this.#headed.promise
  }

  get destroyed(): boolean {
    return this.#destroyed
  }

  get writableFinished(): boolean {
    return this.#finished
  }

  writeHead(status: number, flat: string[]): void {
    const headers = new Headers()
    for (let i = 0; i + 1 < flat.length; i += 2) headers.append(flat[i]!, flat[i + 1]!)
    const bodiless = this.#method === 'HEAD' || status === 204 || status === 304 || headers.get('content-length') === '0'
    this.#headed.resolve({ status, headers, body: bodiless ? null : this.#open() })
  }

  flushHeaders(): void {
    // The head is out already.
  }

  /** False while the reader has enough. */
  write(chunk: Buffer): boolean {
    this.#to?.enqueue(chunk)
    return (this.#to?.desiredSize ?? 1) > 0
  }

  /** What is left to be read waits here: the door's part is done. */
  end(): void {
    if (this.#destroyed) return
    this.#finished = true
    this.#to?.close()
    this.#close()
  }

  /** Why is told by `cut`, right after. */
  destroy(): void {
    this.#destroyed = true
  }

  on(event: 'drain' | 'close', listener: () => void): void {
    this.#listeners[event].push(listener)
  }

  /** Tells the reader that the answer is not whole, and why. */
  cut(error: unknown): void {
    this.#destroyed = true
    if (!this.#finished) this.#to?.error(error)
    this.#close()
  }

  #open(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (to) => void (this.#to = to),
        pull: () => this.#tell('drain'),
        cancel: () => {
          this.#destroyed = true
          this.#to = undefined
          this.#close()
        },
      },
      { highWaterMark: AHEAD, size: (chunk) => chunk.byteLength },
    )
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
