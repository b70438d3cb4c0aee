/** Owns telling those who listen. Refuses to let one listener's failure reach the teller or the other listeners. */
import type { CredentialRef } from '../tokens/index.ts'

export type ChangeListener = (ref: CredentialRef | 'unknown') => void

export class ChangeListeners {
  readonly #listeners = new Set<ChangeListener>()

  /** Gives what takes the listener away again. Idempotent. */
  add(listener: ChangeListener): () => void {
    const own: ChangeListener = (ref) => listener(ref)
    this.#listeners.add(own)
    return () => void this.#listeners.delete(own)
  }

  /** A listener that throws fails as a rejection nobody handled would: loudly, and after everyone was told. */
  tell(ref: CredentialRef | 'unknown'): void {
    for (const listener of this.#listeners) {
      try {
        listener(ref)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  clear(): void {
    this.#listeners.clear()
  }
}
