/**
 * Owns the end of a connection that the application wants: closed here first, then taken back at the provider, then forgotten. Refuses to forget
 * tokens that live on at a provider which may yet take them back: until then they lie in the store, ended, and whichever process is there goes on
 * with them, one at a time.
 */
import { hasCode } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import type { Logger, Metrics } from '../observability/index.ts'
import type { ImpossibleReason, OutboundFetch, RetryReason, RevokeAnswer } from '../oauth/index.ts'
import type { Pause } from '../refresh/index.ts'
import { revocationKey, sharesToken } from '../tokens/index.ts'
import type { CredentialRef, CredentialState, CredentialStore, EndedGrant, EndedGrants, LeaseKeeper, TokenSet } from '../tokens/index.ts'
import type { ConfiguredProvider } from './config.ts'
import { takeBack } from './taking-back.ts'

/**
 * What became of the tokens at the provider.
 * - `done`: taken back, or unknown there already.
 * - `pending`: not yet. It is tried again by itself, by any process on the store.
 * - `impossible`: the provider takes none back (`no_way`), refused, or could not be brought to it within 30 days (`given_up`); they live until they
 *   expire. Forgotten here.
 */
export type Revocation =
  | { readonly kind: 'done' }
  | { readonly kind: 'pending'; readonly reason: RetryReason }
  | { readonly kind: 'impossible'; readonly reason: ImpossibleReason | 'given_up' }

/** What is over, one way or the other. */
export type RevocationEnd = Exclude<Revocation, { kind: 'pending' }>

export interface DisconnectingParts {
  readonly provider: (name: string) => ConfiguredProvider
  /** Names of the providers that there are now. */
  readonly providers: () => readonly string[]
  readonly store: CredentialStore & EndedGrants
  readonly leases: Pick<LeaseKeeper, 'take'>
  readonly fetch: OutboundFetch
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  /** Drops what is kept of the provider's answers to one. Never rejects. */
  readonly forgetAnswers: (ref: CredentialRef) => Promise<void>
  /** Hears of what was pending and is over. Must not throw. */
  readonly onEnd: (ref: CredentialRef, revocation: RevocationEnd) => void
  /** Between two looks. Must not keep a process alive. */
  readonly rest: Pause
}

const FIRST_WAIT_MS = 5_000
const LAST_WAIT_MS = 3_600_000
const GIVE_UP_AFTER_MS = 30 * 24 * 3_600_000
const LOOK_EVERY_MS = 5_000
/** Tried in one look. What is left is found by the next. */
const PER_LOOK = 100
const AT_ONCE = 8
/** Counted no further, for health and metrics. */
const MOST_COUNTED = 1_000

/** Of sealed tokens: their key is gone, or they are not what was sealed. Waiting helps none of them. */
const UNREADABLE = ['key_unknown', 'decrypt_failed', 'envelope_malformed', 'envelope_version_unknown', 'credential_malformed'] as const

export class Disconnecting {
  readonly #parts: DisconnectingParts
  readonly #over = new AbortController()
  readonly #beside = new Set<Promise<void>>()
  #looking: Promise<void> = Promise.resolve()

  constructor(parts: DisconnectingParts) {
    this.#parts = parts
  }

  /** Undefined when there is no such connection. Safe to repeat. @throws TokenError `store_unavailable`: what was ended by then stays so. */
  async disconnect(ref: CredentialRef): Promise<Revocation | undefined> {
    const { store } = this.#parts
    for (;;) {
      const state = await store.read(ref)
      if (state === undefined) return undefined
      // Before the end, so that nobody who looks finds it with nobody at it. Without one it is done all the same: twice does no harm.
      const lease = await this.#parts.leases.take(revocationKey(ref)).catch(() => undefined)
      try {
        // False: the person has connected anew since; that connection is the one to end.
        if (await store.end(ref, { generation: state.generation }, 'revoked', 'revoked')) return await this.#takeBack(ref, state)
      } finally {
        await lease?.release()
      }
    }
  }

  /**
   * Keeps what a person agreed to anew. What an earlier connection left that was ended, and is not taken back yet, is taken back beside it, once: with
   * the new one nobody knows it any more. The new one's own tokens stay, whatever the reach of the provider's way. @throws as `CredentialStore.connect`
   */
  async connect(ref: CredentialRef, tokens: TokenSet): ReturnType<CredentialStore['connect']> {
    const left = await this.#leftOf(ref)
    const made = await this.#parts.store.connect(ref, tokens)
    const old = left.filter((one) => !sharesToken(one, tokens))
    if (old.length > 0) this.#asSideline(this.#revokeLeft(ref, old))
    return made
  }

  /**
   * How a connection stands that a new one would take the place of. One that does not open is none: its tokens can't be taken back, and its person
   * must not be kept out. @throws as `CredentialStore.read`, but for what the sealed bytes are.
   */
  async before(ref: CredentialRef): Promise<CredentialState | undefined> {
    return await this.#opened(ref, () => this.#parts.store.read(ref))
  }

  async #leftOf(ref: CredentialRef): Promise<readonly TokenSet[]> {
    const before = await this.before(ref)
    if (before?.status !== 'revoked') return []
    return (await this.#opened(ref, () => this.#setsOf(ref, before))) ?? [before.head.tokens]
  }

