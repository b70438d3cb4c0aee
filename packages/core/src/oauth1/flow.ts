/**
 * Owns the redirection-based authorization of OAuth 1.0a (RFC 5849 section 2): temporary credentials, the person's consent, token credentials.
 * Refuses servers that don't confirm the callback (the session fixation that revision A closed) and answers to other requests.
 */
import { digestEquals, sha256 } from '../crypto/index.ts'
import { SallyportError, Secret } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import { oauthFailure, OAuthError, OUTBOUND_LIMITS } from '../oauth/index.ts'
import type { OutboundFetch } from '../oauth/index.ts'
import { oauth1Authorization, oauth1Moment } from './signature.ts'
import type { OAuth1Client, OAuth1Credential, OAuth1Extra } from './signature.ts'

/** The endpoints of RFC 5849 section 2. */
export interface OAuth1Server {
  /** Section 2.1. */
  readonly temporaryCredentialEndpoint: string
  /** Section 2.2: where the person goes. */
  readonly authorizationEndpoint: string
  /** Section 2.3. */
  readonly tokenEndpoint: string
}

/** Who asks whom for credentials, and by what clock. */
export interface OAuth1Exchange {
  readonly server: OAuth1Server
  readonly client: OAuth1Client
  readonly fetch: OutboundFetch
  readonly clock: Clock
}

/** A sign-in that was begun (section 2.2). */
export interface OAuth1Authorization {
  /** Where the browser goes. */
  readonly url: string
  /** To be stored sealed until the callback; `token` finds it again, the way `state` does elsewhere. */
  readonly temporary: OAuth1Credential
}

/** What a sign-in gave (section 2.3). */
export interface OAuth1Tokens {
  readonly credential: OAuth1Credential
  /** What else the provider said, such as the account's id and name. May hold anything. */
  readonly extra: Secret
}

const MAX_QUERY = 8192
const MAX_EXTRA = 8192

/**
 * Asks for temporary credentials and gives the address of the person's consent.
 * @throws OAuthError `provider_misconfigured` when the provider rejects our client, `connect_exchange_failed` otherwise.
 */
export async function oauth1AuthorizationRequest(exchange: OAuth1Exchange, callbackUrl: string): Promise<OAuth1Authorization> {
  const { server } = exchange
  const members = await post(exchange, server.temporaryCredentialEndpoint, null, { oauth_callback: callbackUrl })
  if (single(members, 'oauth_callback_confirmed') !== 'true') throw failed('the provider did not confirm the callback')
  const temporary = credentialOf(members)
  const url = new URL(server.authorizationEndpoint)
  url.searchParams.set('oauth_token', temporary.token.reveal())
  return { url: url.href, temporary }
}

/**
 * The token that a callback's raw query (without `?`) answers for, to find the temporary credentials by.
 * @throws OAuthError `connect_state_invalid`.
 */
export function oauth1CallbackToken(query: string): Secret {
  const parameters = new URLSearchParams(query.length > MAX_QUERY ? '' : query)
  const token = single(parameters, 'oauth_token') ?? single(parameters, 'denied')
  if (token === undefined) throw stateInvalid('the callback has no single token')
  return new Secret(token)
}

/**
 * Exchanges the verifier of a callback's raw query for token credentials: one request, no retry.
 * @throws OAuthError `connect_denied` when the person said no, `connect_state_invalid` when it answers another request or repeats a
 * parameter, `provider_misconfigured` or `connect_exchange_failed` when the provider gives nothing usable.
 */
export async function oauth1Tokens(exchange: OAuth1Exchange, query: string, temporary: OAuth1Credential): Promise<OAuth1Tokens> {
  const token = oauth1CallbackToken(query)
  if (!digestEquals(sha256(token), sha256(temporary.token))) throw stateInvalid('the callback answers another request')
  const parameters = new URLSearchParams(query)
  if (parameters.has('denied')) throw oauthFailure('connect_denied', 'the callback reports a denial')
  const verifier = single(parameters, 'oauth_verifier')
  if (verifier === undefined) throw stateInvalid('the callback has no single verifier')
  const members = await post(exchange, exchange.server.tokenEndpoint, temporary, { oauth_verifier: verifier })
  return { credential: credentialOf(members), extra: extraOf(members) }
}

async function post(
  { client, fetch, clock }: OAuth1Exchange,
  url: string,
  credential: OAuth1Credential | null,
  extra: OAuth1Extra,
): Promise<URLSearchParams> {
  const authorization = oauth1Authorization({ method: 'POST', url }, { client, credential, extra, moment: oauth1Moment(clock) })
  try {
    const headers = { authorization: authorization.reveal(), accept: 'application/x-www-form-urlencoded' }
    const response = await fetch(url, { method: 'POST', headers, ...OUTBOUND_LIMITS })
    const text = await response.text()
    // Section 3.2: 401 means that the client, its signature or its credentials are not accepted.
    if (response.status === 400 || response.status === 401) throw rejected(response.status, credential)
    if (response.status !== 200) throw failed(`the provider answered with status ${response.status}`)
    return new URLSearchParams(text)
  } catch (error) {
    if (error instanceof OAuthError || !(error instanceof SallyportError)) throw error
    throw oauthFailure('connect_exchange_failed', `the provider was not reached: ${error.code}`, { cause: error })
  }
}

function rejected(status: number, credential: OAuth1Credential | null): OAuthError {
  // With temporary credentials in hand our client was accepted once: what is refused now is the verifier.
  if (credential !== null) return failed(`the provider refused the verifier with status ${status}`)
  return oauthFailure('provider_misconfigured', `the provider refused the client with status ${status}`)
}

function credentialOf(members: URLSearchParams): OAuth1Credential {
  const token = single(members, 'oauth_token')
  const tokenSecret = single(members, 'oauth_token_secret')
  if (token === undefined || tokenSecret === undefined) throw failed('the answer holds no credentials')
  return { token: new Secret(token), tokenSecret: new Secret(tokenSecret) }
}

function extraOf(members: URLSearchParams): Secret {
  const others = [...members].filter(([name]) => !name.startsWith('oauth_'))
  const text = JSON.stringify(Object.fromEntries(others))
  return new Secret(Buffer.byteLength(text) > MAX_EXTRA ? '{}' : text)
}

/** The one filled value of a name; undefined when it is absent, empty or repeated. */
function single(parameters: URLSearchParams, name: string): string | undefined {
  const [value, ...others] = parameters.getAll(name)
  return value === '' || others.length > 0 ? undefined : value
}

function failed(message: string): OAuthError {
  return oauthFailure('connect_exchange_failed', message)
}

function stateInvalid(message: string): OAuthError {
  return oauthFailure('connect_state_invalid', message)
}
