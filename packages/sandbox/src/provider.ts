/**
 * What differs between the sandbox providers, as data and small pure functions: paths, the seeded client and users, the shape of an error,
 * the shape of a token answer. It owns no state and sends nothing; `front.ts` applies it.
 */
import type { IncomingMessage } from 'node:http'

/** A complete answer that the front gives in the provider's stead. */
export interface Answer {
  status: number
  headers: Record<string, string>
  body: string
}

/** Why a token request was refused, before each provider puts it in its own words. */
export type TokenFault =
  | 'bad_client'
  | 'bad_code'
  | 'bad_refresh_token'
  | 'bad_verifier'
  | 'bad_redirect'
  | 'bad_request'
  | 'bad_grant_type'

/** What the emulator's token endpoint answers on success; fields it does not give are absent. */
export interface TokenAnswer {
  access_token: string
  token_type: string
  scope?: string
  /** Seconds from now; absent for a token that does not expire. */
  expires_in?: number
  refresh_token?: string
  id_token?: string
}

/** The part of an authorization request that shapes its token answer. */
export interface Consent {
  user: string
  scope: string
  clientId: string
  /** `access_type=offline` was asked for (Google gives a refresh token only then). */
  offline: boolean
}

/** A request to take tokens back. `whole` revokes the user's entire grant to the client, not the one token. */
export interface Revocation {
  token: string
  whole: boolean
  /** The client credentials presented, where the provider asks for them. */
  client?: { id: string; secret: string } | undefined
}

export interface Provider {
  name: 'github' | 'google'
  client: { id: string; secret: string }
  /** The people who can sign in, by the value the sign-in form submits in `userField`. */
  users: readonly string[]
  userField: 'login' | 'email'
  paths: { authorize: string; approve: string; token: string; userinfo: string; revoke?: string }
  /** The provider refuses an authorization request without `response_type=code`, or without `redirect_uri` at the token endpoint. */
  strictParameters: boolean
  refreshes: boolean
  /** Answer to an API call with a token this sandbox did not issue. */
  unauthorized: Answer
  refuse(fault: TokenFault): Answer
  /** Gives the token answer as the provider itself would send it. */
  tokenAnswer(answer: TokenAnswer, consent: Consent, accept: string): Answer
  /** Where tokens are taken back. */
  revocationAt: { method: string; path: RegExp }
  readRevocation(request: IncomingMessage, path: string, body: string): Revocation
  revoked: Answer
  unknownRevocation: Answer
  /** Paths of the emulator that would get round the front; answered 404. */
  closed(method: string, path: string): boolean
  /** Corrections to JSON answers, by path. */
  corrections: Record<string, (body: Record<string, unknown>) => Record<string, unknown>>
}

/** A JSON answer, never cached (RFC 6749 section 5.1). */
export function json(status: number, body: unknown): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' },
    body: JSON.stringify(body),
  }
}

/** Client credentials of an `Authorization: Basic` header (RFC 6749 section 2.3.1: each half form-encoded), or undefined. */
export function basicClient(header: string | undefined): { id: string; secret: string } | undefined {
  const encoded = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(header ?? '')?.[1]
  if (encoded === undefined) return undefined
  const pair = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  if (colon < 0) return undefined
  try {
    return { id: formDecode(pair.slice(0, colon)), secret: formDecode(pair.slice(colon + 1)) }
  } catch {
    // Percent signs that encode nothing: no client was named.
    return undefined
  }
}

function formDecode(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '))
}
