/**
 * Owns which proofs this process has taken (RFC 9449 section 11.1): what it has seen, the database is not asked about. Refuses to forget one that
 * is still good: when an organization's room is full, its next proof is refused instead, and nobody else's.
 */
import { DPOP_CLOCK_AHEAD_S, DPOP_PROOF_AGE_S } from '@sallyport/core'
import type { Clock, OrgId } from '@sallyport/core'

/** A proof is good at most this long from the first moment at which it can be taken. */
export const PROOF_LIFE_S = DPOP_PROOF_AGE_S + DPOP_CLOCK_AHEAD_S
const LIFE_MS = PROOF_LIFE_S * 1000
/** Of one organization, in each half. With `MAX_ALL` about 25 MB at most. */
const MAX_PER_ORG = 50_000
const MAX_ALL = 200_000

/** Two halves: what came in this life span, and in the one before. What is older than a whole one is forgotten with its half. */
interface Halves {
  since: number
  current: Set<string>
  before: Set<string>
}

export type Taken = 'taken' | 'replayed' | 'full'

export class ProofMemory {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #orgs = new Map<OrgId, Halves>()
  #all = 0

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  /** Takes a proof once. `hash`: of what is unique to it. */
  take(org: OrgId, hash: Buffer): Taken {
    const halves = this.#halves(org)
    const name = hash.toString('latin1')
    if (halves.current.has(name) || halves.before.has(name)) return 'replayed'
    if (halves.current.size >= MAX_PER_ORG || this.#all >= MAX_ALL) return 'full'
    halves.current.add(name)
    this.#all += 1
    return 'taken'
  }

  /** Proofs remembered now, of everyone. */
  get size(): number {
    return this.#all
  }

  /** Forgets what is over, of organizations that are quiet too. To be called now and then. */
  sweep(): void {
    for (const [org, halves] of this.#orgs) {
      this.#turn(halves)
      if (halves.current.size + halves.before.size === 0) this.#orgs.delete(org)
    }
  }

  #halves(org: OrgId): Halves {
    const halves = this.#orgs.get(org) ?? { since: this.#clock.monotonic(), current: new Set(), before: new Set() }
    this.#orgs.set(org, halves)
    this.#turn(halves)
    return halves
  }

  #turn(halves: Halves): void {
    const age = this.#clock.monotonic() - halves.since
    if (age < LIFE_MS) return
    const kept = age < 2 * LIFE_MS ? halves.current : new Set<string>()
    this.#all -= halves.before.size + halves.current.size - kept.size
    halves.before = kept
    halves.current = new Set()
    halves.since = this.#clock.monotonic()
  }
}
