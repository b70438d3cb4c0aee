/**
 * Owns the answer of one attempt until it is known whose it is: handed on at once, held until its first byte, or kept in place of an answer while
 * another target is asked. Refuses to keep more than a refusal needs, and to hand on half of what it held.
 */
import type { ResponseSink } from '@sallyport/core'

/** What is to become of an answer with this head: it is the caller's now; it is with its first byte; it is only if nobody does better. */
export type Verdict = 'serve' | 'hold' | 'keep'

/** An answer that was kept whole. */
export interface KeptAnswer {
  readonly status: number
  /** Flat. */
  readonly headers: string[]
  readonly body: Buffer
}

export interface AttemptAnswerOptions {
  readonly judge: (status: number) => Verdict
  /** Called once, with the head of an answer that is the caller's: where it goes. */
  readonly serve: (status: number, headers: string[]) => ResponseSink
}

/** Bytes of an answer that is kept. What vendors say of a failure takes a few hundred. */
const MOST_KEPT = 64 * 1024

export class AttemptAnswer implements ResponseSink {
  readonly #options: AttemptAnswerOptions
  readonly #listeners: Record<'drain' | 'close', (() => void)[]> = { drain: [], close: [] }
  #head: { readonly status: number; readonly headers: string[] } | undefined
  /** Where it goes, once it is the caller's. */
  #to: ResponseSink | undefined
  /** Of one that is kept. */
  #chunks: Buffer[] | undefined
  #bytes = 0
  #finished = false
  #destroyed = false

  constructor(options: AttemptAnswerOptions) {
    this.#options = options
  }

  /** Whether the caller has it, from the head on. */
  get served(): boolean {
    return this.#to !== undefined
  }

  /** The status that came; undefined while none did. */
  get status(): number | undefined {
    return this.#head?.status
  }

  /** Undefined unless it was to be kept, and is whole. */
  get kept(): KeptAnswer | undefined {
    if (this.#chunks === undefined || this.#head === undefined || !this.#finished) return undefined
    return { ...this.#head, body: Buffer.concat(this.#chunks) }
  }

  get destroyed(): boolean {
    return this.#to?.destroyed ?? this.#destroyed
  }

  get writableFinished(): boolean {
    return this.#to?.writableFinished ?? this.#finished
  }

  writeHead(status: number, headers: string[]): void {
    this.#head = { status, headers }
    const verdict = this.#options.judge(status)
    if (verdict === 'serve') this.#serve()
    else if (verdict === 'keep') this.#chunks = []
  }

  flushHeaders(): void {
    this.#to?.flushHeaders()
  }

  write(chunk: Buffer): boolean {
    if (this.#chunks !== undefined) return this.#keep(chunk)
    return this.#serve().write(chunk)
  }

  end(): void {
    if (this.#chunks === undefined) {
      if (!this.#destroyed) this.#serve().end()
      return
    }
    this.#finished = !this.#destroyed
    this.#tell('close')
  }

  destroy(): void {
    this.#destroyed = true
    this.#to?.destroy()
  }

  on(event: 'drain' | 'close', listener: () => void): void {
    this.#listeners[event].push(listener)
  }

  #serve(): ResponseSink {
    if (this.#to !== undefined) return this.#to
    const { status, headers } = this.#head!
    const to = this.#options.serve(status, headers)
    this.#to = to
    to.on('drain', () => this.#tell('drain'))
    to.on('close', () => this.#tell('close'))
    return to
  }

  /** One that is too long is left alone: a half can not be given, and nothing waits for the rest. */
  #keep(chunk: Buffer): boolean {
    this.#bytes += chunk.length
    if (this.#bytes <= MOST_KEPT) this.#chunks!.push(chunk)
    else this.#destroyed = true
    return true
  }

  #tell(event: 'drain' | 'close'): void {
    for (const listener of this.#listeners[event]) listener()
  }
}
