/**
 * Owns what the data plane makes of a credential's age: use it as it stands, use it and have it renewed beside the call, or wait for its
 * successor. Refuses to wait while the token lives, and to ask for the same renewal again and again.
 */
import { bufferFor } from '@sallyport/core'
import type { Clock, ConnectionId, CredentialRef, OrgId, TokenSet } from '@sallyport/core'
import type { ProxyTargetConnection } from '../db/index.ts'
import type { KnownTarget } from './target-cache.ts'

export interface RenewedTokens {
  readonly tokens: TokenSet
  readonly seq: bigint
}

export interface CredentialLife {
  /**
   * Whether the candidate's token can go out as it stands. One that is due begins to be renewed beside the call, unless that has just
   * failed. Ages are told by the database's clock, carried on by monotonic time.
   */
  isUsable(org: OrgId, candidate: ProxyTargetConnection, read: Pick<KnownTarget, 'now' | 'askedAt'>): boolean
  /** Waits for tokens that can be used. @throws RefreshError; TokenError `store_unavailable`. */
  renewed(org: OrgId, candidate: ProxyTargetConnection): Promise<RenewedTokens>
  /** The provider did not take the token of `seq` (the candidate's, when absent): begins a renewal beside everything else, for one version once in a while. */
  refused(org: OrgId, candidate: ProxyTargetConnection, seq: bigint | undefined): void
}

export interface CredentialLifeOptions {
  readonly fresh: (ref: CredentialRef, options?: { readonly force?: { readonly afterSeq: bigint } }) => Promise<RenewedTokens>
  readonly clock: Clock
  /** As the refresher's own. Milliseconds, and a share of them. */
  readonly bufferMs: number
  readonly jitter: number
  /** A failure beside a call. The caller has what it came for; whether it can go on having it is the connection's health. */
  readonly onFailure: (error: unknown) => void
}

/** A token with less life than this does not go out without a look for its successor; with short-lived ones a tenth of their life. */
const LEAST_LIFE_MS = 30_000
/** After a renewal beside a call that brought nothing, that long until the next try from here: a database that is away is not asked per call. */
const REST_MS = 1_000
/** A provider that refuses whatever it gives would otherwise be asked for more with every call. */
const REFUSED_REST_MS = 30_000
const MAX_REMEMBERED = 50_000

export function createCredentialLife(options: CredentialLifeOptions): CredentialLife {
  const { fresh, clock, onFailure } = options
  /** Connections whose renewal was begun here: until when no other is. */
  const begun = new Map<ConnectionId, number>()
  /** The version of a connection that a provider refused, and until when that is no news. */
  const refusals = new Map<ConnectionId, { readonly seq: bigint; readonly until: number }>()

  const beside = (org: OrgId, { id, credential }: ProxyTargetConnection): void => {
    if ((begun.get(id) ?? 0) > clock.monotonic()) return
    remember(begun, id, Number.POSITIVE_INFINITY)
    const rest = (): void => remember(begun, id, clock.monotonic() + REST_MS)
    fresh(refOf(org, id)).then(
      // The same version again: it can't be renewed, or not yet.
      ({ seq }) => (seq === credential?.seq ? rest() : begun.delete(id)),
      (error: unknown) => {
        rest()
        onFailure(error)
      },
    )
  }

  return {
    isUsable(org, candidate, { now, askedAt }) {
      const { credential, retryAt } = candidate
      if (credential === null || credential.expiresAt === null || now === undefined) return true
      const storeNow = now.getTime() + (clock.monotonic() - askedAt)
      const expiresAt = credential.expiresAt.getTime()
      const left = expiresAt - storeNow
      // Far from its end: the rest is not worth working out for every call.
      if (left > options.bufferMs * (1 + options.jitter)) return true
      const version = { seq: credential.seq, obtainedAt: credential.obtainedAt.getTime(), tokens: { expiresAt } }
      if (left > bufferFor(refOf(org, candidate.id), version, options)) return true
      if (left <= Math.min(LEAST_LIFE_MS, (expiresAt - version.obtainedAt) / 10)) return false
      if (retryAt === null || retryAt.getTime() <= storeNow) beside(org, candidate)
      return true
    },

    renewed: (org, { id }) => fresh(refOf(org, id)),

    refused(org, { id, credential }, seq = credential?.seq) {
      const known = refusals.get(id)
      if (seq === undefined || (known?.seq === seq && known.until > clock.monotonic())) return
      remember(refusals, id, { seq, until: clock.monotonic() + REFUSED_REST_MS })
      fresh(refOf(org, id), { force: { afterSeq: seq } }).catch(onFailure)
    },
  }
}

/** The oldest goes when there is no room: at worst something is asked once more. */
function remember<Value>(into: Map<ConnectionId, Value>, id: ConnectionId, value: Value): void {
  into.delete(id)
  if (into.size >= MAX_REMEMBERED) into.delete(into.keys().next().value!)
  into.set(id, value)
}

function refOf(org: OrgId, id: ConnectionId): CredentialRef {
  return { scope: org, id }
}
