/**
 * Owns the reading of states: callers that come while a read of the same credential is under way share the next one. Refuses to give a
 * caller a reading that was begun before it asked: it may have written meanwhile.
 */
import type { Clock } from '../kernel/index.ts'
import { leaseKey, TokenError } from '../tokens/index.ts'
import type { CredentialRef, CredentialStore } from '../tokens/index.ts'
import type { StoreContact } from './contact.ts'
import type { Reading } from './policy.ts'

interface Queue {
  readonly running: Promise<unknown>
  next: Promise<Reading | undefined> | undefined
}

export class Readings {
  readonly #store: CredentialStore
  readonly #clock: Clock
  readonly #contact: StoreContact
  readonly #queues = new Map<string, Queue>()

  constructor(store: CredentialStore, clock: Clock, contact: StoreContact) {
    this.#contact = contact
    this.#store = store
    this.#clock = clock
  }

  /** Undefined when there is no such credential. @throws TokenError `store_unavailable`. */
  read(ref: CredentialRef): Promise<Reading | undefined> {
    const key = leaseKey(ref)
    const queue = this.#queues.get(key)
    if (queue === undefined) return this.#start(key, ref)
    const again = () => this.#start(key, ref)
    queue.next ??= queue.running.then(again, again)
    return queue.next
  }

  /** As the store has it now. @throws TokenError `store_unavailable` also for what a cache remembers of it: nothing is decided on that. */
  async readNow(ref: CredentialRef): Promise<Reading | undefined> {
    const reading = await this.read(ref)
    if (reading?.state.stale === true) throw new TokenError('store_unavailable', 'the store is away; a cache answered')
    return reading
  }

  #start(key: string, ref: CredentialRef): Promise<Reading | undefined> {
    const running = this.#ask(ref)
    const queue: Queue = { running, next: undefined }
    this.#queues.set(key, queue)
    const over = () => {
      if (queue.next === undefined && this.#queues.get(key) === queue) this.#queues.delete(key)
    }
    running.then(over, over)
    return running
  }

  async #ask(ref: CredentialRef): Promise<Reading | undefined> {
    const askedAt = this.#clock.monotonic()
    const state = await this.#contact.through(
      () => this.#store.read(ref),
      (read) => read?.stale !== true,
    )
    return state === undefined ? undefined : { state, askedAt }
  }
}
