/**
 * Owns the authorization request (RFC 6749 section 4.1.1) and its proof key (RFC 7636). Refuses `plain`, requests without a proof key,
 * and extra parameters that would speak for the protocol.
 */
import { randomToken, sha256 } from '../crypto/index.ts'
import { Secret } from '../kernel/index.ts'
import { oauthFailure } from './errors.ts'
import type { AuthorizationServer } from './server.ts'

/** Parameters that only this module sets, and ones that would move the request or its answer elsewhere (RFC 9101, RFC 9126, RFC 9700). */
const PROTOCOL_PARAMETERS: ReadonlySet<string> = new Set([
  'client_id',
  'client_secret',
  'code_challenge',
  'code_challenge_method',
  'code_verifier',
  'redirect_uri',
  'request',
  'request_uri',
  'response_mode',
  'response_type',
  'scope',
  'state',
])

/** True for a parameter that no record, option or endpoint query may set. */
export function isProtocolParameter(name: string): boolean {
  return PROTOCOL_PARAMETERS.has(name.toLowerCase())
}

/** A request that was made (RFC 6749 section 4.1.1), with what has to be remembered of it. */
export interface AuthorizationRequest {
  /** Where the browser goes. Holds the state, or the server's name for the request: as short-lived as that. */
  readonly url: string
  /** 256 bits; only its hash is stored. */
  readonly state: Secret
  /** RFC 7636 section 4.1: 43 characters, 256 bits. Stored sealed, sent once, to the token endpoint. */
  readonly verifier: Secret
}

/** What a request is made of. `scopes`: none are named when empty. */
export interface RequestedAuthorization {
  readonly server: AuthorizationServer
  readonly clientId: string
  readonly redirectUri: string
  readonly scopes: readonly string[]
  /** Parameters of the provider's own. */
  readonly extra?: Readonly<Record<string, string>>
}

/**
 * A fresh request, to go through the browser: new state, new verifier, S256. `extra` may add parameters of the provider's own.
 * @throws OAuthError `provider_misconfigured` when `extra`, the record or the endpoint's query names a protocol parameter (battery O-05).
 */
export function authorizationRequest(options: RequestedAuthorization): AuthorizationRequest {
  const { server, clientId, redirectUri, scopes, extra = {} } = options
  const state = randomToken(32)
  const verifier = randomToken(32)
  const url = new URL(server.authorizationEndpoint)
  refuseProtocolParameters([...url.searchParams.keys(), ...Object.keys(server.authorizationParams), ...Object.keys(extra)])
  for (const [name, value] of Object.entries({ ...extra, ...server.authorizationParams })) url.searchParams.set(name, value)
  url.searchParams.set('response_type', 'code')
  url.searchParams.set('client_id', clientId)
  url.searchParams.set('redirect_uri', redirectUri)
  if (scopes.length > 0) url.searchParams.set(server.scopeParameter ?? 'scope', scopes.join(server.scopeSeparator))
  url.searchParams.set('state', state)
  url.searchParams.set('code_challenge', codeChallenge(verifier))
  url.searchParams.set('code_challenge_method', 'S256')
  return { url: url.href, state: new Secret(state), verifier: new Secret(verifier) }
}

/** RFC 7636 section 4.2: BASE64URL(SHA256(ASCII(verifier))). */
export function codeChallenge(verifier: string): string {
  return sha256(verifier).toString('base64url')
}

function refuseProtocolParameters(names: readonly string[]): void {
  const refused = names.find(isProtocolParameter)
  if (refused === undefined) return
  throw oauthFailure('provider_misconfigured', `the parameter ${refused.toLowerCase()} may not be set by options`)
}
