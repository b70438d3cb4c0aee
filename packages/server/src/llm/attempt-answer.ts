/**
 * Owns the answer of one attempt until it is known whose it is: handed on at once, held until it is seen to be one, or kept in place of an answer while
 * another target is asked. Refuses to keep more than a refusal needs, and to hand on half of what it held.
 */
import { Pieces } from '@sallyport/core'
import type { ResponseSink } from '@sallyport/core'

/** What is to become of an answer with this head: it is the caller's now; it is once `look` says so; it is only if nobody does better. */
export type Verdict = 'serve' | 'hold' | 'keep'

/** What the beginning of a held answer says: not enough yet; it is an answer; it is a failure after all, of this status. */
export type Seen = 'more' | 'answer' | { readonly failure: number }

/** An answer that was kept: whole, as far as it says that it is none, or its head alone. */
export interface KeptAnswer {
  readonly status: number
  /** Flat. */
  readonly headers: string[]
  /** Undefined where there was more of it than is kept, or it broke off or was not over in time. */
  readonly body: Buffer | undefined
}

export interface AttemptAnswerOptions {
  readonly judge: (status: number, headers: readonly string[]) => Verdict
  /** Shown each piece of a held answer, in order, until it has seen enough. */
  readonly look: (piece: Buffer) => Seen
  /** Called when nothing more of the answer is wanted. */
  readonly giveUp: () => void
  /** Called once, with the head of an answer that is the caller's: where it goes. */
  readonly serve: (status: number, headers: string[]) => ResponseSink
}

/** Bytes of an answer that is kept. What vendors say of a failure takes a few hundred. */
const MOST_KEPT = 64 * 1024
/** What an empty answer should have been (RFC 9110 section 15.6.3). */
const NOTHING = 502
/** And how long it may take after its head. Its targets' time is not spent on the words of a refusal. */
const KEPT_WITHIN_MS = 2_000

export class AttemptAnswer implements ResponseSink {
  readonly #options: AttemptAnswerOptions
  readonly #listeners: Record<'drain' | 'close', (() => void)[]> = { drain: [], close: [] }
  #head: { readonly status: number; readonly headers: string[] } | undefined
  /** Where it goes, once it is the caller's. */
  #to: ResponseSink | undefined
  /** Of one that is kept, or held so far. */
  #body = new Pieces()
  #keeps = false
  #patience: NodeJS.Timeout | undefined
  /** The status that a held answer should have had. */
  #failure: number | undefined
  #finished = false
  #destroyed = false

  constructor(options: AttemptAnswerOptions) {
    this.#options = options
  }

  /** Whether the caller has it, from the head on. */
  get served(): boolean {
    return this.#to !== undefined
  }

  /** Undefined unless it was to be kept, and is over; or it was held, and is a failure. Its head says when to come back, whatever became of its body. */
  get kept(): KeptAnswer | undefined {
    if (!this.#keeps || this.#head === undefined || !(this.#finished || this.#destroyed)) return undefined
    return { ...this.#head, body: this.#finished ? this.#body.whole() : undefined }
  }

  /** The status that says what is wrong: its own, or what it would have been had the failure been known in time. */
  get failure(): number | undefined {
    return this.#failure ?? this.#head?.status
  }

  get destroyed(): boolean {
    return this.#to?.destroyed ?? this.#destroyed
  }

  get writableFinished(): boolean {
    return this.#to?.writableFinished ?? this.#finished
  }

  writeHead(status: number, headers: string[]): void {
    this.#head = { status, headers }
    const verdict = this.#options.judge(status, headers)
    if (verdict === 'serve') this.#serve()
    else if (verdict === 'keep') this.#keepAWhile()
  }

  flushHeaders(): void {
    this.#to?.flushHeaders()
  }

  write(chunk: Buffer): boolean {
    if (this.#to !== undefined) return this.#to.write(chunk)
    return this.#keeps ? this.#keep(chunk) : this.#hold(chunk)
  }

  end(): void {
    if (this.#keeps) {
      clearTimeout(this.#patience)
      this.#finished ||= !this.#destroyed
      this.#tell('close')
    } else if (this.#isNothing()) {
      this.#failure = NOTHING
      this.#keeps = this.#finished = true
      this.#tell('close')
    } else if (!this.#destroyed) {
      this.#handOver()
      this.#to!.end()
    }
  }

  destroy(): void {
    clearTimeout(this.#patience)
    this.#destroyed = true
    this.#to?.destroy()
  }

  on(event: 'drain' | 'close', listener: () => void): void {
    this.#listeners[event].push(listener)
  }

  /** Held to its end, and there was none of it: an answer that should have a body never began. */
  #isNothing(): boolean {
    return this.#to === undefined && !this.#destroyed && this.#body.length === 0 && this.#head?.status === 200
  }

  #keepAWhile(): void {
    this.#keeps = true
    this.#patience = setTimeout(() => this.#options.giveUp(), KEPT_WITHIN_MS)
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

  /** One that is too long is left alone, but for its head: a half can not be given, and nothing waits for the rest. */
  #keep(chunk: Buffer): boolean {
    if (this.#body.length + chunk.length <= MOST_KEPT) this.#body.add(chunk)
    else {
      this.#destroyed = true
      this.#options.giveUp()
    }
    return true
  }

  #hold(chunk: Buffer): boolean {
    this.#body.add(chunk)
    const seen = this.#body.length > MOST_KEPT ? 'answer' : this.#options.look(chunk)
    if (seen === 'more') return true
    if (seen === 'answer') return this.#handOver()
    this.#failure = seen.failure
    // It says all there is to say: the rest is not waited for.
    this.#keeps = this.#finished = this.#destroyed = true
    this.#options.giveUp()
    return true
  }

  /** With what was held of it. */
  #handOver(): boolean {
    const to = this.#serve()
    const held = this.#body.whole()
    this.#body = new Pieces()
    return held.length === 0 || to.write(held)
  }

  #tell(event: 'drain' | 'close'): void {
    for (const listener of this.#listeners[event]) listener()
  }
}
