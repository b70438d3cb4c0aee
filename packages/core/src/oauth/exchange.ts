/**
 * Owns the exchange of a code for tokens (RFC 6749 section 4.1.3): one POST, never repeated, because a code that was shown twice may cost the
 * grant (section 10.5). Refuses answers that are not of the kind that was asked for: a bearer token, or one bound to a key (RFC 9449).
 */
import { authorizationCodeGrantRequest, processAuthorizationCodeResponse, ResponseBodyError } from 'oauth4webapi'
import type { TokenEndpointResponse } from 'oauth4webapi'
import { SallyportError, Secret } from '../kernel/index.ts'
import type { TokenSet } from '../tokens/index.ts'
import type { AuthorizationAnswer } from './callback.ts'
import { clientAuth } from './client-auth.ts'
import { provingFetch } from './dpop.ts'
import type { DpopSender } from './dpop.ts'
import { oauthFailure, OAuthError, providerFailure } from './errors.ts'
import { parseScopes } from './scopes.ts'
import { OUTBOUND_LIMITS } from './server.ts'
import type { AuthorizationServer, OAuthClient, OutboundFetch } from './server.ts'
import { standardAnswer } from './token-answer.ts'
import { tokenCall } from './token-call.ts'

/** Bytes of unknown members that are kept beside the tokens. A provider that says more is cut to nothing rather than in the middle. */
const MAX_EXTRA = 8192

/** A code that is about to be shown (RFC 6749 section 4.1.3), with all that has to go with it. */
export interface CodeExchange {
  readonly server: AuthorizationServer
  readonly client: OAuthClient
  /** The very text of the authorization request (RFC 6749 section 4.1.3). */
  readonly redirectUri: string
  readonly verifier: Secret
  readonly answer: AuthorizationAnswer
  /** What was asked for; stands for what was granted when the answer does not say (RFC 6749 section 5.1). */
  readonly requestedScopes: readonly string[]
  readonly fetch: OutboundFetch
  /** Wall time in milliseconds, taken before the call so that an expiry errs on the early side. */
  readonly now: number
  /** Present: the tokens are to be bound to this key, and the exchange carries a proof. */
  readonly dpop?: DpopSender
}

/**
 * Exchanges the code. One request, no retry.
 * @throws OAuthError `provider_misconfigured` when the provider rejects our client, `connect_denied` or `connect_exchange_failed` otherwise;
 * an egress failure is its cause. Neither the code nor anything of the body is in the error.
 */
export async function exchangeCode(exchange: CodeExchange): Promise<TokenSet> {
  const { server, client, redirectUri, verifier, answer, dpop } = exchange
  const metadata = { issuer: server.issuer, token_endpoint: server.tokenEndpoint }
  const identity = { client_id: client.clientId }
  const fetch = dpop === undefined ? exchange.fetch : provingFetch(exchange.fetch, dpop)
  try {
    const response = await authorizationCodeGrantRequest(
      metadata,
      identity,
      clientAuth(server, client),
      answer.parameters,
      redirectUri,
      verifier.reveal(),
      tokenCall(server, fetch, OUTBOUND_LIMITS, (answered) => standardAnswer(answered, server.tokenQuirks)),
    )
    return tokenSet(await processAuthorizationCodeResponse(metadata, identity, response), exchange)
  } catch (error) {
    throw exchangeFailure(error)
  }
}

/** @throws OAuthError `connect_exchange_failed` for tokens of another kind than was asked for. */
export function tokenSet(
  body: TokenEndpointResponse,
  { requestedScopes, now, dpop }: Pick<CodeExchange, 'requestedScopes' | 'now' | 'dpop'>,
): TokenSet {
  const { access_token, refresh_token, token_type, expires_in, scope, ...extra } = body
  // A bound token sent as a bearer fails on every call; a bearer given where binding was asked for is worth stealing (RFC 9449 section 5).
  if (token_type !== (dpop === undefined ? 'bearer' : 'dpop') || access_token === '') {
    throw oauthFailure('connect_exchange_failed', `the provider gave no ${dpop === undefined ? 'bearer' : 'bound'} token`)
  }
  const granted = {
    accessToken: new Secret(access_token),
    refreshToken: refresh_token === undefined ? null : new Secret(refresh_token),
    expiresAt: expires_in === undefined ? null : now + expires_in * 1000,
    scopes: scope === undefined ? [...requestedScopes] : parseScopes(scope),
    extra: keptExtra(extra),
  }
  return dpop === undefined ? { ...granted, tokenType: 'bearer' } : { ...granted, tokenType: 'dpop', dpopKey: dpop.key }
}

export function keptExtra(extra: Record<string, unknown>): Secret {
  const text = JSON.stringify(extra)
  return new Secret(Buffer.byteLength(text) > MAX_EXTRA ? '{}' : text)
}

/** The library's errors carry the answer's body, tokens included: only their code goes on, in words of ours. `what` was asked for. */
export function exchangeFailure(error: unknown, what: 'token' | 'pushed request' = 'token'): OAuthError {
  if (error instanceof OAuthError) return error
  if (error instanceof ResponseBodyError) return providerFailure(error.error)
  if (error instanceof SallyportError)
    return oauthFailure('connect_exchange_failed', `the ${what} endpoint was not reached: ${error.code}`, { cause: error })
  return oauthFailure('connect_exchange_failed', `the ${what} answer is unusable: ${libraryCode(error)}`)
}

function libraryCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unreadable'
}
