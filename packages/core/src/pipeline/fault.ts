/** Owns whose fault an outcome is. Refuses to blame a provider for what its caller did: a bad request, a hang-up, an impatient deadline. */
import { EgressError } from '../http/index.ts'
import type { EgressErrorCode } from '../http/index.ts'
import { hasCode } from '../kernel/index.ts'

/** `nobody` says nothing about the provider's health, in either direction. */
export type Fault = 'none' | 'provider' | 'nobody'

const PROVIDER: ReadonlySet<EgressErrorCode> = new Set([
  'upstream_unreachable',
  'upstream_timeout',
  'upstream_reset',
  'upstream_invalid',
  'upstream_tls',
])
/** Our own refusals. A deadline that is over may have been over on the way. */
const UNSENT = ['circuit_open', 'queue_full', 'quota_exhausted'] as const
/** Not Implemented (RFC 9110 section 15.6.2) is about the request. */
const NOT_IMPLEMENTED = 501

/** Any 4xx, 429 among them, is the answer of a provider that works. */
export function faultOfStatus(status: number): Fault {
  return status >= 500 && status !== NOT_IMPLEMENTED ? 'provider' : 'none'
}

/** `waitedMs`: how long the provider had. A caller's own deadline is the provider's fault only when that was `patienceMs` or more. */
export function faultOfError(error: unknown, waitedMs: number, patienceMs: number): Fault {
  if (!(error instanceof EgressError) || !PROVIDER.has(error.code)) return 'nobody'
  const impatient = error.code === 'upstream_timeout' && error.reason === 'signal' && waitedMs < patienceMs
  return impatient ? 'nobody' : 'provider'
}

/** Refused before anything of the call left: what it would have changed is as it was. */
export function neverSent(error: unknown): boolean {
  return error instanceof EgressError ? !error.sent : UNSENT.some((code) => hasCode(error, code))
}

/** True when the connection failed in a way that another try may mend. A certificate that was wrong stays wrong. */
export function isPassing(error: unknown): error is EgressError {
  return error instanceof EgressError && PROVIDER.has(error.code) && error.code !== 'upstream_tls'
}
