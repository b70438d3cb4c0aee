/**
 * Owns what one node may let through for one holder of a limit. Alone it is the whole bucket; beside other nodes a part of it; with Redis, a few
 * at a time drawn from the bucket of all. Refuses to be endless: without Redis a node goes on with its part.
 */
import { TokenBucket } from '@sallyport/core'
import type { Clock } from '@sallyport/core'
import { sameFigures, shareOf } from './figures.ts'
import type { RateFigures } from './figures.ts'
import type { LeaseSource } from './lease-source.ts'

export interface Supply {
  /** Milliseconds until one can be taken, 0 for now; undefined when that has to be asked first. */
  waitMs(): number | undefined
  /** Asks. Callers at the same moment share one question; never rejects. */
  ask(): Promise<void>
  /** Takes one. Only when `waitMs` said 0, in the same turn. */
  take(): void
  /** Whole ones that could be taken now, as far as this node knows. */
  left(): number
  /** Milliseconds until it is full if nothing is taken, as far as this node knows. */
  fullInMs(): number
  /** Goes on with other figures. */
  reshape(figures: RateFigures): void
  /** Goes on beside other nodes, this one counted. */
  useNodes(count: number): void
  /** To be called now and then: gives back what was not used. True when it may be forgotten, since a new one would know as much. */
  rest(): boolean
}

/** A bucket of this process. */
export class LocalSupply implements Supply {
  readonly #bucket: TokenBucket
  #figures: RateFigures
  #nodes: number

  constructor(figures: RateFigures, nodes: number, clock: Clock) {
    const { perSecond, burst } = shareOf(figures, nodes)
    this.#bucket = new TokenBucket(perSecond, burst, clock)
    this.#figures = figures
    this.#nodes = nodes
  }

  waitMs(): number {
    return this.#bucket.waitMs()
  }

  ask(): Promise<void> {
    return Promise.resolve()
  }

  take(): void {
    this.#bucket.take()
  }

  left(): number {
    return this.#bucket.left()
  }

  fullInMs(): number {
    return this.#bucket.fullInMs()
  }

  reshape(figures: RateFigures): void {
    this.#figures = figures
    this.#reshapeShare()
  }

  useNodes(count: number): void {
    this.#nodes = count
    this.#reshapeShare()
  }

  rest(): boolean {
    return this.#bucket.isFull()
  }

  #reshapeShare(): void {
    const { perSecond, burst } = shareOf(this.#figures, this.#nodes)
    this.#bucket.reshape(perSecond, burst)
  }
}

/** No more of a bucket than this is held by a node: what others can't use meanwhile, and what is lost with it. */
const HELD_PART = 1 / 20
/** However large the bucket. */
const MOST_HELD = 250
/** What was not used for this long goes back. */
const IDLE_MS = 1_000

/** Some of a bucket that all nodes draw from. */
export class LeasedSupply implements Supply {
  readonly #name: string
  readonly #source: LeaseSource
  readonly #clock: Clock
  #figures: RateFigures
  #nodes: number
  /** Drawn and not used. */
  #held = 0
  /** What Redis had left when it was asked last, for everybody; undefined before it said anything. */
  #leftThere: number | undefined
  /** Until then Redis has none. */
  #emptyUntil = 0
  #usedAt: number
  #waiting = 0
  #asking: Promise<void> | undefined
  /** While Redis is away. */
  #own: TokenBucket | undefined

  constructor(name: string, figures: RateFigures, nodes: number, source: LeaseSource, clock: Clock) {
    this.#name = name
    this.#figures = figures
    this.#nodes = nodes
    this.#source = source
    this.#clock = clock
    this.#usedAt = clock.monotonic()
  }

  waitMs(): number | undefined {
    const own = this.#ownShare()
    if (own !== undefined) return own.waitMs()
    if (this.#held > 0) return 0
    const emptyForMs = this.#emptyUntil - this.#clock.monotonic()
    return emptyForMs > 0 ? Math.ceil(emptyForMs) : undefined
  }

  ask(): Promise<void> {
    this.#waiting += 1
    this.#asking ??= this.#draw().finally(() => {
      this.#asking = undefined
      this.#waiting = 0
    })
    return this.#asking
  }

  take(): void {
    this.#usedAt = this.#clock.monotonic()
    if (this.#own !== undefined) {
      this.#own.take()
      return
    }
    this.#held -= 1
    // Asked for before it is needed, so that nobody waits.
    if (this.#held <= this.#batch() / 2 && this.#asking === undefined && this.#usedAt >= this.#emptyUntil) void this.ask()
  }

  left(): number {
    return this.#own?.left() ?? Math.min(this.#figures.burst, this.#held + (this.#leftThere ?? this.#figures.burst))
  }

  fullInMs(): number {
    return this.#own?.fullInMs() ?? ((this.#figures.burst - this.left()) / this.#figures.perSecond) * 1_000
  }

  reshape(figures: RateFigures): void {
    if (sameFigures(figures, this.#figures)) return
    // What was drawn from a larger bucket is not spent from a smaller one, and an empty one may fill sooner now.
    this.#held = 0
    this.#emptyUntil = 0
    this.#figures = figures
    this.#reshapeShare()
  }

  useNodes(count: number): void {
    this.#nodes = count
    this.#reshapeShare()
  }

  rest(): boolean {
    if (this.#own !== undefined) return this.#own.isFull()
    if (this.#clock.monotonic() - this.#usedAt < IDLE_MS || this.#asking !== undefined) return false
    if (this.#held > 0) this.#source.giveBack(this.#name, this.#figures, this.#held)
    this.#held = 0
    return true
  }

  /** At first what is held and this node's part of what was left: an outage is no second burst, and no end for who rested before it. */
  #ownShare(): TokenBucket | undefined {
    if (!this.#source.away) {
      this.#own = undefined
      return undefined
    }
    if (this.#own === undefined) {
      const { perSecond, burst } = shareOf(this.#figures, this.#nodes)
      this.#own = new TokenBucket(perSecond, burst, this.#clock, this.#held + (this.#leftThere ?? this.#figures.burst) / this.#nodes)
      this.#held = 0
      this.#leftThere = 0
    }
    return this.#own
  }

  #reshapeShare(): void {
    const { perSecond, burst } = shareOf(this.#figures, this.#nodes)
    this.#own?.reshape(perSecond, burst)
  }

  #batch(): number {
    const { perSecond, burst } = this.#figures
    return Math.min(MOST_HELD, Math.max(1, Math.floor(Math.min(perSecond, burst) * HELD_PART)))
  }

  async #draw(): Promise<void> {
    const figures = this.#figures
    // One turn later, when everybody has asked who asks now.
    await Promise.resolve()
    const want = Math.min(MOST_HELD, Math.max(this.#batch(), this.#waiting))
    const drawn = await this.#source.draw(this.#name, figures, want)
    if (drawn === undefined || figures !== this.#figures) return
    this.#held += drawn.granted
    this.#leftThere = drawn.left
    if (drawn.granted < want) this.#emptyUntil = this.#clock.monotonic() + Math.max(1, drawn.nextMs)
  }
}
