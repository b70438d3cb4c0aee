/**
 * Owns the end of a connection that the application wants: closed here first, then taken back at the provider, then forgotten. Refuses to forget
 * tokens that live on at a provider which may yet take them back: until then they lie in the store, ended, and `disconnect` goes on with them.
 */
import type { Clock } from '../kernel/index.ts'
import type { Logger } from '../observability/index.ts'
import type { ImpossibleReason, OutboundFetch, RetryReason, RevokeAnswer } from '../oauth/index.ts'
import type { CredentialRef, CredentialState, CredentialStore, TokenSet } from '../tokens/index.ts'
import type { ConfiguredProvider } from './config.ts'
import { takeBack } from './taking-back.ts'

/**
 * What became of the tokens at the provider.
 * - `done`: taken back, or unknown there already.
 * - `pending`: not yet. This process tries again; after a restart `disconnect` does.
 * - `impossible`: the provider takes none back (`no_way`) or refused; they live until they expire. Forgotten here.
 */
export type Revocation =
  | { readonly kind: 'done' }
  | { readonly kind: 'pending'; readonly reason: RetryReason }
  | { readonly kind: 'impossible'; readonly reason: ImpossibleReason }

export interface DisconnectingParts {
  readonly provider: (name: string) => ConfiguredProvider
  readonly store: CredentialStore
  readonly fetch: OutboundFetch
  readonly clock: Clock
  readonly logger: Logger
}

const FIRST_WAIT_MS = 5_000
const LAST_WAIT_MS = 3_600_000

export class Disconnecting {
  readonly #parts: DisconnectingParts
  readonly #waiting = new Map<string, NodeJS.Timeout>()
  #closed = false

  constructor(parts: DisconnectingParts) {
    this.#parts = parts
  }

  /** Undefined when there is no such connection. Safe to repeat. @throws TokenError `store_unavailable`: nothing is ended then. */
  async disconnect(ref: CredentialRef): Promise<Revocation | undefined> {
    const { store } = this.#parts
    for (;;) {
      const state = await store.read(ref)
      if (state === undefined) return undefined
      // False: the person has connected anew since; that connection is the one to end.
      if (await store.end(ref, { generation: state.generation }, 'revoked', 'revoked')) return this.#takeBack(ref, state, FIRST_WAIT_MS)
    }
  }

  /** Takes tokens back that came for a connection that had ended. Tried once: nobody knows them any more. */
  async revokeOrphan(ref: CredentialRef, tokens: TokenSet): Promise<void> {
    const answer = await this.#revoke(ref, [tokens], true)
    if (answer.kind !== 'done') this.#parts.logger.warn('Tokens that came late were not taken back', { ref, answer })
  }

  close(): void {
    this.#closed = true
    for (const timer of this.#waiting.values()) clearTimeout(timer)
    this.#waiting.clear()
  }

  async #takeBack(ref: CredentialRef, state: CredentialState, waitMs: number): Promise<Revocation> {
    const siblings = await this.#parts.store.siblings(ref)
    const sets = [state.head, ...siblings].filter(({ generation }) => generation === state.generation).map(({ tokens }) => tokens)
    const answer = await this.#revoke(ref, sets, false)
    if (answer.kind === 'retry') {
      this.#again(ref, state, answer.afterMs ?? waitMs, waitMs)
      return { kind: 'pending', reason: answer.reason }
    }
    await this.#forget(ref, state.generation)
    return answer
  }

  async #revoke(ref: CredentialRef, sets: readonly TokenSet[], accountShared: boolean): Promise<RevokeAnswer> {
    const { provider, fetch, clock } = this.#parts
    return takeBack(provider(ref.scope), { sets, accountShared, fetch, clock })
  }

  /** A newer connection of the user stays. */
  async #forget(ref: CredentialRef, generation: number): Promise<void> {
    const { store } = this.#parts
    const state = await store.read(ref)
    if (state?.generation === generation && state.status === 'revoked') await store.remove(ref, generation)
  }

  #again(ref: CredentialRef, state: CredentialState, afterMs: number, waitMs: number): void {
    if (this.#closed) return
    const name = JSON.stringify([ref.scope, ref.id])
    clearTimeout(this.#waiting.get(name))
    const again = (): void => {
      this.#waiting.delete(name)
      void this.#resume(ref, state, Math.min(waitMs * 2, LAST_WAIT_MS))
    }
    this.#waiting.set(name, setTimeout(again, afterMs).unref())
  }

  async #resume(ref: CredentialRef, before: CredentialState, waitMs: number): Promise<void> {
    try {
      const state = await this.#parts.store.read(ref)
      if (state?.generation === before.generation && state.status === 'revoked') await this.#takeBack(ref, state, waitMs)
    } catch (error) {
      this.#parts.logger.warn('Taking tokens back is put off', { ref, error })
      this.#again(ref, before, waitMs, waitMs)
    }
  }
}
