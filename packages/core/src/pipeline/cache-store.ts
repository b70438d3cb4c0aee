/** Owns the port behind the cache of answers, and its store in memory. Refuses to grow: each scope, and all of them together, have bounds. */

/** Bytes by scope and key. May forget anything at any time. What it rejects with costs the cache, and no call. */
export interface AnswerStore {
  get(scope: string, key: string): Promise<Uint8Array | undefined>
  /** `lifeMs`: after which it is of no use. */
  put(scope: string, key: string, bytes: Uint8Array, lifeMs: number): Promise<void>
  delete(scope: string, key: string): Promise<void>
}

export interface MemoryAnswerOptions {
  /** Of all scopes together; 64 MiB when absent. */
  readonly maxBytes?: number
  /** Of one scope; 16 MiB when absent. */
  readonly maxBytesPerScope?: number
  /** Of one scope; 10,000 when absent. */
  readonly maxEntriesPerScope?: number
}

interface Scope {
  readonly entries: Map<string, Uint8Array>
  bytes: number
}

/** What an entry costs beside its bytes, about. */
const OVERHEAD = 256

/** Least recently used first. Ends with the process; lifetimes are the cache's business. */
export class MemoryAnswerStore implements AnswerStore {
  readonly #scopes = new Map<string, Scope>()
  readonly #options: Required<MemoryAnswerOptions>
  #bytes = 0

  constructor(options: MemoryAnswerOptions = {}) {
    const { maxBytes = 64 * 1024 * 1024, maxBytesPerScope = 16 * 1024 * 1024, maxEntriesPerScope = 10_000 } = options
    this.#options = { maxBytes, maxBytesPerScope, maxEntriesPerScope }
  }

  /** Bytes held, with what they cost beside. */
  get size(): number {
    return this.#bytes
  }

  async get(name: string, key: string): Promise<Uint8Array | undefined> {
    const scope = this.#scopes.get(name)
    const found = scope?.entries.get(key)
    if (scope === undefined || found === undefined) return undefined
    scope.entries.delete(key)
    scope.entries.set(key, found)
    this.#scopes.delete(name)
    this.#scopes.set(name, scope)
    return found
  }

  async put(name: string, key: string, bytes: Uint8Array): Promise<void> {
    this.#drop(name, key)
    const { maxBytes, maxBytesPerScope, maxEntriesPerScope } = this.#options
    const cost = bytes.length + OVERHEAD
    if (cost > Math.min(maxBytes, maxBytesPerScope)) return
    const scope = this.#scopes.get(name) ?? { entries: new Map(), bytes: 0 }
    this.#scopes.delete(name)
    this.#scopes.set(name, scope)
    scope.entries.set(key, bytes)
    scope.bytes += cost
    this.#bytes += cost
    while (scope.bytes > maxBytesPerScope || scope.entries.size > maxEntriesPerScope) this.#dropOldest(name)
    while (this.#bytes > maxBytes) this.#dropOldest(this.#scopes.keys().next().value!)
  }

  async delete(name: string, key: string): Promise<void> {
    this.#drop(name, key)
  }

  #dropOldest(name: string): void {
    this.#drop(name, this.#scopes.get(name)!.entries.keys().next().value!)
  }

  #drop(name: string, key: string): void {
    const scope = this.#scopes.get(name)
    const found = scope?.entries.get(key)
    if (scope === undefined || found === undefined) return
    scope.entries.delete(key)
    scope.bytes -= found.length + OVERHEAD
    this.#bytes -= found.length + OVERHEAD
    if (scope.entries.size === 0) this.#scopes.delete(name)
  }
}
