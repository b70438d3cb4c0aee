/** Owns what must be known of an authorization server and of our client there. Refuses providers by name: only data crosses here. */
import type { Secret } from '../kernel/index.ts'
import type { TokenQuirk } from './token-answer.ts'

/** As much of an authorization server as calls to its token endpoint need. */
export interface TokenServer {
  /** The issuer identifier (RFC 9207 section 2): compared as text, exactly. */
  readonly issuer: string
  readonly tokenEndpoint: string
  /** How the client proves itself at the token endpoint (RFC 6749 section 2.3.1). */
  readonly tokenAuth: 'client_secret_post' | 'client_secret_basic'
  readonly scopeSeparator: ' ' | ','
  /** Sent with every call to the token endpoint. Lower-case names. */
  readonly tokenHeaders?: Readonly<Record<string, string>> | undefined
  /** How requests to the token endpoint are written. Absent: as a form (RFC 6749 section 4.1.3). */
  readonly tokenBody?: 'json' | undefined
  /** Whether a refresh names the redirect URI of the sign-in, which RFC 6749 section 6 does not ask for. */
  readonly refreshNamesRedirect?: boolean | undefined
  /** Where its token answers leave RFC 6749 section 5.1. */
  readonly tokenQuirks: readonly TokenQuirk[]
  /** `dpop`: tokens are bound to keys (RFC 9449). `offered`: where its metadata says that it does. Absent: bearer tokens. */
  readonly tokenBinding?: 'dpop' | 'offered' | undefined
  /** What it publishes at its issuer is read, and added to what is said here (RFC 8414). Absent: nothing is asked for. */
  readonly discovery?: true | undefined
}

/** A server that people are sent to (RFC 6749 section 3.1). */
export interface AuthorizationServer extends TokenServer {
  /**
   * `required`: the server says it always names itself in its answers, so one without `iss` is refused. `checked`: it may or may not;
   * a wrong one is refused either way.
   */
  readonly responseIssuer: 'required' | 'checked'
  readonly authorizationEndpoint: string
  /** Sent with every authorization request. May not name a parameter of the protocol. */
  readonly authorizationParams: Readonly<Record<string, string>>
  /** The parameter that names what is asked for. Absent: `scope` (RFC 6749 section 3.3). */
  readonly scopeParameter?: 'user_scope' | undefined
  /** Where the client itself hands in its requests (RFC 9126). Absent: they go through the browser. */
  readonly pushedAuthorizationRequestEndpoint?: string | undefined
  /** The server takes requests in no other way (RFC 9126 section 5). */
  readonly requirePushedAuthorizationRequests?: boolean | undefined
}

/** Where an account's identity is read with a fresh token. */
export interface UserinfoEndpoint {
  readonly url: string
  readonly method: 'GET' | 'POST'
  /** Member names from the answer's root to the account's stable id: a text, or an integer. */
  readonly idPath: readonly string[]
  /** The same to a name that a person recognises. */
  readonly labelPath: readonly string[]
  /** Fixed headers the provider insists on, beside the token. Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
}

/** Our client, as it is registered there. */
export interface OAuthClient {
  readonly clientId: string
  /** Null for a public client (RFC 6749 section 2.1). */
  readonly clientSecret: Secret | null
}

/** The request as handed to the one door out. Redirects are never followed. */
export interface OutboundRequest {
  readonly method: string
  readonly headers: Record<string, string>
  readonly body?: string
  readonly redirect: 'manual'
  /** From start to the last byte: a person waits in front of a browser. */
  readonly totalTimeoutMs: number
  readonly maxBytes: number
  /** The first byte leaves within this, or never. */
  readonly beginWithinMs?: number
}

/** For calls that a person waits for. Token and account answers are small; what is not, is not one. */
export const OUTBOUND_LIMITS = { redirect: 'manual', totalTimeoutMs: 20_000, maxBytes: 256 * 1024 } as const

/** The egress's `fetch`: bounded in size and time, judged by address. Rejects with the egress's own errors. */
export type OutboundFetch = (url: string, request: OutboundRequest) => Promise<Response>
