/**
 * Owns taking tokens back at the provider that gave them: RFC 7009, or the provider's own way where its record says so. Refuses to repeat a
 * call by itself, and to take silence for success: what is not known to be over is answered as to be tried again.
 *
 * Revoking can be repeated without harm, so unlike a refresh nothing here has to be fenced. What can do harm is its reach: some providers end
 * every grant of the account to our client with one call (`reach` in the record), which would take a newer connection of that account along.
 */
import { retryAfterMs } from '../http/index.ts'
import { SallyportError } from '../kernel/index.ts'
import type { Secret } from '../kernel/index.ts'
import { basicOf } from './client-auth.ts'
import { OUTBOUND_LIMITS } from './server.ts'
import type { OAuthClient, OutboundFetch, OutboundRequest } from './server.ts'

/** How a provider takes tokens back. */
export type RevocationWay =
  | {
      readonly kind: 'rfc7009'
      readonly endpoint: string
      /** How the client proves itself there (RFC 7009 section 2.1). `none`: the token alone is proof enough. */
      readonly clientAuth: 'client_secret_post' | 'client_secret_basic' | 'none'
      /** `token`: the token and what was made from it. `account`: every grant of the account to the client. */
      readonly reach: 'token' | 'account'
      /** The only kind of token that it takes there. Absent: both. */
      readonly takes?: 'refresh' | 'access' | undefined
      /** Sent beside the client's proof. Lower-case names. */
      readonly headers?: Readonly<Record<string, string>> | undefined
    }
  /** The client deletes a grant or one token by its access token: DELETE with Basic credentials and `{"access_token"}`. */
  | {
      readonly kind: 'client_delete'
      /** With `{client_id}`. Ends every grant of the account to the client. */
      readonly grant: string
      /** With `{client_id}`. Ends one token. */
      readonly token: string
    }
  /** A call with the access token as its credential ends the token and what it was made from; there is no proof of the client. */
  | { readonly kind: 'own_token'; readonly endpoint: string }
  /** It has none. The tokens are forgotten here, and live there until they expire. */
  | { readonly kind: 'none' }

/** Why asking again is worth it. Never the provider's own text. */
export type RetryReason = 'rate_limited' | 'provider_down' | 'unreachable' | 'client_rejected' | 'unreadable'

/** Why it is not. `shared_account`: one call would end other connections of that account, which are to live. */
export type ImpossibleReason = 'no_way' | 'unsupported' | 'refused' | 'destination_refused' | 'shared_account'

/** What became of taking back, in the only three ways that a caller can act on. */
export type RevokeAnswer =
  /** Over at the provider: revoked now, or unknown there already (RFC 7009 section 2.2). */
  | { readonly kind: 'done' }
  /** `afterMs`: what the provider asked for, capped at a day; null when it named nothing. */
  | { readonly kind: 'retry'; readonly reason: RetryReason; readonly afterMs: number | null }
  | { readonly kind: 'impossible'; readonly reason: ImpossibleReason }

/** The tokens that are to end, and who says so. */
export interface Revoking {
  readonly way: RevocationWay
  readonly client: OAuthClient
  /** Newest first. Each is tried; refresh tokens go first, because ending one ends what it made. */
  readonly refreshTokens: readonly Secret[]
  readonly accessTokens: readonly Secret[]
  /** True while another connection of the same account at the same client is to live on. */
  readonly accountShared: boolean
  readonly fetch: OutboundFetch
  /** Wall time in milliseconds, for a `Retry-After` that is a date. */
  readonly now: number
}

const DAY_MS = 86_400_000
/** Members of an error answer are short; a page of HTML is not read for one. */
const MAX_ERROR_BYTES = 16 * 1024

/**
 * Asks once for each token. The first answer that wants another try ends the round: the rest is asked again with it. `done` when every token is
 * over; otherwise `impossible` with the reason of the first that can't be.
 * Never throws for what a provider does.
 */
export async function revokeTokens(revoking: Revoking): Promise<RevokeAnswer> {
  const calls = callsFor(revoking)
  if (calls.kind === 'impossible') return calls
  let impossible: RevokeAnswer | undefined
  for (const call of calls.calls) {
    const answer = await ask(revoking, call)
    if (answer.kind === 'retry') return answer
    if (answer.kind === 'impossible') impossible ??= answer
  }
  return impossible ?? { kind: 'done' }
}

interface RevocationCall {
  readonly url: string
  readonly request: Pick<OutboundRequest, 'method' | 'headers' | 'body'>
}

type Calls = { readonly kind: 'calls'; readonly calls: readonly RevocationCall[] } | Extract<RevokeAnswer, { kind: 'impossible' }>

const FORM = 'application/x-www-form-urlencoded;charset=UTF-8'

