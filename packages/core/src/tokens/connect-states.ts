/**
 * Owns the port behind which sign-ins under way are kept: what must be known again when a browser comes back. Refuses to give one out twice,
 * and to tell what stood in one that was used or has ended.
 */
import type { Secret } from '../kernel/index.ts'

/** What a state turned out to be. A used or ended one is known as such for an hour after its end, and unknown from then on. */
export type TakenState =
  | { readonly kind: 'taken'; readonly text: Secret }
  | { readonly kind: 'used' }
  | { readonly kind: 'expired' }
  | { readonly kind: 'unknown' }

/**
 * Keeps texts under states. Only a state's SHA-256 is kept, and the text is sealed to it.
 * All reject with TokenError `store_unavailable` when the store can't be reached or doesn't answer in time.
 */
export interface ConnectStates {
  /** `lifeMs` by the store's clock. */
  put(state: Secret, text: Secret, lifeMs: number): Promise<void>
  /**
   * Gives the text to exactly one caller of all processes. Not to be repeated after `store_unavailable`: the text may be gone with the answer.
   * @throws CryptoError `decrypt_failed` or `key_unknown` when it was sealed under another key.
   */
  take(state: Secret): Promise<TakenState>
  /** What `take` would give, without taking it: for what is asked after more than once before it ends. @throws as `take` */
  read(state: Secret): Promise<TakenState>
  close(): Promise<void>
}

/** How long the word of a used or ended state is kept. */
export const STATE_MEMORY_MS = 3_600_000
