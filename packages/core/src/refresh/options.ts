/** Owns what a refresher is made of and what it tells. Refuses defaults for what only the one who composes can know. */
import type { Clock } from '../kernel/index.ts'
import type { Logger, Metrics, Traces } from '../observability/index.ts'
import type { RefreshAnswer } from '../oauth/index.ts'
import type {
  CredentialHealth,
  CredentialRef,
  CredentialStore,
  LeaseKeeper,
  RefreshTrouble,
  RotationProfile,
  Spill,
  TokenSet,
} from '../tokens/index.ts'
import type { CheckpointHook } from './checkpoints.ts'

/** How one credential is renewed: made for each refresh, before anything is written. */
export interface RefreshEndpoint {
  /** The provider's id in the catalog; labels metrics. */
  readonly provider: string
  readonly rotation: RotationProfile
  /** After so long a call is certainly over at the provider. */
  readonly requestLifetimeMs: number
  /**
   * Shows `parent`'s refresh token once. Settles within `timeoutMs`; a rejection counts as an unknown outcome. `now` is the store's clock at
   * the call, `lifetimeMs` what the parent's access token lived; see `RefreshGrant`. What has not left within `beginWithinMs` must not leave any
   * more: the lease that it is sent on the word of may be another's by then.
   */
  refresh(
    parent: TokenSet,
    call: { readonly timeoutMs: number; readonly beginWithinMs: number; readonly now: number; readonly lifetimeMs: number | null },
  ): Promise<RefreshAnswer>
}

/** A change that is worth telling, once, by the process that wrote it. */
export interface RefreshEvent {
  /**
   * `refreshed`: a new version, and nothing was wrong before. `recovered`: a new version after a failure. `failing`: renewing fails, or fails
   * in another way than before. `ended`: the grant is over.
   */
  readonly kind: 'refreshed' | 'recovered' | 'failing' | 'ended'
  readonly ref: CredentialRef
  /** Empty when the end needed no provider. */
  readonly provider: string
  readonly generation: number
  readonly health: CredentialHealth
  readonly trouble: RefreshTrouble | null
  /** The error that the provider named, where a standard knows it. */
  readonly providerError?: string
}

/** Resolves after `ms`, or when the signal is aborted; never rejects. */
export type Pause = (ms: number, signal?: AbortSignal) => Promise<void>

/** What renewing is built from: a store, leases, spills, and where each credential is renewed. */
export interface RefresherOptions {
  readonly store: CredentialStore
  readonly leases: LeaseKeeper
  /** A faster keeper that saves work and decides nothing (Redis). Its failures and its silence are passed over. */
  readonly hint?: LeaseKeeper
  /** Where answers wait that could not be saved; each is told. */
  readonly spills?: readonly Spill[]
  /** Rejects when the credential's integration can't be used; the caller gets that error, and nothing was written. */
  readonly endpoint: (ref: CredentialRef) => Promise<RefreshEndpoint>
  /** Whether a credential without a refresh token can be renewed all the same: by the application's own client. */
  readonly renewsAlone?: (ref: CredentialRef) => boolean
  /** Takes tokens that came for a grant that had ended meanwhile; they are to be revoked at the provider. */
  readonly revokeOrphan?: (ref: CredentialRef, tokens: TokenSet) => Promise<void>
  readonly logger: Logger
  /** Unique for each start of a process. */
  readonly node: string
  readonly metrics?: Metrics
  readonly traces?: Traces
  readonly clock?: Clock
  /** 0 to 1, as Math.random gives. */
  readonly random?: () => number
  /** For tests with a time of their own. */
  readonly pause?: Pause
  readonly limits?: Partial<RefreshLimits>
  readonly checkpoint?: CheckpointHook
}

/** Milliseconds, unless said otherwise. */
export interface RefreshLimits {
  /** See FreshnessPolicy. */
  readonly bufferMs: number
  readonly jitter: number
  readonly forceRestMs: number
  /** How long a caller waits whose token can be used yet, and one whose token has died. */
  readonly usablePatienceMs: number
  readonly deadPatienceMs: number
  /** Longest wait of a flight for another process. */
  readonly turnMs: number
  /** Longest wait for an answer of the hint, and for a process that holds it. */
  readonly hintAnswerMs: number
  readonly hintTurnMs: number
  /** Longest call to a provider. */
  readonly callMs: number
  /** A proof of the lease older than this is made again before a call. */
  readonly proofMs: number
  /** A call begins at most this long after its intent was asked for, or not at all: from the intent on, others count. */
  readonly startMs: number
  /**
   * Another process's intent is not probed before the store has answered for so long without a break: whoever could not save an answer has
   * saved it by then.
   */
  readonly contactMs: number
  /** Between two looks for interrupted refreshes. */
  readonly recoveryMs: number
  /** A grant unused for so long is renewed; a third of what the most impatient provider allows. */
  readonly idleMs: number
  readonly idleSweepMs: number
  /** How long versions are kept that are not the head any more: one of them may be the live one. */
  readonly keepMs: number
  readonly pruneMs: number
}

/** Milliseconds, but for `jitter`, a share. DESIGN of refreshing: docs/refresh.md. */
export const DEFAULT_REFRESH_LIMITS: RefreshLimits = {
  bufferMs: 300_000,
  jitter: 0.2,
  forceRestMs: 30_000,
  usablePatienceMs: 1_000,
  deadPatienceMs: 25_000,
  turnMs: 60_000,
  hintAnswerMs: 250,
  hintTurnMs: 2_000,
  callMs: 20_000,
  proofMs: 1_000,
  startMs: 2_000,
  contactMs: 3_000,
  recoveryMs: 250,
  idleMs: 30 * 24 * 3_600_000,
  idleSweepMs: 3_600_000,
  keepMs: 30 * 24 * 3_600_000,
  pruneMs: 24 * 3_600_000,
}