function callsFor({ way, client, refreshTokens, accessTokens, accountShared }: Revoking): Calls {
  if (way.kind === 'none') return { kind: 'impossible', reason: 'no_way' }
  if (way.kind === 'client_delete') {
    const { clientId, clientSecret } = client
    if (clientSecret === null) return { kind: 'impossible', reason: 'no_way' }
    const url = (accountShared ? way.token : way.grant).replace('{client_id}', encodeURIComponent(clientId))
    const calls = accessTokens.map((token) => clientDelete(url, clientId, clientSecret, token))
    return calls.length > 0 ? { kind: 'calls', calls } : { kind: 'impossible', reason: 'no_way' }
  }
  if (way.kind === 'own_token') {
    const calls = accessTokens.map((token) => ownCall(way.endpoint, token))
    return calls.length > 0 ? { kind: 'calls', calls } : { kind: 'impossible', reason: 'no_way' }
  }
  if (way.reach === 'account' && accountShared) return { kind: 'impossible', reason: 'shared_account' }
  const hinted = (hint: string) => (token: Secret) => standardCall(way, client, token, hint)
  const refresh = way.takes === 'access' ? [] : refreshTokens.map(hinted('refresh_token'))
  const access = way.takes === 'refresh' ? [] : accessTokens.map(hinted('access_token'))
  // Tokens of the kind that is not taken there live on: silence about them would look like success.
  if (way.takes !== undefined && refresh.length + access.length === 0) return { kind: 'impossible', reason: 'no_way' }
  return { kind: 'calls', calls: [...refresh, ...access] }
}

/** RFC 7009 section 2.1. */
function standardCall(way: Extract<RevocationWay, { kind: 'rfc7009' }>, client: OAuthClient, token: Secret, hint: string): RevocationCall {
  const form = new URLSearchParams({ token: token.reveal(), token_type_hint: hint })
  const headers: Record<string, string> = { ...way.headers, accept: 'application/json', 'content-type': FORM }
  const { clientId, clientSecret } = client
  // A public client names itself, and proves nothing (RFC 7009 section 2.1).
  if (clientSecret === null || way.clientAuth === 'client_secret_post') form.set('client_id', clientId)
  if (clientSecret !== null && way.clientAuth === 'client_secret_post') form.set('client_secret', clientSecret.reveal())
  if (clientSecret !== null && way.clientAuth === 'client_secret_basic') headers['authorization'] = basicOf(clientId, clientSecret)
  return { url: way.endpoint, request: { method: 'POST', headers, body: form.toString() } }
}

function ownCall(url: string, token: Secret): RevocationCall {
  return { url, request: { method: 'POST', headers: { accept: 'application/json', authorization: `Bearer ${token.reveal()}` } } }
}

function clientDelete(url: string, clientId: string, clientSecret: Secret, token: Secret): RevocationCall {
  const credentials = Buffer.from(`${clientId}:${clientSecret.reveal()}`, 'utf8').toString('base64')
  const headers = {
    accept: 'application/json',
    'content-type': 'application/json',
    'user-agent': 'sallyport',
    authorization: `Basic ${credentials}`,
  }
  return { url, request: { method: 'DELETE', headers, body: JSON.stringify({ access_token: token.reveal() }) } }
}

async function ask({ way, fetch, now }: Revoking, { url, request }: RevocationCall): Promise<RevokeAnswer> {
  try {
    const response = await fetch(url, { ...request, ...OUTBOUND_LIMITS })
    return judged(way.kind, response.status, await errorOf(response), retryAfterMs(response.headers, now, DAY_MS) ?? null)
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error
    if (error.code === 'egress_refused') return { kind: 'impossible', reason: 'destination_refused' }
    const unreadable = error.code === 'upstream_invalid' || error.code === 'upstream_too_large'
    return { kind: 'retry', reason: unreadable ? 'unreadable' : 'unreachable', afterMs: null }
  }
}

/** Errors that say the token is no token any more: that is what was wanted. Google answers so instead of with RFC 7009's 200. */
const OVER: ReadonlySet<string> = new Set(['invalid_token', 'token_expired', 'token_revoked', 'invalid_grant'])
const UNSUPPORTED: ReadonlySet<string> = new Set(['unsupported_token_type'])
const CLIENT: ReadonlySet<string> = new Set(['invalid_client', 'unauthorized_client'])

function judged(kind: RevocationWay['kind'], status: number, error: string, afterMs: number | null): RevokeAnswer {
  if (status >= 200 && status < 300) return error === '' || OVER.has(error) ? { kind: 'done' } : refusal(error)
  if (status === 429) return { kind: 'retry', reason: 'rate_limited', afterMs }
  if (status >= 500 && status !== 501) return { kind: 'retry', reason: 'provider_down', afterMs }
  // The token no longer opens anything, not even its own end. Whether its refresh token lives is not known.
  if (status === 401 && kind === 'own_token') return { kind: 'impossible', reason: 'refused' }
  if (status === 401) return { kind: 'retry', reason: 'client_rejected', afterMs }
  // A deletion of what is not there has nothing left to do.
  if (kind === 'client_delete' && status === 404) return { kind: 'done' }
  if (status === 404 || status === 405 || status === 410 || status === 501) return { kind: 'impossible', reason: 'unsupported' }
  return refusal(error)
}

function refusal(error: string): RevokeAnswer {
  if (OVER.has(error)) return { kind: 'done' }
  if (UNSUPPORTED.has(error)) return { kind: 'impossible', reason: 'unsupported' }
  if (CLIENT.has(error)) return { kind: 'retry', reason: 'client_rejected', afterMs: null }
  return { kind: 'impossible', reason: 'refused' }
}

/** The `error` member (RFC 6749 section 5.2), or nothing. Compared with known words only, and never passed on. */
async function errorOf(response: Response): Promise<string> {
  const text = await response.text()
  if (text === '' || text.length > MAX_ERROR_BYTES) return ''
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body !== 'object' || body === null || !('error' in body)) return ''
    return typeof body.error === 'string' ? body.error : ''
  } catch {
    // What is no JSON names no error: its status speaks.
    return ''
  }
}
