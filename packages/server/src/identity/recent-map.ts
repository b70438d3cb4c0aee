/** Owns memory that stays bounded whatever is thrown at it. Refuses to grow: over its size, what was put longest ago goes. */

/** A map of at most `size` entries. Putting a key again makes it the newest; reading doesn't, so that reading costs one lookup. */
export class RecentMap<Key, Value> {
  readonly #entries = new Map<Key, Value>()
  readonly #size: number

  /** @throws RangeError unless `size` is a positive integer. */
  constructor(size: number) {
    if (!Number.isSafeInteger(size) || size < 1) throw new RangeError('a map needs room for at least one entry')
    this.#size = size
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: Key): Value | undefined {
    return this.#entries.get(key)
  }

  has(key: Key): boolean {
    return this.#entries.has(key)
  }

  put(key: Key, value: Value): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size <= this.#size) return
    const oldest = this.#entries.keys().next()
    if (oldest.done !== true) this.#entries.delete(oldest.value)
  }

  delete(key: Key): void {
    this.#entries.delete(key)
  }

  /** Deletes every entry for which `gone` says so. Linear: for rare events, not for the path of a call. */
  deleteWhere(gone: (value: Value) => boolean): void {
    for (const [key, value] of this.#entries) if (gone(value)) this.#entries.delete(key)
  }

  clear(): void {
    this.#entries.clear()
  }
}
