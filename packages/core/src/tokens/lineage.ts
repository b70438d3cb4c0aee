/**
 * Owns what is known of one credential's life: its lineage of versions, the refresh that is under way, and the port behind which stores keep
 * them. Refuses get and set: a version is only ever added with its parent, and the head only moves from where it was read.
 *
 *   version 1 ── version 2 ── version 3      head: what calls use
 *                    └── version 3'          sibling: saved after another had won; kept, because its refresh token may be the live one
 *
 * A refresh token may be spent at a provider once. So before it is shown the intent to do so is committed, and whatever comes back is
 * saved without asking whether its saver still holds the lease: the lease guards the beginning of a call, never the keeping of its result.
 */
import type { Secret } from '../kernel/index.ts'
import type { TokenSet } from './token-set.ts'

/** Names one credential. In the gateway an organization and a connection, in the SDK a provider and a user of the application. */
export interface CredentialRef {
  readonly scope: string
  readonly id: string
}

/**
 * What a provider does with a refresh token that was used:
 * - `none`: it stays good.
 * - `grace`: a new one comes; the old one stays good for `seconds` more.
 * - `strict`: a new one comes, and showing the old one again may end the whole grant. What is unknown is taken for strict.
 */
export type RotationProfile = { readonly kind: 'none' } | { readonly kind: 'grace'; readonly seconds: number } | { readonly kind: 'strict' }

/**
 * Why a credential can't be refreshed now, or any more.
 * - `revoked`: the person, the provider or an event took the grant back.
 * - `grant_expired`: the provider no longer knows the refresh token, and nothing says why.
 * - `no_refresh_token`: there was never one, and the access token has died.
 * - `client_misconfigured`: the provider rejects our client; someone must correct the integration.
 * - `provider_down`: not reached, or a server error before anything was spent.
 * - `rate_limited`: told to wait.
 * - `malformed`: an answer that can't be read as tokens or as an error.
 * - `outcome_unknown`: the call was made, and nobody can say what became of it.
 * - `token_lost`: an interrupted call spent a refresh token under strict rotation, and its successor never arrived.
 */
export type RefreshTrouble =
  | 'revoked'
  | 'grant_expired'
  | 'no_refresh_token'
  | 'client_misconfigured'
  | 'provider_down'
  | 'rate_limited'
  | 'malformed'
  | 'outcome_unknown'
  | 'token_lost'

/** Whether the grant lives. What lies between is read from the intent and the trouble: see `healthOf`. */
export type GrantStatus = 'active' | 'reconnect_required' | 'revoked'

/** How a credential stands. Only `reconnect_required` and `revoked` need a person. */
export type CredentialHealth = 'active' | 'refreshing' | 'degraded' | 'outcome_unknown' | 'reconnect_required' | 'revoked'

/** A refresh that was begun and whose end is not saved. */
export interface RefreshIntent {
  /** Unique; names the intent in every later write. */
  readonly id: string
  readonly generation: number
  /** The version whose refresh token is shown: the head, or one of its siblings after the head's was refused. */
  readonly parentSeq: bigint
  /** The head when the intent was written: the result becomes the head if this still is. */
  readonly headSeq: bigint
  /** 1 for the first call with this parent, 2 for the probe after an unknown outcome, and so on. */
  readonly attempt: number
  /** The process that wrote it. */
  readonly node: string
  /** Milliseconds since the epoch, by the store's clock. */
  readonly startedAt: number
  /** `calling` from before the call; `unknown` once the caller knows that it can't know. */
  readonly state: 'calling' | 'unknown'
}

/** The last failure, until a refresh succeeds. */
export interface RefreshFailure {
  readonly trouble: RefreshTrouble
  /** By the store's clock, milliseconds since the epoch. */
  readonly at: number
  /** Failures in a row. */
  readonly failures: number
  /** Not to be tried before, by the store's clock. */
  readonly retryAt: number
}

/** One token set of a lineage, with where it came from. */
export interface CredentialVersion {
  readonly seq: bigint
  /** Null for one that a person's consent made. */
  readonly parentSeq: bigint | null
  readonly generation: number
  readonly tokens: TokenSet
  /** By the store's clock. */
  readonly obtainedAt: number
}

