/** Owns what the steps of one refresh share: what they are made of, and what they have learned on the way. Refuses to outlive a lease. */
import type { Clock } from '../kernel/index.ts'
import type { Logger, Metrics, Traces } from '../observability/index.ts'
import type {
  CredentialRef,
  CredentialState,
  CredentialStore,
  RefreshIntent,
  RefreshTrouble,
  RotationProfile,
  TokenSet,
} from '../tokens/index.ts'
import { leaseKey } from '../tokens/index.ts'
import type { CheckpointHook } from './checkpoints.ts'
import type { StoreContact } from './contact.ts'
import type { Flight } from './flight.ts'
import type { LearnedRotation } from './learned.ts'
import type { Pause, RefreshEndpoint, RefreshEvent, RefreshLimits } from './options.ts'
import { storeNow } from './policy.ts'
import type { FreshnessPolicy, Reading } from './policy.ts'
import type { Readings } from './readings.ts'
import type { Turns } from './turn.ts'
import type { UnsavedAnswers } from './unsaved.ts'
import type { Changes } from './waiting.ts'

export interface Parts {
  readonly store: CredentialStore
  readonly endpoint: (ref: CredentialRef) => Promise<RefreshEndpoint>
  readonly readings: Readings
  readonly contact: StoreContact
  readonly turns: Turns
  readonly changes: Changes
  readonly unsaved: UnsavedAnswers
  readonly unspent: UnspentIntents
  readonly refusals: KnownRefusals
  readonly learned: LearnedRotation
  readonly policy: FreshnessPolicy
  readonly limits: RefreshLimits
  readonly clock: Clock
  readonly random: () => number
  readonly pause: Pause
  readonly metrics: Metrics
  readonly traces: Traces
  readonly logger: Logger
  readonly node: string
  readonly reach: CheckpointHook
  readonly tell: (event: RefreshEvent) => void
  readonly revokeOrphan: (ref: CredentialRef, tokens: TokenSet) => Promise<void>
}

/** The next intent to write. */
export interface Step {
  readonly parentSeq: bigint
  readonly replaces: string | null
  readonly attempt: number
}

export interface Course {
  readonly flight: Flight
  readonly endpoint: RefreshEndpoint
  /** The head under the lease. */
  readonly reading: Reading
  /** Digests of the refresh tokens that the provider refused on this course. */
  readonly tried: Set<string>
  /** Calls repeated at once after an unknown outcome. */
  quick: number
  /** When the first call whose outcome may be unknown was begun, by the store's clock. */
  since: number | null
  /** A token was refused whose earlier call had an unknown outcome: that call had spent it. */
  lost: boolean
}

/**
 * In how long the token of this intent may be shown again. Strict: when the call is over at the provider, whatever became of it. Grace: when another
 * process can no longer be about to send what it proved its lease for, though it has lost its way to the store since. 0 otherwise, and by then.
 */
export function overIn(
  profile: RotationProfile,
  { reading, endpoint }: Pick<Course, 'reading' | 'endpoint'>,
  { startedAt, isOurs }: { readonly startedAt: number; readonly isOurs: boolean },
  { startMs, proofMs }: RefreshLimits,
  monotonic: number,
): number {
  if (profile.kind === 'none' || (profile.kind === 'grace' && isOurs)) return 0
  const overMs = profile.kind === 'strict' ? startMs + endpoint.requestLifetimeMs : proofMs
  return Math.max(0, Math.ceil(startedAt + overMs - storeNow(reading, monotonic)))
}

/** Showings of a token within its grace, one after another, before pauses grow past the window. */
const WITHIN_GRACE = 4

/**
 * A pause while nobody knows what became of a call. Under grace the window goes on meanwhile, and a grant is worth more than what a provider asked
 * for in a refusal: a few times it is asked again before a quarter of the window is over.
 */
export function pauseInDoubt(pauseMs: number, profile: RotationProfile, attempt: number): number {
  if (profile.kind !== 'grace' || attempt > WITHIN_GRACE) return pauseMs
  return Math.min(pauseMs, Math.ceil((profile.seconds * 1000) / 4))
}

/** Remembered at once; one that is forgotten is taken for unknown, which is safe. */
export const MAX_REMEMBERED = 10_000

/** Why the provider refused the refresh token of an intent, until that is written: a token that was refused is not shown again to hear it again. */
export type KnownRefusals = Map<string, 'revoked' | 'grant_expired'>

export interface OwedFailure {
  readonly trouble: RefreshTrouble
  readonly until: number
  /** The intent stays, to say that an earlier call's outcome is unknown. */
  readonly inDoubt: boolean
}

interface From {
  readonly generation: number
  readonly replaces: string | null
  readonly parentSeq: bigint
}

/**
 * Intents of this process that provably led to no call, though the store has them: their withdrawal failed, or their writing was not
 * acknowledged. Whoever else finds them must take their outcome for unknown; this process need not.
 */
export class UnspentIntents {
  readonly #node: string
  readonly #ids = new Set<string>()
  /** Why the call was turned away, and by the monotonic clock until when it is to be left alone, where that could not be written. */
  readonly #owed = new Map<string, OwedFailure>()
  readonly #unacknowledged = new Map<string, Omit<From, 'replaces'> & { readonly attempt: number }>()

  constructor(node: string) {
    this.#node = node
  }

  add(intent: RefreshIntent): void {
    if (this.#ids.size >= MAX_REMEMBERED) this.#ids.clear()
    this.#ids.add(intent.id)
  }

  /** Remembers what is to be written in the place of this intent. */
  owe(intent: RefreshIntent, failure: OwedFailure): void {
    if (this.#owed.size >= MAX_REMEMBERED) this.#owed.clear()
    this.#owed.set(intent.id, failure)
  }

  owed(intent: RefreshIntent): OwedFailure | undefined {
    return this.#owed.get(intent.id)
  }

  paid(intent: RefreshIntent): void {
    this.#owed.delete(intent.id)
  }

  forget(intent: RefreshIntent): void {
    this.#ids.delete(intent.id)
    this.#owed.delete(intent.id)
  }

  has({ ref, intent }: CredentialState): boolean {
    if (intent === null) return false
    if (this.#ids.has(intent.id)) return true
    const asked = this.#unacknowledged.get(leaseKey(ref))
    return (
      intent.node === this.#node &&
      intent.state === 'calling' &&
      asked?.generation === intent.generation &&
      asked.parentSeq === intent.parentSeq &&
      asked.attempt === intent.attempt
    )
  }

  /** Writes an intent, remembering that no call follows when nobody says whether it was written. */
  async around<T>(ref: CredentialRef, from: From, attempt: number, write: () => Promise<T>): Promise<T> {
    const key = leaseKey(ref)
    this.#unacknowledged.set(key, { generation: from.generation, parentSeq: from.parentSeq, attempt })
    const written = await write()
    this.#unacknowledged.delete(key)
    if (from.replaces !== null) {
      this.#ids.delete(from.replaces)
      this.#owed.delete(from.replaces)
    }
    return written
  }
}
