/** Owns waiting for another process: until the store hints at a change, and never longer than asked. Refuses to trust the hint alone. */
import { leaseKey } from '../tokens/index.ts'
import type { CredentialRef, CredentialStore } from '../tokens/index.ts'
import type { Pause } from './options.ts'

export class Changes {
  readonly #waiting = new Map<string, Set<() => void>>()
  readonly #pause: Pause
  readonly #unsubscribe: () => void

  constructor(store: CredentialStore, pause: Pause) {
    this.#pause = pause
    this.#unsubscribe = store.onChange((ref) => this.#wake(ref))
  }

  /** Resolves at a hint about this credential, or after `ms`. */
  async next(ref: CredentialRef, ms: number): Promise<void> {
    const key = leaseKey(ref)
    const hint = Promise.withResolvers<void>()
    const waiting = this.#waiting.get(key) ?? new Set()
    this.#waiting.set(key, waiting.add(hint.resolve))
    const over = new AbortController()
    await Promise.race([hint.promise, this.#pause(ms, over.signal)])
    over.abort()
    waiting.delete(hint.resolve)
    if (waiting.size === 0 && this.#waiting.get(key) === waiting) this.#waiting.delete(key)
  }

  close(): void {
    this.#unsubscribe()
    this.#wake('unknown')
  }

  #wake(ref: CredentialRef | 'unknown'): void {
    const sets = ref === 'unknown' ? [...this.#waiting.values()] : [this.#waiting.get(leaseKey(ref)) ?? []]
    for (const set of sets) for (const wake of set) wake()
  }
}