/** One reading of a credential, all of one moment. */
export interface CredentialState {
  readonly ref: CredentialRef
  /** Rises with every consent. Versions of an older generation are never used. */
  readonly generation: number
  readonly status: GrantStatus
  readonly head: CredentialVersion
  readonly intent: RefreshIntent | null
  readonly failure: RefreshFailure | null
  /** The store's clock at the reading, milliseconds since the epoch: expiries are compared with it, not with this machine's. */
  readonly readAt: number
  /**
   * True when the store did not answer and this is what was last read of it: good for calls while the access token lives, and nothing may be
   * begun from it. `readAt` is the store's clock as far as it can be told from here.
   */
  readonly stale?: true
}

/** A 2xx answer of a token endpoint that is not saved yet, sealed so that it may wait anywhere. */
export interface SpilledAnswer {
  readonly ref: CredentialRef
  readonly intent: string
  readonly generation: number
  readonly parentSeq: bigint
  readonly sealed: Uint8Array
}

/** A committed intent. */
export interface BegunRefresh {
  readonly intent: RefreshIntent
  /** The parent's tokens, read in the same moment. */
  readonly parent: CredentialVersion
  /** Seals an answer for a spill. Synchronous: no store is asked, because a store that is gone is why it is called. */
  seal(answer: Secret): Uint8Array
}

/** What became of a version that was saved: it is never lost. */
export type SaveOutcome =
  /** It is the head now. */
  | 'head'
  /** Another version had become the head; this one is kept beside it. */
  | 'sibling'
  /** The grant was revoked, removed or renewed meanwhile: nothing is kept, and what the provider gave is to be revoked there. */
  | 'ended'

/**
 * Keeps lineages. Every write is atomic and durable when its promise resolves, as far as the store can promise that (`durability`).
 * Everything secret in it is sealed. All of it rejects with TokenError `store_unavailable` when the store can't be reached or doesn't answer
 * in time, and then the write may or may not have happened: every write can be repeated.
 */
export interface CredentialStore {
  readonly durability: StoreDurability
  read(ref: CredentialRef): Promise<CredentialState | undefined>
  /** A person's consent: a version without parent becomes the head of a new generation, active, without intent or failure. */
  connect(ref: CredentialRef, tokens: TokenSet): Promise<{ readonly generation: number; readonly seq: bigint }>
  /**
   * Commits the intent to spend the head's refresh token. Undefined, and nothing written, when the head is not `from` any more, the grant
   * is not active, or the intent that stands is not the one named by `replaces` (null: none stands).
   */
  begin(
    ref: CredentialRef,
    from: { readonly generation: number; readonly headSeq: bigint; readonly parentSeq: bigint; readonly replaces: string | null },
    made: { readonly node: string; readonly attempt: number },
  ): Promise<BegunRefresh | undefined>
  /**
   * Inserts the successor of `parentSeq`, moves the head to it if it still is where the intent found it, and removes the intent, in one step.
   * Saving the same intent's answer twice answers as the first time and adds nothing. Of an intent that was taken away, the head is where it
   * was found if it is `parentSeq`. An answer proves that the grant lives: one that becomes the head of a credential in `reconnect_required`,
   * given up while its saver was away, makes it active again. What was revoked stays revoked. While another intent stands, an answer that keeps
   * its parent's refresh token (`keepsRefreshToken`) does not move the head: that intent's call has shown the same token since, and as the head
   * it would hide the successor that the call brings.
   */
  save(
    ref: CredentialRef,
    answer: {
      readonly intent: string
      readonly generation: number
      readonly parentSeq: bigint
      readonly tokens: TokenSet
      /** The answer brought no refresh token, and `tokens` hold the parent's. */
      readonly keepsRefreshToken?: boolean
    },
  ): Promise<SaveOutcome>
  /**
   * Removes an intent whose refresh token was provably not spent, or that a newer head has outlived, noting why; with null nothing failed
   * (the lease was gone before the call) and what is noted stays. False when it is not there.
   */
  withdraw(
    ref: CredentialRef,
    intent: string,
    failure: (Omit<RefreshFailure, 'at' | 'failures' | 'retryAt'> & { readonly retryInMs: number }) | null,
  ): Promise<boolean>
  /** Marks an intent `unknown`, keeping an unreadable 2xx answer sealed beside it; false when it is not there. */
  doubt(
    ref: CredentialRef,
    intent: string,
    failure: Omit<RefreshFailure, 'at' | 'failures' | 'retryAt'> & { readonly retryInMs: number },
    answer?: Secret,
  ): Promise<boolean>
  /**
   * Ends the grant of this generation and its intent. False when the generation has moved, or (with `headSeq`) the head has, or for a weaker
   * end than it has had: what is revoked never becomes `reconnect_required`. Repeating it is true and changes nothing.
   */
  end(
    ref: CredentialRef,
    at: { readonly generation: number; readonly headSeq?: bigint },
    status: Exclude<GrantStatus, 'active'>,
    trouble: RefreshTrouble,
  ): Promise<boolean>
  /**
   * Versions of the current generation other than the head that hold a refresh token, newest first. Some hold the head's: an answer may bring
   * none, and without such a version nobody could tell that what it came from is spent.
   */
  siblings(ref: CredentialRef): Promise<readonly CredentialVersion[]>
  /** Opens what `BegunRefresh.seal` sealed. */
  openSpilled(answer: SpilledAnswer): Promise<Secret>
  /** Credentials with an intent, oldest first, without those in doubt that are not to be tried again yet; for recovery. */
  interrupted(limit: number): Promise<readonly CredentialRef[]>
  /**
   * Active credentials whose head has a refresh token and was obtained before `unusedSince` (store's clock), longest unused first, without
   * those that have an intent or whose failure is not to be tried again yet; for keeping grants alive.
   */
  idle(unusedSince: number, limit: number): Promise<readonly CredentialRef[]>
  /** Forgets versions that are neither head nor parent of an intent and were obtained before `before` (store's clock). How many. */
  prune(before: number): Promise<number>
  /** Forgets the credential and all its versions. False when there was none, or none of `generation`: a person may have connected anew. */
  remove(ref: CredentialRef, generation?: number): Promise<boolean>
  /** Calls `listener` when a credential may have changed, from any process; a hint, which may come late, twice or never. */
  onChange(listener: (ref: CredentialRef | 'unknown') => void): () => void
  close(): Promise<void>
}

