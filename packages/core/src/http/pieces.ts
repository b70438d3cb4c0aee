/**
 * Owns a body that is put together as it comes. Refuses to keep the pieces themselves: each costs a hundred bytes beside its own, and may be a view of something
 * larger, so that a peer who sends byte by byte would have a hundred times the bound held for it.
 */

const LEAST = 1024

/** A body so far: bytes in the order in which they were added, in one stretch of memory. */
export class Pieces {
  #memory = Buffer.alloc(0)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Bytes of memory that are taken: 1024, or less than twice what is held. */
  get taken(): number {
    return this.#memory.length
  }

  add(piece: Uint8Array): void {
    const length = this.#length + piece.length
    if (length > this.#memory.length) {
      const memory = Buffer.alloc(Math.max(length, Math.min(2 * this.#memory.length, 2 * length - 1), LEAST))
      this.whole().copy(memory)
      this.#memory = memory
    }
    this.#memory.set(piece, this.#length)
    this.#length = length
  }

  /** What came so far, in the memory that it is held in. */
  whole(): Buffer {
    return this.#memory.subarray(0, this.#length)
  }
}
