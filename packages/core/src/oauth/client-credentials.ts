/**
 * Owns the client credentials grant (RFC 6749 section 4.4): tokens that speak for the application itself. Refuses a refresh token that comes
 * with them: the client's own credentials are how they are renewed (section 4.4.3).
 */
import { clientCredentialsGrantRequest, processClientCredentialsResponse } from 'oauth4webapi'
import type { TokenSet } from '../tokens/index.ts'
import { clientAuth } from './client-auth.ts'
import { provingFetch } from './dpop.ts'
import type { DpopSender } from './dpop.ts'
import { exchangeFailure, tokenSet } from './exchange.ts'
import type { RefreshAnswer } from './refresh-answer.ts'
import { askTokenEndpoint } from './refresh-grant.ts'
import type { RefreshGrant } from './refresh-grant.ts'
import { OUTBOUND_LIMITS } from './server.ts'
import type { OAuthClient, OutboundFetch, TokenServer } from './server.ts'
import { standardAnswer } from './token-answer.ts'
import { tokenCall } from './token-call.ts'

/** A client that asks for tokens of its own (RFC 6749 section 4.4). */
export interface ClientGrant {
  readonly server: TokenServer
  readonly client: OAuthClient
  readonly requestedScopes: readonly string[]
  readonly fetch: OutboundFetch
  /** Wall time in milliseconds, taken before the call. */
  readonly now: number
  /** Present: the token is to be bound to this key. */
  readonly dpop?: DpopSender
}

/** The first token. One request, no retry. @throws OAuthError `provider_misconfigured` or `connect_exchange_failed`, as `exchangeCode`. */
export async function clientTokens(grant: ClientGrant): Promise<TokenSet> {
  const { server, client, requestedScopes, dpop } = grant
  const metadata = { issuer: server.issuer, token_endpoint: server.tokenEndpoint }
  const fetch = dpop === undefined ? grant.fetch : provingFetch(grant.fetch, dpop)
  const call = tokenCall(server, fetch, OUTBOUND_LIMITS, (response) => standardAnswer(response, server.tokenQuirks))
  try {
    const identity = { client_id: client.clientId }
    const response = await clientCredentialsGrantRequest(
      metadata,
      identity,
      clientAuth(server, client),
      asked(server, requestedScopes),
      call,
    )
    return withoutRefresh(tokenSet(await processClientCredentialsResponse(metadata, identity, response), grant))
  } catch (error) {
    throw exchangeFailure(error)
  }
}

/**
 * The next one, in place of `parent`, with its scopes and its key. Never rejects. Nothing is spent by it, so an outcome that is unknown can be
 * asked for again.
 */
export async function renewClientTokens(grant: RefreshGrant): Promise<RefreshAnswer> {
  const { server, client, parent } = grant
  const answer = await askTokenEndpoint(grant, (metadata, identity, call) =>
    clientCredentialsGrantRequest(metadata, identity, clientAuth(server, client), asked(server, parent.scopes), call),
  )
  if (answer.kind === 'tokens') return { kind: 'tokens', tokens: withoutRefresh(answer.tokens) }
  // There is no grant of a person's that could have ended.
  return answer.kind === 'refused' ? { kind: 'misconfigured', providerError: 'unauthorized_client' } : answer
}

function asked({ scopeSeparator }: TokenServer, scopes: readonly string[]): Record<string, string> {
  return scopes.length === 0 ? {} : { scope: scopes.join(scopeSeparator) }
}

function withoutRefresh(tokens: TokenSet): TokenSet {
  return { ...tokens, refreshToken: null }
}
