/**
 * Owns the way an authorization request takes: through the browser, or pushed to the server by the client itself (RFC 9126), so that the browser
 * carries a name of it alone. Refuses the browser's way where the server wants requests pushed.
 */
import { processPushedAuthorizationResponse, pushedAuthorizationRequest } from 'oauth4webapi'
import { authorizationRequest } from './authorize.ts'
import type { AuthorizationRequest, RequestedAuthorization } from './authorize.ts'
import { clientAuth } from './client-auth.ts'
import { oauthFailure } from './errors.ts'
import { exchangeFailure } from './exchange.ts'
import { OUTBOUND_LIMITS } from './server.ts'
import type { AuthorizationServer, OAuthClient, OutboundFetch } from './server.ts'
import { tokenCall } from './token-call.ts'

/** What a request is made of, and who hands it in where that is the way. */
export interface StartedAuthorization extends Omit<RequestedAuthorization, 'clientId'> {
  readonly client: OAuthClient
  readonly fetch: OutboundFetch
}

/** What a request was called by the server: a URI (RFC 9126 section 2.2), which goes into an address as it is. */
const REQUEST_URI = /^[!-~]{1,2048}$/u

/**
 * A fresh request as `authorizationRequest` makes it, pushed where the server has an endpoint for that: then `url` holds nothing but the client's id
 * and the name that the server gave the request, which lives as briefly as the server says (5 to 600 seconds, section 2.2). One call, no retry.
 * @throws OAuthError as `authorizationRequest`; `provider_misconfigured` when the server refuses the client or wants requests pushed and names no
 * endpoint for it; `connect_exchange_failed` when it was not reached or its answer is unusable.
 */
export async function startAuthorization(options: StartedAuthorization): Promise<AuthorizationRequest> {
  const { server, client, fetch, ...rest } = options
  const request = authorizationRequest({ ...rest, server, clientId: client.clientId })
  const { pushedAuthorizationRequestEndpoint: endpoint, requirePushedAuthorizationRequests } = server
  if (endpoint !== undefined) return { ...request, url: await pushed(request.url, endpoint, { server, client, fetch }) }
  if (requirePushedAuthorizationRequests !== true) return request
  throw oauthFailure('provider_misconfigured', 'the authorization server wants requests pushed, and no endpoint for that is known')
}

type Pushing = Pick<StartedAuthorization, 'server' | 'client' | 'fetch'>

async function pushed(url: string, endpoint: string, { server, client, fetch }: Pushing): Promise<string> {
  const metadata = { issuer: server.issuer, pushed_authorization_request_endpoint: endpoint }
  const identity = { client_id: client.clientId }
  // Its requests are forms, also where those of the token endpoint are not (section 2.1).
  const call = tokenCall({ ...server, tokenBody: undefined }, fetch, OUTBOUND_LIMITS)
  try {
    const response = await pushedAuthorizationRequest(metadata, identity, clientAuth(server, client), parametersOf(url, server), call)
    const { request_uri: name } = await processPushedAuthorizationResponse(metadata, identity, response)
    if (!REQUEST_URI.test(name))
      throw oauthFailure('connect_exchange_failed', 'the pushed request was given a name that no address can hold')
    return addressOf(server, client.clientId, name)
  } catch (error) {
    throw exchangeFailure(error, 'pushed request')
  }
}

/** All but what is part of the endpoint's own address. */
function parametersOf(url: string, { authorizationEndpoint }: AuthorizationServer): Record<string, string> {
  const own = new URL(authorizationEndpoint).searchParams
  return Object.fromEntries([...new URL(url).searchParams].filter(([name]) => !own.has(name)))
}

/** RFC 9126 section 4. */
function addressOf({ authorizationEndpoint }: AuthorizationServer, clientId: string, name: string): string {
  const url = new URL(authorizationEndpoint)
  url.searchParams.set('client_id', clientId)
  url.searchParams.set('request_uri', name)
  return url.href
}
