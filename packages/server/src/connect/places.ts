/** Owns where the secrets of connecting are sealed to. Sealing and opening must name the same place, so each is written once, here. */
import type { ConnectionId, ConnectSessionId, IntegrationId, SealPlace } from '@sallyport/core'

type Place = Omit<SealPlace, 'org'>

export function clientSecretPlace(integration: IntegrationId): Place {
  return { purpose: 'client-secret', table: 'integration', column: 'client_secret', record: integration, seq: 0n }
}

/** Bound to the session: a verifier moved to another session's state does not open (battery O-14). */
export function verifierPlace(session: ConnectSessionId): Place {
  return { purpose: 'pkce-verifier', table: 'oauth_state', column: 'verifier', record: session, seq: 0n }
}

export function credentialPlace(connection: ConnectionId, seq: bigint): Place {
  return { purpose: 'credential', table: 'credential_version', column: 'sealed', record: connection, seq }
}
