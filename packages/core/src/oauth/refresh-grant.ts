/**
 * Owns the use of a refresh token (RFC 6749 section 6): one POST, never repeated here, and an answer from a closed list that says whether
 * the token may have been spent. Refuses to throw: whatever happens is one of the kinds. Refuses to be strict about the form of a success,
 * because under rotation a success that is thrown away ends the grant.
 */
import { refreshTokenGrantRequest } from 'oauth4webapi'
import { EgressError } from '../http/index.ts'
import { Secret } from '../kernel/index.ts'
import type { TokenSet } from '../tokens/index.ts'
import { clientAuth } from './client-auth.ts'
import { provingFetch } from './dpop.ts'
import type { DpopSender } from './dpop.ts'
import { readRefreshAnswer } from './refresh-answer.ts'
import type { RefreshAnswer } from './refresh-answer.ts'
import { OUTBOUND_LIMITS } from './server.ts'
import type { OAuthClient, OutboundFetch, TokenServer } from './server.ts'
import { tokenCall } from './token-call.ts'

/** A refresh token that is about to be shown (RFC 6749 section 6), with the bounds of the call. */
export interface RefreshGrant {
  readonly server: TokenServer
  readonly client: OAuthClient
  /** The version whose refresh token is shown; what the answer leaves out is taken from it. */
  readonly parent: TokenSet
  /** How long the parent's access token lived: taken where the answer names no lifetime that can be meant. Null for unknown. */
  readonly lifetimeMs: number | null
  readonly fetch: OutboundFetch
  /** From start to the last byte of the answer. */
  readonly timeoutMs: number
  /** The first byte leaves within this, or never: then the answer is `unsent`. Absent: within `timeoutMs`. */
  readonly beginWithinMs?: number
  /** Milliseconds since the epoch by the store's clock, at the call's start or before: an expiry errs on the early side. */
  readonly now: number
  /** Of the sign-in, for a server that wants it named again. */
  readonly redirectUri?: string
  /** Proves the parent's key where its tokens are bound to one (RFC 9449 section 5). A refusal for want of a nonce is answered once. */
  readonly dpop?: Omit<DpopSender, 'key'>
}

/** Shows the refresh token once. Never rejects; resolves within `timeoutMs`. Nothing of the token or of a body is in any error. */
export async function refreshTokens(grant: RefreshGrant): Promise<RefreshAnswer> {
  const { server, client, parent, redirectUri } = grant
  const { refreshToken } = parent
  if (refreshToken === null) return { kind: 'misconfigured', providerError: undefined }
  const named: Record<string, string> =
    server.refreshNamesRedirect === true && redirectUri !== undefined ? { redirect_uri: redirectUri } : {}
  return await askTokenEndpoint(grant, (metadata, identity, call) =>
    refreshTokenGrantRequest(metadata, identity, clientAuth(server, client), refreshToken.reveal(), {
      ...call,
      additionalParameters: named,
    }),
  )
}

type Asking = (
  metadata: { readonly issuer: string; readonly token_endpoint: string },
  identity: { readonly client_id: string },
  call: ReturnType<typeof tokenCall>,
) => Promise<Response>

/** One request for tokens in place of `parent`'s, by `ask`. Never rejects. */
export async function askTokenEndpoint(grant: RefreshGrant, ask: Asking): Promise<RefreshAnswer> {
  const { server, client, beginWithinMs } = grant
  const since = performance.now()
  let called = false
  const fetch = proving(grant, (url, request) => {
    called = true
    // Counted from here on, not from the door: a process may be stopped on the way to it, too.
    const begin = beginWithinMs === undefined ? {} : { beginWithinMs: beginWithinMs - (performance.now() - since) }
    return grant.fetch(url, { ...request, ...begin })
  })
  if (fetch === undefined) return { kind: 'misconfigured', providerError: undefined }
  try {
    const metadata = { issuer: server.issuer, token_endpoint: server.tokenEndpoint }
    const limits = { ...OUTBOUND_LIMITS, totalTimeoutMs: grant.timeoutMs }
    const response = await ask(metadata, { client_id: client.clientId }, tokenCall(server, fetch, limits))
    const { status, headers } = response
    return readRefreshAnswer({ status, headers, text: new Secret(await response.text()) }, grant)
  } catch (error) {
    return failedCall(error, called)
  }
}

function proving({ parent, dpop }: RefreshGrant, fetch: OutboundFetch): OutboundFetch | undefined {
  if (parent.tokenType !== 'dpop') return fetch
  return dpop === undefined ? undefined : provingFetch(fetch, { ...dpop, key: parent.dpopKey })
}

/** A failure of the way there or back. The library throws before it calls when the client's id or the endpoint is no such thing. */
function failedCall(error: unknown, called: boolean): RefreshAnswer {
  if (!called) return { kind: 'misconfigured', providerError: undefined }
  if (!(error instanceof EgressError)) return { kind: 'unknown', why: 'reset' }
  if (error.code === 'egress_refused' || error.code === 'header_refused') return { kind: 'misconfigured', providerError: undefined }
  if (!error.sent) return { kind: 'unsent' }
  if (error.code === 'upstream_timeout') return { kind: 'unknown', why: 'timeout' }
  return { kind: 'unknown', why: error.code === 'upstream_invalid' || error.code === 'upstream_too_large' ? 'malformed' : 'reset' }
}
