/**
 * Owns the unwrapped data keys in memory: bounded in number and age, dropped when their rows change. Refuses to keep a key whose row was
 * read before a change that has been heard since.
 */
import type { Clock, DataKeyId, OrgId, SealingKey } from '@sallyport/core'
import type { Change } from '../db/index.ts'

interface Held {
  readonly key: SealingKey
  /** By the monotonic clock, in milliseconds. */
  readonly until: number
}

interface Organization {
  readonly keys: Map<string, Held>
  current: Held | undefined
}

/** What a read must show to have its result kept: the state of the cache when it began. */
export type ReadMark = symbol & { readonly __mark: true }

export class DataKeyCache {
  readonly #organizations = new Map<OrgId, Organization>()
  readonly #clock: Clock
  readonly #maxOrganizations: number
  readonly #maxAgeMs: number
  #mark = Symbol('data keys') as ReadMark

  constructor(clock: Clock, maxOrganizations: number, maxAgeMs: number) {
    this.#clock = clock
    this.#maxOrganizations = maxOrganizations
    this.#maxAgeMs = maxAgeMs
  }

  get(org: OrgId, id: string): SealingKey | undefined {
    return this.#fresh(this.#organizations.get(org)?.keys.get(id))
  }

  current(org: OrgId): SealingKey | undefined {
    return this.#fresh(this.#organizations.get(org)?.current)
  }

  /** Take before reading a row. */
  mark(): ReadMark {
    return this.#mark
  }

  /** Keeps a key read since `mark`, unless something changed meanwhile: then the next caller reads again. */
  keep(mark: ReadMark, org: OrgId, key: SealingKey, as: { readonly current: boolean }): void {
    if (mark !== this.#mark) return
    const held = { key, until: this.#clock.monotonic() + this.#maxAgeMs }
    const organization = this.#organization(org)
    organization.keys.set(key.id, held)
    if (as.current) organization.current = held
  }

  forget(change: Change | 'unknown'): void {
    if (change === 'unknown') this.#organizations.clear()
    else if (change.table === 'data_key') this.#organizations.delete(change.org)
    else return
    this.#mark = Symbol('data keys') as ReadMark
  }

  #fresh(held: Held | undefined): SealingKey | undefined {
    return held !== undefined && held.until > this.#clock.monotonic() ? held.key : undefined
  }

  #organization(org: OrgId): Organization {
    const known = this.#organizations.get(org)
    if (known !== undefined) return known
    // The longest held goes first: it is the next to end by age anyway.
    const [oldest] = this.#organizations.keys()
    if (oldest !== undefined && this.#organizations.size >= this.#maxOrganizations) this.#organizations.delete(oldest)
    const made: Organization = { keys: new Map<DataKeyId, Held>(), current: undefined }
    this.#organizations.set(org, made)
    return made
  }
}
