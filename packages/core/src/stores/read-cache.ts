/**
 * Owns the last known state of credentials, for when their store is away: an access token that lives is served from it. Refuses to be asked
 * first, to begin, and to keep anything open: tokens lie in it sealed under a key of this process, and are opened one reading at a time.
 */
import { hasCode, systemClock } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import type { CredentialRef, CredentialState, CredentialStore } from '../tokens/index.ts'
import { ephemeralKeys } from './encryption.ts'
import { TokenSealer } from './token-sealer.ts'
import type { SealedVersion } from './records.ts'

/** What may be served while the store is away: how many, and for how long. */
export interface ReadCacheOptions {
  /** The least recently read goes first; 10,000 when absent. */
  readonly maxEntries?: number
  /** How long what was read may be served; 15 minutes when absent. It bounds how long a revocation elsewhere goes unseen while the store is away. */
  readonly maxAgeMs?: number
  readonly clock?: Clock
}

interface Entry {
  readonly state: Omit<CredentialState, 'head'>
  readonly head: SealedVersion
  readonly mono: number
  readonly wall: number
}

/**
 * `store`, whose `read` answers from memory, marked `stale`, when the store is unavailable and the last reading holds a token that has not
 * expired. Everything else is the store's. What any process is heard to change is forgotten, as is what is changed through this one.
 */
export function withReadCache<Store extends CredentialStore>(store: Store, options: ReadCacheOptions = {}): Store {
  const cache = new ReadCache(options)
  // From the first reading on: before it there is nothing to forget, and listening connects.
  let listening: (() => void) | undefined

  async function read(ref: CredentialRef): Promise<CredentialState | undefined> {
    listening ??= store.onChange((changed) => (changed === 'unknown' ? cache.clear() : cache.forget(changed)))
    const reading = cache.beginReading(ref)
    try {
      const state = await store.read(ref)
      cache.keep(reading, state)
      return state
    } catch (error) {
      const last = hasCode(error, 'store_unavailable') ? cache.lastOf(ref) : undefined
      if (last === undefined) throw error
      return last
    } finally {
      cache.endReading(reading)
    }
  }

  /** Before, so that nothing ended is served while the end is written; after, so that a reading that was under way is not kept. */
  async function changing<T>(ref: CredentialRef, work: () => Promise<T>): Promise<T> {
    cache.forget(ref)
    try {
      return await work()
    } finally {
      cache.forget(ref)
    }
  }

  const own: Partial<CredentialStore> = {
    read,
    connect: (ref, tokens) => changing(ref, () => store.connect(ref, tokens)),
    end: (ref, at, status, trouble) => changing(ref, () => store.end(ref, at, status, trouble)),
    remove: (ref, generation) => changing(ref, () => store.remove(ref, generation)),
    // Not before: when it can't be saved, the token it replaces may have life left.
    async save(ref, answer) {
      const outcome = await store.save(ref, answer)
      cache.forget(ref)
      return outcome
    },
    async close() {
      listening?.()
      cache.clear()
      await store.close()
    },
  }
  return new Proxy(store, { get: (target, name) => Reflect.get(name in own ? own : target, name, name in own ? own : target) as unknown })
}

interface Reading {
  readonly name: string
  valid: boolean
}

class ReadCache {
  readonly #sealer = new TokenSealer(ephemeralKeys())
  readonly #entries = new Map<string, Entry>()
  /** Readings under way: what is forgotten meanwhile must not come back with their answers. */
  readonly #readings = new Set<Reading>()
  readonly #maxEntries: number
  readonly #maxAgeMs: number
  readonly #clock: Clock

  constructor({ maxEntries = 10_000, maxAgeMs = 15 * 60_000, clock = systemClock }: ReadCacheOptions) {
    this.#maxEntries = maxEntries
    this.#maxAgeMs = maxAgeMs
    this.#clock = clock
  }

  beginReading(ref: CredentialRef): Reading {
    const reading = { name: nameOf(ref), valid: true }
    this.#readings.add(reading)
    return reading
  }

  endReading(reading: Reading): void {
    this.#readings.delete(reading)
  }

  keep(reading: Reading, state: CredentialState | undefined): void {
    const known = this.#entries.get(reading.name)
    // A reading that was overtaken by a later one.
    if (known !== undefined && state !== undefined && isNewer(known, state)) return
    this.#entries.delete(reading.name)
    if (!reading.valid || state?.status !== 'active') return
    const { head, ...rest } = state
    const same = known?.head.seq === head.seq && known.state.generation === state.generation
    const sealed = same ? known.head.sealed : this.#sealer.version(state.ref, head.tokens).seal(head.seq)
    const { tokens: _tokens, ...version } = head
    this.#entries.set(reading.name, { state: rest, head: { ...version, sealed }, mono: this.#clock.monotonic(), wall: this.#clock.now() })
    if (this.#entries.size > this.#maxEntries) this.#entries.delete(this.#entries.keys().next().value!)
  }

  /** Undefined when there is none, it is too old, or its access token has expired by the store's clock as far as it can be told. */
  lastOf(ref: CredentialRef): CredentialState | undefined {
    const entry = this.#entries.get(nameOf(ref))
    if (entry === undefined) return undefined
    // Both clocks: one stands still while the machine sleeps, the other may be set.
    const age = Math.max(this.#clock.monotonic() - entry.mono, this.#clock.now() - entry.wall)
    const readAt = entry.state.readAt + age
    if (age > this.#maxAgeMs) return undefined
    const head = this.#sealer.openVersion(ref, entry.head)
    if (head.tokens.expiresAt !== null && head.tokens.expiresAt <= readAt) return undefined
    return { ...entry.state, head, readAt, stale: true }
  }

  forget(ref: CredentialRef): void {
    const name = nameOf(ref)
    this.#entries.delete(name)
    for (const reading of this.#readings) if (reading.name === name) reading.valid = false
  }

  clear(): void {
    this.#entries.clear()
    for (const reading of this.#readings) reading.valid = false
  }
}

function isNewer({ state, head }: Entry, than: CredentialState): boolean {
  return state.generation > than.generation || (state.generation === than.generation && head.seq > than.head.seq)
}

function nameOf({ scope, id }: CredentialRef): string {
  return JSON.stringify([scope, id])
}
