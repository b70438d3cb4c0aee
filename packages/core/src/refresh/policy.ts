/**
 * Owns the judgement of one reading: is the token fresh enough, is it usable at all, may the provider be asked now. Pure. Refuses this
 * machine's wall clock: expiries are compared with the store's, carried on by monotonic time.
 */
import { leaseKey } from '../tokens/index.ts'
import type { CredentialRef, CredentialState, CredentialVersion, RefreshTrouble, TokenSet } from '../tokens/index.ts'

/** A state with the moment it was asked for, by the monotonic clock: it is older than the answer, so tokens look older, never younger. */
export interface Reading {
  readonly state: CredentialState
  readonly askedAt: number
}

export interface FreshnessPolicy {
  /** A token with less life than this is renewed. Never more than a quarter of its whole life. */
  readonly bufferMs: number
  /** Added to the buffer: up to this share of it, the same for all processes, another for each version. 0 to 1. */
  readonly jitter: number
  /** A token younger than this is not renewed because a provider refused it: renewing would not help, and would be repeated. */
  readonly forceRestMs: number
  /** See RefresherOptions. */
  readonly renewsAlone?: ((ref: CredentialRef) => boolean) | undefined
}

/** What the callers of one flight want. */
export interface Want {
  /** Any version after this one, however fresh the head looks. */
  readonly afterSeq: bigint | null
  /** A person asks: pauses that only spare the provider are not kept. */
  readonly byHand: boolean
}

export const ANY: Want = { afterSeq: null, byHand: false }

export type Judgement =
  | { readonly kind: 'fresh' }
  | { readonly kind: 'due' }
  /** The access token has died and there is nothing to renew it with. */
  | { readonly kind: 'dead' }
  | { readonly kind: 'over'; readonly trouble: RefreshTrouble | null }
  | { readonly kind: 'resting'; readonly trouble: RefreshTrouble; readonly retryAfterMs: number }

/** As much of a version as its age needs. */
type Aging = Pick<CredentialVersion, 'seq' | 'obtainedAt'> & { readonly tokens: Pick<TokenSet, 'expiresAt'> }

/** A token that dies on its way is of no use. */
const LEAST_LIFE_MS = 2_000

export function storeNow({ state, askedAt }: Reading, monotonic: number): number {
  return state.readAt + Math.max(0, monotonic - askedAt)
}

/** How long the access token was to live, or null. */
export function lifetimeOf({ tokens, obtainedAt }: Aging): number | null {
  return tokens.expiresAt === null ? null : Math.max(0, tokens.expiresAt - obtainedAt)
}

export function isUsable(reading: Reading, monotonic: number): boolean {
  return lifeLeft(reading, monotonic) > Math.min(LEAST_LIFE_MS, (lifetimeOf(reading.state.head) ?? 0) / 20)
}

export function judge(reading: Reading, monotonic: number, want: Want, policy: FreshnessPolicy): Judgement {
  const { state } = reading
  if (state.status !== 'active') return { kind: 'over', trouble: state.failure?.trouble ?? null }
  if (!isWanted(reading, monotonic, want, policy) && isFresh(reading, monotonic, policy)) return { kind: 'fresh' }
  if (state.head.tokens.refreshToken === null && policy.renewsAlone?.(state.ref) !== true)
    return { kind: isUsable(reading, monotonic) ? 'fresh' : 'dead' }
  return restOf(reading, monotonic, want) ?? { kind: 'due' }
}

/** How long the provider is to be left alone yet, or undefined. */
export function restOf(reading: Reading, monotonic: number, want: Want): (Judgement & { kind: 'resting' }) | undefined {
  const { failure, intent } = reading.state
  if (failure === null || intent?.state === 'calling') return undefined
  // Whoever made the call has said since that there was none.
  if (intent === null && failure.trouble === 'outcome_unknown') return undefined
  const retryAfterMs = failure.retryAt - storeNow(reading, monotonic)
  if (retryAfterMs <= 0 || (want.byHand && failure.trouble !== 'rate_limited')) return undefined
  return { kind: 'resting', trouble: failure.trouble, retryAfterMs }
}

/** How much life left makes a version due. */
export function bufferFor(ref: CredentialRef, version: Aging, { bufferMs, jitter }: Pick<FreshnessPolicy, 'bufferMs' | 'jitter'>): number {
  const buffer = bufferMs * (1 + jitter * share(`${leaseKey(ref)}:${version.seq}`))
  return Math.min(buffer, (lifetimeOf(version) ?? Number.POSITIVE_INFINITY) / 4)
}

function isFresh(reading: Reading, monotonic: number, policy: FreshnessPolicy): boolean {
  const left = lifeLeft(reading, monotonic)
  // Far from its end: the rest is not worth working out for every call.
  if (left > policy.bufferMs * (1 + policy.jitter)) return true
  return left > bufferFor(reading.state.ref, reading.state.head, policy)
}

function isWanted(reading: Reading, monotonic: number, { afterSeq, byHand }: Want, { forceRestMs }: FreshnessPolicy): boolean {
  const { head } = reading.state
  if (afterSeq === null || head.seq > afterSeq) return false
  return byHand || storeNow(reading, monotonic) - head.obtainedAt >= forceRestMs
}

function lifeLeft(reading: Reading, monotonic: number): number {
  const { expiresAt } = reading.state.head.tokens
  return expiresAt === null ? Number.POSITIVE_INFINITY : expiresAt - storeNow(reading, monotonic)
}

/** FNV-1a as a share of one: the same on every machine, and nothing depends on its being hard to guess. */
function share(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (hash >>> 0) / 2 ** 32
}