/** A grant that the application ended, and whose tokens are not known to be taken back. */
export interface EndedGrant {
  readonly ref: CredentialRef
  readonly generation: number
}

/**
 * The duty that a grant leaves which the application ended (`revoked`): its tokens are to be taken back at the provider, and are kept for that
 * until `remove`. It outlives the process that ended it. Who does it holds a lease of the credential's (`revocationKey`); nothing here decides.
 */
export interface EndedGrants {
  /** Those of these scopes that may be tried now, longest due first. A scope that nobody asks for takes no place of another's. */
  ended(scopes: readonly string[], limit: number): Promise<readonly EndedGrant[]>
  /** How many there are, due or not, of all scopes; counted no further than `atMost`. */
  endedCount(atMost: number): Promise<number>
  /** Lets it rest for so long by the store's clock, noted as `retryAt` of its failure. False when it is not ended in this generation. */
  putOff(ref: CredentialRef, generation: number, restMs: number): Promise<boolean>
}

/** What a store promises of a write that was acknowledged. `limits` are sentences for `getHealth` and the documentation. */
export interface StoreDurability {
  readonly kind: 'none' | 'configured' | 'durable'
  readonly limits: readonly string[]
}

/** The exclusive right to begin a call for one credential. */
export interface Lease {
  /** Whether it is held still, asking its keeper unless that was answered a moment ago. To be asked right before a call. */
  prove(): Promise<boolean>
  /** Idempotent; never throws. */
  release(): Promise<void>
}

/** Gives leases. A lease ends with its process, however that ends. */
export interface LeaseKeeper {
  /** Undefined at once when another holds it. @throws TokenError `store_unavailable`. */
  take(key: string): Promise<Lease | undefined>
  close(): Promise<void>
}

/** Where answers wait that could not be saved. Each entry is sealed already; what was put is there after a crash. */
export interface Spill {
  put(answer: SpilledAnswer): Promise<void>
  list(): Promise<readonly SpilledAnswer[]>
  remove(answer: SpilledAnswer): Promise<void>
}

/** `refresh_lock:{scope}:{id}`, with the parts escaped so that no two credentials share one. */
export function leaseKey({ scope, id }: CredentialRef): string {
  return `refresh_lock:${encodeURIComponent(scope)}:${encodeURIComponent(id)}`
}

/** The same for taking back what a grant that has ended left. */
export function revocationKey({ scope, id }: CredentialRef): string {
  return `revocation_lock:${encodeURIComponent(scope)}:${encodeURIComponent(id)}`
}

/** The one word for the state of a credential. */
export function healthOf({ status, intent, failure }: Pick<CredentialState, 'status' | 'intent' | 'failure'>): CredentialHealth {
  if (status !== 'active') return status
  if (intent !== null) return intent.state === 'unknown' ? 'outcome_unknown' : 'refreshing'
  return failure === null ? 'active' : 'degraded'
}
