/**
 * Owns the gateway's refresher: how a connection is renewed at its provider, with the client of its integration opened for that one call.
 * Refuses to write anything for a connection whose integration can't be used.
 */
import { createRefresher, refreshTokens } from '@sallyport/core'
import type { Clock, DpopNonces, OutboundFetch, Provider, RefreshEndpoint, Refresher, RefresherOptions } from '@sallyport/core'
import { connectionFindAnywhere, integrationFind } from '../db/index.ts'
import type { Connection, Database, Integration } from '../db/index.ts'
import { ProblemError } from '../http/index.ts'
import { clientSecretPlace } from '../vault/index.ts'
import type { Vault } from '../vault/index.ts'
import { placeOf } from './store.ts'

export interface RenewalOptions extends Omit<RefresherOptions, 'endpoint'> {
  readonly database: Pick<Database, 'withTenant'>
  readonly vault: Pick<Vault, 'open'>
  /** Providers with the configured endpoints laid over. */
  readonly providers: (id: string) => Provider | undefined
  /** The egress's `fetch`. */
  readonly fetch: OutboundFetch
  readonly dpopNonces: DpopNonces
  /** Where an integration's callbacks arrive: providers that want it named at a refresh get what they were told at the sign-in. */
  readonly redirectUri: (context: string) => string
  readonly clock: Clock
}

export function createRenewal(options: RenewalOptions): Refresher {
  return createRefresher({ ...options, endpoint: (ref) => endpointOf(options, placeOf(ref)) })
}

async function endpointOf(options: RenewalOptions, { org, connection: id }: ReturnType<typeof placeOf>): Promise<RefreshEndpoint> {
  const { connection, integration } = await options.database.withTenant(org, async (tx) => {
    const found = await connectionFindAnywhere(tx, id)
    return { connection: found, integration: found && (await integrationFind(tx, found, found.integration)) }
  })
  const provider = usable(options, connection, integration)
  // Opened before anything is written: a key that can't be had is no outcome of a call.
  const clientSecret = await options.vault.open(org, clientSecretPlace(integration!.id), integration!.clientSecret)
  const client = { clientId: integration!.clientId, clientSecret }
  const { fetch, dpopNonces: nonces, clock } = options
  const redirectUri = options.redirectUri(integration!.context)
  return {
    provider: provider.id,
    rotation: provider.rotation,
    requestLifetimeMs: provider.requestLifetimeMs,
    refresh: (parent, call) =>
      refreshTokens({ server: provider.oauth, client, parent, redirectUri, ...call, fetch, dpop: { nonces, now: () => clock.now() } }),
  }
}

function usable({ providers }: RenewalOptions, connection: Connection | undefined, integration: Integration | undefined): Provider {
  const provider = integration && providers(integration.provider)
  if (connection !== undefined && provider !== undefined) return provider
  throw new ProblemError('integration_not_configured', 'The integration of this connection names a provider that is not available here.')
}
