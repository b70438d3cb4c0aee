/**
 * Owns the search for refreshes that nobody looks after: on start, and from then on a few times a second. Refuses to judge an intent before
 * the answers that were spilled are saved, and to take what another process holds.
 */
import type { Logger } from '../observability/index.ts'
import { hasCode } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import { leaseKey } from '../tokens/index.ts'
import type { CredentialRef, CredentialStore } from '../tokens/index.ts'
import type { StoreContact } from './contact.ts'
import type { Landing } from './flight.ts'
import type { UnsavedAnswers } from './unsaved.ts'

interface Parts {
  readonly store: CredentialStore
  readonly unsaved: UnsavedAnswers
  readonly contact: StoreContact
  readonly clock: Clock
  readonly logger: Logger
  readonly isFlying: (key: string) => boolean
  readonly recover: (ref: CredentialRef) => Promise<Landing>
}

/** Intents looked at at once; those that are held or resting are not asked about again before their time. */
const PER_LOOK = 1_000
/** Recoveries side by side: after a provider's outage they all come due at once, and each may take as long as a call. */
const AT_ONCE = 32
const ADOPT_EVERY_MS = 5_000
/** While the store could not take all of them. */
const ADOPT_AGAIN_MS = 500
/** The longest that a resting intent is not looked at: something else may have moved it. */
const LONGEST_REST_MS = 60_000

export class Recovery {
  readonly #o: Parts
  readonly #notBefore = new Map<string, number>()
  /** Waiting for their turn or being recovered. */
  readonly #taken = new Map<string, Promise<void>>()
  readonly #queue: (() => void)[] = []
  #running = 0
  #stopped = false
  #adoptAfter = Number.NEGATIVE_INFINITY
  /** Credentials that an answer in a spill belongs to, which the store could not take yet. */
  #unadopted: ReadonlySet<string> = new Set()

  constructor(parts: Parts) {
    this.#o = parts
  }

  /** One look, and everything that it found. @throws TokenError `store_unavailable`. */
  async pass(): Promise<void> {
    await this.look()
    await Promise.all(this.#taken.values())
  }

  /** Takes what is due, and does not wait for it: one that is slow keeps no other waiting. @throws TokenError `store_unavailable`. */
  async look(): Promise<void> {
    const { store, unsaved, clock, contact } = this.#o
    if (clock.monotonic() >= this.#adoptAfter) {
      this.#unadopted = await unsaved.adopt()
      this.#adoptAfter = clock.monotonic() + (this.#unadopted.size === 0 ? ADOPT_EVERY_MS : ADOPT_AGAIN_MS)
    }
    const interrupted = await contact.through(() => store.interrupted(PER_LOOK))
    this.#forgetOthers(new Set(interrupted.map(leaseKey)))
    for (const ref of interrupted) if (this.#isDue(leaseKey(ref))) this.#take(ref)
  }

  /** Begins nothing more. */
  stop(): void {
    this.#stopped = true
  }

  #take(ref: CredentialRef): void {
    const key = leaseKey(ref)
    const turn = new Promise<void>((resolve) => this.#queue.push(resolve))
    const over = turn
      .then(() => (this.#stopped ? undefined : this.#recover(ref)))
      .finally(() => {
        this.#taken.delete(key)
        this.#running -= 1
        this.#next()
      })
    this.#taken.set(key, over)
    this.#next()
  }

  #next(): void {
    if (this.#running >= AT_ONCE) return
    const begin = this.#queue.shift()
    if (begin === undefined) return
    this.#running += 1
    begin()
  }

  async #recover(ref: CredentialRef): Promise<void> {
    const landing = await this.#o.recover(ref)
    const wait = this.#waitAfter(ref, landing)
    this.#notBefore.set(leaseKey(ref), this.#o.clock.monotonic() + Math.min(wait, LONGEST_REST_MS))
  }

  #waitAfter(ref: CredentialRef, landing: Landing): number {
    if (landing.kind === 'left') return landing.lookAgainMs
    if (landing.kind === 'served') return 0
    if (!hasCode(landing.error, 'store_unavailable'))
      this.#o.logger.debug('An interrupted refresh is not over', { ref, error: landing.error })
    return 1_000
  }

  #isDue(key: string): boolean {
    return (
      !this.#taken.has(key) &&
      !this.#unadopted.has(key) &&
      !this.#o.isFlying(key) &&
      (this.#notBefore.get(key) ?? 0) <= this.#o.clock.monotonic()
    )
  }

  #forgetOthers(interrupted: ReadonlySet<string>): void {
    for (const key of this.#notBefore.keys()) if (!interrupted.has(key)) this.#notBefore.delete(key)
  }
}
