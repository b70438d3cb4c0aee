/** Owns how a connection is renewed at its provider, by the scheme. Refuses to renew what only a person can. */
import type { Clock } from '../kernel/index.ts'
import { refreshTokens, renewClientTokens } from '../oauth/index.ts'
import type { DpopNonces, OutboundFetch } from '../oauth/index.ts'
import type { RefreshEndpoint } from '../refresh/index.ts'
import type { ConfiguredProvider } from './config.ts'

export interface RenewingParts {
  readonly fetch: OutboundFetch
  readonly nonces: DpopNonces
  readonly clock: Clock
}

export function renewalEndpoint({ name, record, scheme }: ConfiguredProvider, { fetch, nonces, clock }: RenewingParts): RefreshEndpoint {
  const { rotation, requestLifetimeMs } = record
  const dpop = { nonces, now: () => clock.now() }
  // A client's own credentials are spent by nothing.
  const made = {
    provider: name,
    rotation: scheme.kind === 'client_credentials' ? ({ kind: 'none' } as const) : rotation,
    requestLifetimeMs,
  }
  if (!('server' in scheme) || scheme.kind === 'oauth1')
    return { ...made, refresh: async () => ({ kind: 'misconfigured', providerError: undefined }) }
  const { server, client } = scheme
  if (scheme.kind === 'client_credentials')
    return { ...made, refresh: (parent, call) => renewClientTokens({ server, client, parent, ...call, fetch, dpop }) }
  const named = scheme.kind === 'authorization_code' ? { redirectUri: scheme.redirectUri } : {}
  return { ...made, refresh: (parent, call) => refreshTokens({ server, client, parent, ...named, ...call, fetch, dpop }) }
}
