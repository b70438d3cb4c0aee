/**
 * Owns the port behind the cache of answers, and its store in memory. Refuses to grow: each scope, and all of them together, have bounds. Refuses to
 * keep what was asked for before its resource was changed: whoever keeps shows what it saw when it began.
 */

/** Where an answer stands. Keys say nothing of what they stand for. */
export interface AnswerPlace {
  /** On whose account: has a share of its own. */
  readonly scope: string
  /** Of one connection, in whatever generation. */
  readonly group: string
  /** Of one resource of it: what is changed and forgotten as one. */
  readonly resource: string
  /** Of this answer: the resource itself, or what is told apart of it. */
  readonly key: string
}

/** What a store has under a key. */
export interface AnswerFound {
  readonly bytes: Uint8Array | undefined
  /** Changes whenever the resource, or all of its group, is forgotten; now and then without that. */
  readonly seen: string
}

/** May forget anything at any time. What it rejects with costs the cache, and no call. */
export interface AnswerStore {
  get(place: AnswerPlace): Promise<AnswerFound>
  /** `lifeMs`: after which it is of no use. False, and nothing kept, when the resource was forgotten since `seen`, by whichever process. */
  put(place: AnswerPlace, bytes: Uint8Array, kept: { readonly lifeMs: number; readonly seen: string }): Promise<boolean>
  /** The one that stands at `key`. */
  drop(place: AnswerPlace): Promise<void>
  /** The resource was changed: what stands at it, and what is on its way. */
  forget(place: Omit<AnswerPlace, 'key'>): Promise<void>
  /** The same for everything of a connection. */
  forgetGroup(place: Pick<AnswerPlace, 'scope' | 'group'>): Promise<void>
}

/** Bounds of the answers in memory, in bytes. */
export interface MemoryAnswerOptions {
  /** Of all scopes together; 64 MiB when absent. */
  readonly maxBytes?: number
  /** Of one scope; 16 MiB when absent. */
  readonly maxBytesPerScope?: number
  /** Of one scope; 10,000 when absent. */
  readonly maxEntriesPerScope?: number
}

interface Entry {
  readonly group: string
  readonly bytes: Uint8Array
}

interface Scope {
  readonly entries: Map<string, Entry>
  /** Keys by group: word of a change comes for connections that have nothing here, a hundred thousand at once where many end. */
  readonly groups: Map<string, Set<string>>
  bytes: number
}

/** What an entry costs beside its bytes, about. */
const OVERHEAD = 256
const FORGOTTEN_REMEMBERED = 1_000

/** Least recently used first. Ends with the process; lifetimes are the cache's business. */
export class MemoryAnswerStore implements AnswerStore {
  readonly #scopes = new Map<string, Scope>()
  readonly #options: Required<MemoryAnswerOptions>
  readonly #forgotten = new ForgottenLately()
  #bytes = 0

  constructor(options: MemoryAnswerOptions = {}) {
    const { maxBytes = 64 * 1024 * 1024, maxBytesPerScope = 16 * 1024 * 1024, maxEntriesPerScope = 10_000 } = options
    this.#options = { maxBytes, maxBytesPerScope, maxEntriesPerScope }
  }

  /** Bytes held, with what they cost beside. */
  get size(): number {
    return this.#bytes
  }

  async get({ scope: name, key }: AnswerPlace): Promise<AnswerFound> {
    const seen = this.#forgotten.now
    const scope = this.#scopes.get(name)
    const found = scope?.entries.get(key)
    if (scope === undefined || found === undefined) return { bytes: undefined, seen }
    scope.entries.delete(key)
    scope.entries.set(key, found)
    this.#scopes.delete(name)
    this.#scopes.set(name, scope)
    return { bytes: found.bytes, seen }
  }

  async put(place: AnswerPlace, bytes: Uint8Array, { seen }: Parameters<AnswerStore['put']>[2]): Promise<boolean> {
    const { scope: name, group, key } = place
    if (this.#forgotten.since(seen, namesOf(place))) return false
    this.#drop(name, key)
    const { maxBytes, maxBytesPerScope, maxEntriesPerScope } = this.#options
    const cost = bytes.length + OVERHEAD
    if (cost > Math.min(maxBytes, maxBytesPerScope)) return false
    const scope = this.#scopes.get(name) ?? { entries: new Map(), groups: new Map(), bytes: 0 }
    this.#scopes.delete(name)
    this.#scopes.set(name, scope)
    scope.entries.set(key, { group, bytes })
    scope.groups.set(group, (scope.groups.get(group) ?? new Set()).add(key))
    scope.bytes += cost
    this.#bytes += cost
    while (scope.bytes > maxBytesPerScope || scope.entries.size > maxEntriesPerScope) this.#dropOldest(name)
    while (this.#bytes > maxBytes) this.#dropOldest(this.#scopes.keys().next().value!)
    return true
  }

  async drop({ scope, key }: AnswerPlace): Promise<void> {
    this.#drop(scope, key)
  }

  async forget(place: Omit<AnswerPlace, 'key'>): Promise<void> {
    this.#forgotten.note(namesOf(place)[0]!)
    this.#drop(place.scope, place.resource)
  }

  async forgetGroup(place: Pick<AnswerPlace, 'scope' | 'group'>): Promise<void> {
    this.#forgotten.note(groupOf(place))
    for (const key of this.#scopes.get(place.scope)?.groups.get(place.group) ?? []) this.#drop(place.scope, key)
  }

  #dropOldest(name: string): void {
    this.#drop(name, this.#scopes.get(name)!.entries.keys().next().value!)
  }

  #drop(name: string, key: string): void {
    const scope = this.#scopes.get(name)
    const found = scope?.entries.get(key)
    if (scope === undefined || found === undefined) return
    scope.entries.delete(key)
    const own = scope.groups.get(found.group)!
    own.delete(key)
    if (own.size === 0) scope.groups.delete(found.group)
    scope.bytes -= found.bytes.length + OVERHEAD
    this.#bytes -= found.bytes.length + OVERHEAD
    if (scope.entries.size === 0) this.#scopes.delete(name)
  }
}

function groupOf({ scope, group }: Pick<AnswerPlace, 'scope' | 'group'>): string {
  return JSON.stringify([scope, group])
}

function namesOf(place: Omit<AnswerPlace, 'key'>): readonly string[] {
  return [JSON.stringify([place.scope, place.group, place.resource]), groupOf(place)]
}

/** What was forgotten, in order. Of what lies too far back it is not known any more, and taken to be forgotten. */
class ForgottenLately {
  readonly #at = new Map<string, number>()
  #count = 0
  #before = 0

  get now(): string {
    return String(this.#count)
  }

  note(name: string): void {
    this.#count += 1
    this.#at.delete(name)
    this.#at.set(name, this.#count)
    for (const [oldest, at] of this.#at) {
      if (this.#at.size <= FORGOTTEN_REMEMBERED) break
      this.#at.delete(oldest)
      this.#before = at
    }
  }

  since(seen: string, names: readonly string[]): boolean {
    return Number(seen) < Math.max(this.#before, ...names.map((name) => this.#at.get(name) ?? 0))
  }
}
