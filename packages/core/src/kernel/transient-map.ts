/**
 * Owns maps of what comes and goes with every call: requests under way, questions that wait for an answer. Refuses to leave a trail in memory.
 *
 * V8 rebuilds the table of a Map every few insertions, and lets each table that was left point to the next one for iterators that may stand in it. The left
 * table still names what was there at that moment. Once one of them is old, the young generation's collector takes the whole trail for living: a Map of ten
 * entries that passed 20,000 kept a third of them until the next full collection, and each collection in between had them to copy.
 */

/** Insertions after which even a small map begins anew. */
const TRAIL = 16

/**
 * A map for short lives: as Map in all that it offers, and every so many insertions it goes on in a table that no earlier one points to. An insertion costs
 * one copied entry more at most, on average. Deleting while walking over it is safe; what is put in meanwhile may not be met.
 */
export class TransientMap<Key, Value> {
  #entries = new Map<Key, Value>()
  #inserted = 0

  get size(): number {
    return this.#entries.size
  }

  get(key: Key): Value | undefined {
    return this.#entries.get(key)
  }

  has(key: Key): boolean {
    return this.#entries.has(key)
  }

  set(key: Key, value: Value): void {
    this.#inserted += 1
    if (this.#inserted > TRAIL && this.#inserted > this.#entries.size) this.#beginAnew()
    this.#entries.set(key, value)
  }

  delete(key: Key): boolean {
    return this.#entries.delete(key)
  }

  clear(): void {
    this.#entries = new Map()
    this.#inserted = 0
  }

  keys(): MapIterator<Key> {
    return this.#entries.keys()
  }

  values(): MapIterator<Value> {
    return this.#entries.values()
  }

  [Symbol.iterator](): MapIterator<[Key, Value]> {
    return this.#entries[Symbol.iterator]()
  }

  #beginAnew(): void {
    this.#entries = new Map(this.#entries)
    this.#inserted = 0
  }
}

/** The same for a set. */
export class TransientSet<Value> {
  readonly #entries = new TransientMap<Value, true>()

  get size(): number {
    return this.#entries.size
  }

  has(value: Value): boolean {
    return this.#entries.has(value)
  }

  add(value: Value): void {
    this.#entries.set(value, true)
  }

  delete(value: Value): boolean {
    return this.#entries.delete(value)
  }

  clear(): void {
    this.#entries.clear()
  }

  [Symbol.iterator](): MapIterator<Value> {
    return this.#entries.keys()
  }
}
