/**
 * Owns whether a provider of models is to be asked now: one circuit for each organization, provider and host. Refuses before a key is opened, and without
 * waiting. A 429 closes nothing here: it is about one model or one key, and the caller's own retries know its `Retry-After`.
 */
import { Breaker, faultOfError, faultOfStatus } from '@sallyport/core'
import type { CircuitChange, Clock, Fault, Metrics, OrgId } from '@sallyport/core'

export interface ModelGuardOptions {
  /** Failures in a row that open a circuit, and how long it stays open before one call is let through. */
  readonly failures: number
  readonly openMs: number
  readonly onChange: (change: CircuitChange) => void
  readonly clock: Clock
  readonly metrics: Metrics
}

/** Told once of what became of a call; what comes after the first word is not heard. */
export interface AdmittedModelCall {
  answered(status: number): void
  failed(error: unknown): void
}

export interface ModelGuard {
  /** @throws PipelineError `circuit_open` */
  admit(org: OrgId, provider: string, host: string): AdmittedModelCall
}

/** A provider had this long before its silence is its own fault and not the caller's impatience. */
const PATIENCE_MS = 10_000

export function createModelGuard({ failures, openMs, onChange, clock, metrics }: ModelGuardOptions): ModelGuard {
  const breaker = new Breaker({ failures, openMs, patienceMs: PATIENCE_MS, onChange, clock, metrics })
  return {
    admit(org, provider, host) {
      // Two providers behind one host fail by themselves.
      const place = { owner: org, integration: provider, provider, host }
      const [admitted, began] = [breaker.admit(place), clock.monotonic()]
      let told = false
      const judge = (fault: Fault): void => {
        if (told) return
        told = true
        breaker.judge(place, admitted, fault)
      }
      return {
        answered: (status) => judge(faultOfStatus(status)),
        failed: (error) => judge(faultOfError(error, clock.monotonic() - began, PATIENCE_MS)),
      }
    },
  }
}