  async #opened<T>(ref: CredentialRef, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read()
    } catch (error) {
      if (!UNREADABLE.some((code) => hasCode(error, code))) throw error
      this.#parts.logger.warn('Tokens of an earlier connection do not open, and are not taken back', { ref, error })
      return undefined
    }
  }

  /** Takes tokens back that came for a connection that had ended. Tried once: nobody knows them any more. */
  async revokeOrphan(ref: CredentialRef, tokens: TokenSet): Promise<void> {
    await this.#revokeLeft(ref, [tokens])
  }

  async #revokeLeft(ref: CredentialRef, sets: readonly TokenSet[]): Promise<void> {
    const answer = await this.#revoke(ref, sets, true)
    if (answer.kind !== 'done') this.#parts.logger.warn('Tokens that nobody uses any more were not taken back', { ref, answer })
  }

  #asSideline(work: Promise<void>): void {
    const done = work
      .catch((error: unknown) => this.#parts.logger.warn('Tokens that nobody uses any more were not taken back', { error }))
      .finally(() => this.#beside.delete(done))
    this.#beside.add(done)
  }

  /** Takes up what is pending, from whichever process, now and every while until `close`. */
  start(): void {
    this.#looking = this.#lookOnAndOn()
  }

  /** Begins nothing more, and waits for what is under way. */
  async close(): Promise<void> {
    this.#over.abort()
    await Promise.all([this.#looking, ...this.#beside])
  }

  /** Grants whose tokens are not taken back yet, counted up to 1,000. @throws TokenError `store_unavailable` */
  async pending(): Promise<number> {
    return await this.#parts.store.endedCount(MOST_COUNTED)
  }

  async #lookOnAndOn(): Promise<void> {
    const { logger, metrics, rest } = this.#parts
    let complained = false
    while (!this.#over.signal.aborted) {
      try {
        await this.#look()
        metrics.gauge('revocations_pending', {}, await this.pending())
        complained = false
      } catch (error) {
        if (!complained) logger.warn('Tokens that are to be taken back can not be looked for', { error })
        complained = true
      }
      await rest(LOOK_EVERY_MS, this.#over.signal)
    }
  }

  async #look(): Promise<void> {
    const due = [...(await this.#parts.store.ended(this.#parts.providers(), PER_LOOK))]
    const work = async (): Promise<void> => {
      for (let next = due.shift(); next !== undefined && !this.#over.signal.aborted; next = due.shift()) await this.#resume(next)
    }
    const done = await Promise.allSettled(Array.from({ length: AT_ONCE }, work))
    const failed = done.find((one) => one.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  /** Does nothing where another process is at it, or was quicker. */
  async #resume({ ref, generation }: EndedGrant): Promise<void> {
    const { store, leases, logger, onEnd } = this.#parts
    const lease = await leases.take(revocationKey(ref))
    if (lease === undefined) return
    try {
      const state = await store.read(ref)
      if (state?.status !== 'revoked' || restsAt(state)) return
      const revocation = await this.#takeBack(ref, state)
      if (revocation.kind === 'pending') return
      logger.info('Tokens of a connection that was ended are taken back, or never will be', { ref, revocation })
      onEnd(ref, revocation)
    } catch (error) {
      if (hasCode(error, 'store_unavailable')) throw error
      // Sealed under a key that is gone, perhaps: others are not to wait behind it.
      logger.warn('Tokens of a connection that was ended can not be taken back now', { ref, error })
      await store.putOff(ref, generation, LAST_WAIT_MS)
    } finally {
      await lease.release()
    }
  }

  async #takeBack(ref: CredentialRef, state: CredentialState): Promise<Revocation> {
    const { store, forgetAnswers } = this.#parts
    await forgetAnswers(ref)
    const answer = await this.#revoke(ref, await this.#setsOf(ref, state), false)
    if (answer.kind !== 'retry') return await this.#forgotten(ref, state.generation, answer)
    // As long again as it has been tried, so that the waits double whoever makes them.
    const ageMs = state.status === 'revoked' && state.failure !== null ? state.readAt - state.failure.at : 0
    if (ageMs > GIVE_UP_AFTER_MS) return await this.#forgotten(ref, state.generation, { kind: 'impossible', reason: 'given_up' })
    const waitMs = Math.max(FIRST_WAIT_MS, Math.min(LAST_WAIT_MS, ageMs), answer.afterMs ?? 0)
    await store.putOff(ref, state.generation, waitMs)
    return { kind: 'pending', reason: answer.reason }
  }

  /** Newest first. */
  async #setsOf(ref: CredentialRef, { head, generation }: CredentialState): Promise<TokenSet[]> {
    const siblings = await this.#parts.store.siblings(ref)
    return [head, ...siblings].filter((one) => one.generation === generation).map(({ tokens }) => tokens)
  }

  async #revoke(ref: CredentialRef, sets: readonly TokenSet[], accountShared: boolean): Promise<RevokeAnswer> {
    const { provider, fetch, clock } = this.#parts
    return await takeBack(provider(ref.scope), { sets, accountShared, fetch, clock })
  }

  /** A newer connection of the user stays. */
  async #forgotten(ref: CredentialRef, generation: number, revocation: RevocationEnd): Promise<RevocationEnd> {
    const { store } = this.#parts
    const state = await store.read(ref)
    if (state?.generation === generation && state.status === 'revoked') await store.remove(ref, generation)
    return revocation
  }
}

function restsAt({ failure, readAt }: CredentialState): boolean {
  return failure !== null && failure.retryAt > readAt
}
