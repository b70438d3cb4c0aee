/**
 * Owns what an authorization server publishes of itself (RFC 8414; OpenID Connect Discovery 1.0 section 4), read once and judged. Refuses a document
 * that names another issuer than the one it was asked of (RFC 8414 section 3.3), and endpoints that a client's secret could be read on the way to.
 */
import { allowInsecureRequests, customFetch, discoveryRequest, processDiscoveryResponse } from 'oauth4webapi'
import type { AuthorizationServer as LibraryMetadata } from 'oauth4webapi'
import { SallyportError } from '../kernel/index.ts'
import { oauthFailure } from './errors.ts'
import { OUTBOUND_LIMITS } from './server.ts'
import type { OutboundFetch, OutboundRequest } from './server.ts'

/** What of a server's metadata (RFC 8414 section 2) says how to speak to it. Lists are empty where the document has none. */
export interface ServerMetadata {
  /** The very text of the document, which is the text that it was asked by. */
  readonly issuer: string
  readonly authorizationEndpoint: string | undefined
  readonly tokenEndpoint: string | undefined
  readonly revocationEndpoint: string | undefined
  /** RFC 8628 section 4. */
  readonly deviceAuthorizationEndpoint: string | undefined
  /** RFC 9126 section 5. */
  readonly pushedAuthorizationRequestEndpoint: string | undefined
  readonly requirePushedAuthorizationRequests: boolean
  /** OpenID Connect Discovery 1.0 section 3. */
  readonly userinfoEndpoint: string | undefined
  /** RFC 9207 section 3: an answer of its authorization endpoint without `iss` is not its own. */
  readonly namesItself: boolean
  /** RFC 8414 section 2: absent in the document, it says nothing of proof keys. */
  readonly codeChallengeMethods: readonly string[]
  /** As the document has them; `client_secret_basic` where it has none (RFC 8414 section 2). */
  readonly tokenAuthMethods: readonly string[]
  readonly revocationAuthMethods: readonly string[]
  /** RFC 9449 section 5.1. */
  readonly dpopAlgorithms: readonly string[]
}

/** A document larger than this is none. Bytes. */
const MAX_BYTES = 64 * 1024

/**
 * Asks at the address of RFC 8414 section 3, and where there is nothing, at that of OpenID Connect. Two requests at most, none repeated.
 * @throws OAuthError `connect_exchange_failed` when the server was not reached or publishes nothing, `provider_misconfigured` when what it
 * publishes can't be its own. Nothing of the document is in the error.
 */
export async function readServerMetadata(issuer: string, fetch: OutboundFetch): Promise<ServerMetadata> {
  for (const algorithm of ['oauth2', 'oidc'] as const) {
    const response = await asked(issuer, algorithm, fetch)
    if (response.status === 404) continue
    return judged(issuer, await readable(issuer, response))
  }
  throw oauthFailure('connect_exchange_failed', 'the authorization server publishes no metadata')
}

async function asked(issuer: string, algorithm: 'oauth2' | 'oidc', fetch: OutboundFetch): Promise<Response> {
  const limits = { ...OUTBOUND_LIMITS, maxBytes: MAX_BYTES }
  try {
    return await discoveryRequest(new URL(issuer), {
      algorithm,
      // Which plain-text origins may be reached at all is the egress policy's to say.
      [allowInsecureRequests]: true,
      [customFetch]: (url: string, { method, headers }: Pick<OutboundRequest, 'method' | 'headers'>) =>
        fetch(url, { method, headers, ...limits }),
    })
  } catch (error) {
    const why = error instanceof SallyportError ? error.code : 'unreadable'
    throw oauthFailure('connect_exchange_failed', `the authorization server's metadata was not reached: ${why}`, { cause: error })
  }
}

/** The library's errors carry the document: they stay behind. */
async function readable(issuer: string, response: Response): Promise<LibraryMetadata> {
  const { status } = response
  if (status !== 200)
    throw oauthFailure('connect_exchange_failed', `the authorization server answers ${status} where its metadata should be`)
  try {
    return await processDiscoveryResponse(new URL(issuer), response)
  } catch {
    throw oauthFailure('provider_misconfigured', "the authorization server's metadata is unreadable, or another issuer's")
  }
}

function judged(issuer: string, document: LibraryMetadata): ServerMetadata {
  // The library compares addresses; issuers are compared as text (RFC 8414 section 3.3, RFC 9207 section 2.4).
  if (document.issuer !== issuer) throw oauthFailure('provider_misconfigured', "the authorization server's metadata is another issuer's")
  const endpoint = (name: string): string | undefined => endpointOf(issuer, name, document[name])
  return {
    issuer,
    authorizationEndpoint: endpoint('authorization_endpoint'),
    tokenEndpoint: endpoint('token_endpoint'),
    revocationEndpoint: endpoint('revocation_endpoint'),
    deviceAuthorizationEndpoint: endpoint('device_authorization_endpoint'),
    pushedAuthorizationRequestEndpoint: endpoint('pushed_authorization_request_endpoint'),
    requirePushedAuthorizationRequests: document.require_pushed_authorization_requests === true,
    userinfoEndpoint: endpoint('userinfo_endpoint'),
    namesItself: document.authorization_response_iss_parameter_supported === true,
    codeChallengeMethods: texts(document.code_challenge_methods_supported),
    tokenAuthMethods: texts(document.token_endpoint_auth_methods_supported, 'client_secret_basic'),
    revocationAuthMethods: texts(document.revocation_endpoint_auth_methods_supported, 'client_secret_basic'),
    dpopAlgorithms: texts(document.dpop_signing_alg_values_supported),
  }
}

/** https, or as the issuer itself is reached: a server on this machine, in development. */
function endpointOf(issuer: string, name: string, value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined
  const url = typeof value === 'string' && value.length <= 2048 ? URL.parse(value) : null
  const isSound = url !== null && url.username === '' && url.password === '' && url.hash === ''
  if (isSound && (url.protocol === 'https:' || url.origin === new URL(issuer).origin)) return value as string
  throw oauthFailure('provider_misconfigured', `the authorization server's metadata names a ${name} that is no https address`)
}

function texts(value: unknown, otherwise?: string): readonly string[] {
  if (!Array.isArray(value)) return otherwise === undefined ? [] : [otherwise]
  return value.filter((one): one is string => typeof one === 'string')
}
