/**
 * Owns taking token credentials back where a provider of OAuth 1.0a lets its client do so: a call signed with what is to end. RFC 5849 names no
 * way; the address is the provider's own. Refuses to repeat a call by itself.
 */
import { retryAfterMs } from '../http/index.ts'
import { SallyportError } from '../kernel/index.ts'
import { OUTBOUND_LIMITS } from '../oauth/index.ts'
import type { OutboundFetch, RevokeAnswer } from '../oauth/index.ts'

const DAY_MS = 86_400_000

/** `fetch` signs with the credential that is to end. `now`: wall time in milliseconds. Never throws for what a provider does. */
export async function revokeOAuth1(endpoint: string, fetch: OutboundFetch, now: number): Promise<RevokeAnswer> {
  try {
    const { status, headers } = await fetch(endpoint, { method: 'POST', headers: { accept: 'application/json' }, ...OUTBOUND_LIMITS })
    if (status >= 200 && status < 300) return { kind: 'done' }
    const afterMs = retryAfterMs(headers, now, DAY_MS) ?? null
    if (status === 429) return { kind: 'retry', reason: 'rate_limited', afterMs }
    if (status >= 500) return { kind: 'retry', reason: 'provider_down', afterMs }
    // What is over already can't sign any more, and is refused like what never was.
    return { kind: 'impossible', reason: 'refused' }
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error
    if (error.code === 'egress_refused') return { kind: 'impossible', reason: 'destination_refused' }
    return { kind: 'retry', reason: 'unreachable', afterMs: null }
  }
}
