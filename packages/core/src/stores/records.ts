/**
 * Owns the port between the lineage's secrets and the places that keep them: what a `CredentialStore` does, on bytes that are sealed already.
 * One implementation a kind of store; `createSealedStore` makes the credential store of it. Refuses plaintext: no token crosses it.
 *
 * Every write is one atomic step, and is judged against the row as it is then. A version's number is part of the place it is sealed to, so
 * the number comes first, the sealing second, and the write holds only if the number is still the next one; else it begins again.
 */
import { TokenError } from '../tokens/index.ts'
import type {
  CredentialRef,
  CredentialState,
  EndedGrant,
  GrantStatus,
  RefreshFailure,
  RefreshIntent,
  RefreshTrouble,
  SaveOutcome,
  StoreDurability,
} from '../tokens/index.ts'

export interface SealedVersion {
  readonly seq: bigint
  readonly parentSeq: bigint | null
  readonly generation: number
  readonly sealed: Uint8Array
  /** By the store's clock, milliseconds since the epoch. */
  readonly obtainedAt: number
}

export interface SealedState extends Omit<CredentialState, 'head' | 'stale'> {
  readonly head: SealedVersion
}

/** A version that has no number yet. */
export interface NewVersion {
  /** Whether it holds a refresh token: all that may be known of it in the clear. */
  readonly renewable: boolean
  /** May be called more than once, with another number each time. */
  seal(seq: bigint): Uint8Array
}

export interface FailureNote {
  readonly trouble: RefreshTrouble
  readonly retryInMs: number
}

/** Where a sealed value of a credential stands: one of its versions, or an answer that could not be read, by its intent. */
export type SealedAt = { readonly seq: bigint } | { readonly intent: string }

export interface SealedEntry {
  readonly ref: CredentialRef
  readonly at: SealedAt
  readonly sealed: Uint8Array
}

/** The methods that share a name with `CredentialStore`'s and `EndedGrants`' promise what those promise. */
export interface LineageRecords {
  /** The kind of store, for messages. */
  readonly kind: string
  readonly durability: StoreDurability
  /** Makes ready what is needed. Before everything else, and again until it has succeeded. */
  prepare(): Promise<void>
  read(ref: CredentialRef): Promise<SealedState | undefined>
  connect(ref: CredentialRef, version: NewVersion): Promise<{ readonly generation: number; readonly seq: bigint }>
  begin(
    ref: CredentialRef,
    from: { readonly generation: number; readonly headSeq: bigint; readonly parentSeq: bigint; readonly replaces: string | null },
    made: { readonly id: string; readonly node: string; readonly attempt: number },
  ): Promise<{ readonly intent: RefreshIntent; readonly parent: SealedVersion } | undefined>
  save(
    ref: CredentialRef,
    answer: { readonly intent: string; readonly generation: number; readonly parentSeq: bigint; readonly keepsRefreshToken?: boolean },
    version: NewVersion,
  ): Promise<SaveOutcome>
  withdraw(ref: CredentialRef, intent: string, failure: FailureNote | null): Promise<boolean>
  doubt(ref: CredentialRef, intent: string, failure: FailureNote, answer: Uint8Array | undefined): Promise<boolean>
  end(
    ref: CredentialRef,
    at: { readonly generation: number; readonly headSeq?: bigint },
    status: Exclude<GrantStatus, 'active'>,
    trouble: RefreshTrouble,
  ): Promise<boolean>
  /** The head and the other versions of its generation, newest first, all of one moment. Undefined when there is no such credential. */
  lineage(ref: CredentialRef): Promise<{ readonly head: SealedVersion; readonly others: readonly SealedVersion[] } | undefined>
  interrupted(limit: number): Promise<readonly CredentialRef[]>
  idle(unusedSince: number, limit: number): Promise<readonly CredentialRef[]>
  ended(scopes: readonly string[], limit: number): Promise<readonly EndedGrant[]>
  endedCount(atMost: number): Promise<number>
  putOff(ref: CredentialRef, generation: number, restMs: number): Promise<boolean>
  prune(before: number): Promise<number>
  remove(ref: CredentialRef, generation?: number): Promise<boolean>
  /** Puts `to` where `from` stands, if it still does. */
  replace(ref: CredentialRef, at: SealedAt, from: Uint8Array, to: Uint8Array): Promise<boolean>
  /** Everything sealed, in batches of no promised size. What was there from beginning to end comes at least once. */
  everything(): AsyncIterable<readonly SealedEntry[]>
  /** Keeps `check` for the key `id` unless one stands there; gives what stands then. */
  keyCheck(id: string, check: Uint8Array): Promise<Uint8Array>
  onChange(listener: (ref: CredentialRef | 'unknown') => void): () => void
  close(): Promise<void>
}

/** The failure that follows `previous`. */
export function nextFailure(previous: RefreshFailure | null, { trouble, retryInMs }: FailureNote, now: number): RefreshFailure {
  return { trouble, at: now, failures: (previous?.failures ?? 0) + 1, retryAt: now + retryInMs }
}

/** Of why, only a code: what drivers say in their own words may quote an address, a command, or a row. */
export function storeUnavailable(kind: string, cause?: unknown): TokenError {
  const code = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? ` (${cause.code})` : ''
  return new TokenError('store_unavailable', `the token store (${kind}) can't be reached or does not answer in time${code}`)
}
