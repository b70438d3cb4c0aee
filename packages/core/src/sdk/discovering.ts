/**
 * Owns the record of a server that is known by its issuer: its endpoints and habits, as it publishes them (RFC 8414). Refuses to guess what it does not
 * publish: what an account is called there, where its API is and what its scopes are for stay the application's to say.
 */
import { checkedApiRecord } from '../catalog/index.ts'
import type { ApiRecord, ApiRecordInput } from '../catalog/index.ts'
import { createEgress, DEFAULT_EGRESS_POLICY } from '../http/index.ts'
import { oauthFailure, readServerMetadata } from '../oauth/index.ts'
import type { OutboundFetch, ServerMetadata } from '../oauth/index.ts'

/** A record without what the server publishes; what it says all the same goes first. */
export type DiscoverableConnector = Omit<ApiRecordInput, 'oauth' | 'origins'> & {
  readonly oauth: Partial<NonNullable<ApiRecordInput['oauth']>> & { readonly issuer: string }
  /** Of the API and the account, and of endpoints that lie elsewhere than the record's. Those that the server publishes are added. */
  readonly origins?: readonly string[]
}

/** Where the issuer may be. */
export interface DiscoveryOptions {
  /** As in the configuration: exact origins that may be plain http or on this machine. Development only. */
  readonly insecureAllowOrigins?: readonly string[]
}

/**
 * Asks the issuer and gives a record for `connectors` or `registerConnector`, checked and frozen. Two requests at most, before `Sallyport.init` or
 * at any time. Where the account can be looked up by OpenID Connect, it is, unless `userinfo` is given. The record says `discovery`: what the server
 * publishes later, of pushed requests and bound tokens, is kept to as well.
 * @throws OAuthError `connect_exchange_failed` when the server is not reached or publishes nothing, `provider_misconfigured` when it publishes
 * another's name or no way for a client with a secret; CatalogError `provider_record_invalid` with every fault of the whole.
 */
export async function discoverConnector(
  connector: DiscoverableConnector,
  { insecureAllowOrigins = [] }: DiscoveryOptions = {},
): Promise<ApiRecord> {
  const egress = createEgress({ ...DEFAULT_EGRESS_POLICY, insecureAllowOrigins })
  try {
    const fetch: OutboundFetch = (url, request) => egress.fetch(url, request)
    return checkedApiRecord(recordOf(connector, await readServerMetadata(connector.oauth.issuer, fetch)), insecureAllowOrigins)
  } finally {
    await egress.close()
  }
}

function recordOf({ oauth, origins = [], ...rest }: DiscoverableConnector, metadata: ServerMetadata): object {
  const { authorizationEndpoint, tokenEndpoint, deviceAuthorizationEndpoint, pushedAuthorizationRequestEndpoint } = metadata
  const { revocationEndpoint, userinfoEndpoint, issuer, tokenAuthMethods } = metadata
  const published = {
    authorizationEndpoint,
    tokenEndpoint,
    deviceAuthorizationEndpoint,
    pushedAuthorizationRequestEndpoint,
    ...(metadata.requirePushedAuthorizationRequests ? { requirePushedAuthorizationRequests: true } : {}),
    responseIssuer: metadata.namesItself ? 'required' : 'checked',
  }
  const record = {
    userinfo: userinfoEndpoint && { url: userinfoEndpoint, method: 'GET', idPath: ['sub'], labelPath: ['email'], headers: {} },
    revocation: revocationOf(metadata),
    ...rest,
    oauth: {
      tokenAuth: clientAuthOf(tokenAuthMethods, 'client'),
      scopeSeparator: ' ',
      tokenQuirks: [],
      ...published,
      ...oauth,
      discovery: true,
    },
  }
  const endpoints = [...Object.values(published), issuer, rest.api.base, revocationEndpoint, userinfoEndpoint, rest.userinfo?.url]
  const own = endpoints.flatMap((url) => (typeof url === 'string' && URL.canParse(url) ? [new URL(url).origin] : []))
  return { ...record, origins: [...new Set([...origins, ...own])] }
}

function revocationOf({ revocationEndpoint: endpoint, revocationAuthMethods }: ServerMetadata): ApiRecord['revocation'] {
  if (endpoint === undefined) return { kind: 'none' }
  return { kind: 'rfc7009', endpoint, clientAuth: clientAuthOf(revocationAuthMethods, 'revocation'), reach: 'token' }
}

/** A client without a secret proves nothing, whichever it is. */
function clientAuthOf(methods: readonly string[], where: string): 'client_secret_basic' | 'client_secret_post' {
  if (methods.includes('client_secret_basic')) return 'client_secret_basic'
  if (methods.includes('client_secret_post') || methods.includes('none')) return 'client_secret_post'
  throw oauthFailure('provider_misconfigured', `the authorization server publishes no way of proving a ${where} that is known here`)
}
