/** Owns how long one attempt may take until its answer is the caller's, and whether the caller is still there to have it. Refuses to bound what comes after. */
import { EgressError } from '@sallyport/core'

export class AttemptTime {
  readonly #ending = new AbortController()
  readonly #gone: AbortSignal
  readonly #timer: NodeJS.Timeout | undefined
  readonly #whose: string
  #late = false
  #abandoned = false
  #over = false

  /**
   * `withinMs`: Infinity for as long as the way out allows. `gone`: aborted when the caller goes away. `isRest`: it is what others left of the route's time, which may
   * be too little for anybody.
   */
  constructor(withinMs: number, gone: AbortSignal, { isRest = false }: { readonly isRest?: boolean } = {}) {
    this.#whose = isRest ? 'signal' : 'first byte'
    this.#gone = gone
    gone.addEventListener('abort', this.#end, { once: true })
    if (gone.aborted) this.#end()
    if (Number.isFinite(withinMs)) this.#timer = setTimeout(this.#beLate, withinMs)
  }

  /** Aborted when the attempt is to end; by an EgressError `upstream_timeout` when it took too long to begin. */
  get signal(): AbortSignal {
    return this.#ending.signal
  }

  /** It took too long to begin. */
  get isLate(): boolean {
    return this.#late
  }

  /** It was ended here, since the caller has all there will be. */
  get isAbandoned(): boolean {
    return this.#abandoned
  }

  /** Its answer is the caller's, or there is none: from now on whoever writes the answer sees the caller go. Repeating it changes nothing. */
  over(): void {
    this.#over = true
    clearTimeout(this.#timer)
    this.#gone.removeEventListener('abort', this.#end)
  }

  abandon(): void {
    this.#abandoned = true
    this.#ending.abort()
  }

  /** @throws EgressError `client_gone` */
  requireCaller(): void {
    if (this.#gone.aborted) throw new EgressError('client_gone', 'connection')
  }

  readonly #end = (): void => this.#ending.abort()

  readonly #beLate = (): void => {
    if (this.#over) return
    this.#late = true
    this.#ending.abort(new EgressError('upstream_timeout', this.#whose, true))
  }
}
