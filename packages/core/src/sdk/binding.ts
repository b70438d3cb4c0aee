/** Owns when a connection gets a key of its own: where its server binds tokens to keys (RFC 9449). Refuses to use one key for two. */
import { generateProofKey } from '../crypto/index.ts'
import type { Clock } from '../kernel/index.ts'
import type { DpopNonces, DpopSender, TokenServer } from '../oauth/index.ts'

/** `server` after what it publishes was added. Spread into a request for tokens. */
export function newBinding(
  { tokenBinding }: TokenServer,
  { nonces, clock }: { readonly nonces: DpopNonces; readonly clock: Clock },
): { readonly dpop?: DpopSender } {
  return tokenBinding === 'dpop' ? { dpop: { key: generateProofKey(), nonces, now: () => clock.now() } } : {}
}
