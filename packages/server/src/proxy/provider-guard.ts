/**
 * Owns whether a provider is to be asked now: not while its circuit is open, nor while a connection's quota there is used up. Refuses before a
 * credential is opened, and without waiting: the caller is told when to come back. While nothing fails it costs the hot path next to nothing.
 */
import { Breaker, Deprecations, faultOfError, faultOfStatus, headerText, Quotas } from '@sallyport/core'
import type {
  CircuitChange,
  Clock,
  ConnectionId,
  Counted,
  DeprecationNotice,
  IntegrationId,
  Metrics,
  OrgId,
  ParsedHeaders,
} from '@sallyport/core'

export interface ProviderGuardOptions {
  /** Failures in a row that open a circuit, and how long it stays open before one call is let through. */
  readonly failures: number
  readonly openMs: number
  readonly onChange: (change: CircuitChange) => void
  /** Hears of what providers announce the end of, once a day each. */
  readonly onDeprecation: (notice: DeprecationNotice) => void
  readonly clock: Clock
  readonly metrics: Metrics
}

/** A call that is about to go out. */
export interface GuardedCall {
  readonly org: OrgId
  readonly integration: IntegrationId
  readonly provider: string
  readonly host: string
  readonly connection: ConnectionId
  /** Which of its quotas at the provider; undefined where there is one for all calls. */
  readonly counted: Counted | undefined
}

/** Told once of what became of it; what comes after the first word is not heard. */
export interface Admitted {
  /** With the head of the answer. */
  answered(status: number, headers: ParsedHeaders): void
  /** Without any. */
  failed(error: unknown): void
}

export interface ProviderGuard {
  /** @throws PipelineError `circuit_open`, `quota_exhausted` */
  admit(call: GuardedCall): Admitted
}

/** A provider had this long before its silence is its own fault and not the caller's impatience. */
const PATIENCE_MS = 10_000

export function createProviderGuard({ failures, openMs, onChange, onDeprecation, clock, metrics }: ProviderGuardOptions): ProviderGuard {
  const breaker = new Breaker({ failures, openMs, patienceMs: PATIENCE_MS, onChange, clock, metrics })
  // Nobody is kept waiting here: a caller's own patience is not known, and its connection is held meanwhile.
  const quotas = new Quotas({ maxWaitMs: 0, reserve: 0, clock })
  const deprecations = new Deprecations({ onNotice: onDeprecation, clock, metrics })
  return {
    admit({ org, integration, provider, host, connection, counted }) {
      const place = { owner: org, integration, provider, host }
      const of = counted === undefined ? { connection } : { connection, counted }
      quotas.take(place, of)
      const [admitted, began] = [breaker.admit(place), clock.monotonic()]
      let told = false
      const judge = (fault: ReturnType<typeof faultOfStatus>): void => {
        if (told) return
        told = true
        breaker.judge(place, admitted, fault)
      }
      return {
        answered(status, headers) {
          judge(faultOfStatus(status))
          const said = { get: (name: string) => headerText(headers, name) ?? null }
          quotas.learn(place, of, status, said)
          deprecations.note(place, said)
        },
        failed: (error) => judge(faultOfError(error, clock.monotonic() - began, PATIENCE_MS)),
      }
    },
  }
}
