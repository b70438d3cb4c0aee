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

/** Intents looked at in one pass; those that are held or resting are not asked about again before their time. */
const PER_PASS = 1_000
/** Recoveries side by side: after a provider's outage they all come due at once. */
const AT_ONCE = 8
const ADOPT_EVERY_MS = 5_000
/** The longest that a resting intent is not looked at: something else may have moved it. */
const LONGEST_REST_MS = 60_000

export class Recovery {
  readonly #o: Parts
  readonly #notBefore = new Map<string, number>()
  #adoptAfter = Number.NEGATIVE_INFINITY
  #pass: Promise<void> | undefined

  constructor(parts: Parts) {
    this.#o = parts
  }

  /** One pass; a second caller gets the one under way. @throws TokenError `store_unavailable`. */
  pass(): Promise<void> {
    this.#pass ??= this.#run().finally(() => (this.#pass = undefined))
    return this.#pass
  }

  async #run(): Promise<void> {
    const { store, unsaved, clock, contact } = this.#o
    if (clock.monotonic() >= this.#adoptAfter) {
      await unsaved.adopt()
      this.#adoptAfter = clock.monotonic() + ADOPT_EVERY_MS
    }
    const interrupted = await contact.through(() => store.interrupted(PER_PASS))
    this.#forgetOthers(new Set(interrupted.map(leaseKey)))
    const due = interrupted.filter((ref) => this.#isDue(leaseKey(ref))).values()
    await Promise.all(Array.from({ length: AT_ONCE }, () => this.#work(due)))
  }

  async #work(due: Iterator<CredentialRef>): Promise<void> {
    for (let next = due.next(); next.done !== true; next = due.next()) await this.#recover(next.value)
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
    return !this.#o.isFlying(key) && (this.#notBefore.get(key) ?? 0) <= this.#o.clock.monotonic()
  }

  #forgetOthers(interrupted: ReadonlySet<string>): void {
    for (const key of this.#notBefore.keys()) if (!interrupted.has(key)) this.#notBefore.delete(key)
  }
}
