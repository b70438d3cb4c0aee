/**
 * Owns the device authorization grant (RFC 8628): a code that the person types in elsewhere, and one question after its outcome at a time.
 * Refuses to wait by itself: when to ask again is for whoever waits to keep to.
 */
import { isIP } from 'node:net'
import {
  deviceAuthorizationRequest,
  deviceCodeGrantRequest,
  processDeviceAuthorizationResponse,
  processDeviceCodeResponse,
  ResponseBodyError,
} from 'oauth4webapi'
import { hasCode, SallyportError, Secret } from '../kernel/index.ts'
import type { TokenSet } from '../tokens/index.ts'
import { clientAuth } from './client-auth.ts'
import { provingFetch } from './dpop.ts'
import type { DpopSender } from './dpop.ts'
import { oauthFailure } from './errors.ts'
import { exchangeFailure, tokenSet } from './exchange.ts'
import { OUTBOUND_LIMITS } from './server.ts'
import type { OAuthClient, OutboundFetch, TokenServer } from './server.ts'
import { standardAnswer } from './token-answer.ts'
import { tokenCall } from './token-call.ts'

/** A server with an endpoint for devices (RFC 8628 section 3.1). */
export interface DeviceServer extends TokenServer {
  readonly deviceAuthorizationEndpoint: string
}

/** A client that asks for a code, or for what became of one. */
export interface DeviceGrant {
  readonly server: DeviceServer
  readonly client: OAuthClient
  readonly requestedScopes: readonly string[]
  readonly fetch: OutboundFetch
  /** Wall time in milliseconds, taken before the call. */
  readonly now: number
  /** Present: the tokens are to be bound to this key. */
  readonly dpop?: DpopSender
}

/** Section 3.2. */
export interface DeviceAuthorization {
  readonly deviceCode: Secret
  /** To be shown to the person. */
  readonly userCode: string
  /** Where the person types it in. https, or http on this machine. */
  readonly verificationUri: string
  /** The same with the code in it, for a link or a QR code; null where the server gives none. */
  readonly verificationUriComplete: string | null
  /** Milliseconds. */
  readonly lifeMs: number
  /** Between two questions, at least. Milliseconds. */
  readonly intervalMs: number
}

/** What became of the code (section 3.5). `unreached`: nobody answered; to be asked again, later each time. */
export type DeviceOutcome =
  | { readonly kind: 'tokens'; readonly tokens: TokenSet }
  | { readonly kind: 'pending' | 'slow_down' | 'expired' | 'denied' | 'unreached' }

const DEFAULT_INTERVAL_S = 5
const MAX_INTERVAL_S = 300
const MAX_LIFE_S = 3600
/** A code that a person can type, and that can stand in a page or a terminal as it is. */
const USER_CODE = /^[!-~](?:[ -~]{0,62}[!-~])?$/u

/** Asks for a code. @throws OAuthError `provider_misconfigured` or `connect_exchange_failed` */
export async function deviceAuthorization(grant: DeviceGrant): Promise<DeviceAuthorization> {
  const { server, client, requestedScopes: scopes, fetch } = grant
  const metadata = { issuer: server.issuer, device_authorization_endpoint: server.deviceAuthorizationEndpoint }
  const identity = { client_id: client.clientId }
  const parameters: Record<string, string> = scopes.length === 0 ? {} : { scope: scopes.join(server.scopeSeparator) }
  const call = tokenCall(server, fetch, OUTBOUND_LIMITS, async (response) =>
    withVerificationUri(await standardAnswer(response, server.tokenQuirks)),
  )
  try {
    const response = await deviceAuthorizationRequest(metadata, identity, clientAuth(server, client), parameters, call)
    return judged(await processDeviceAuthorizationResponse(metadata, identity, response))
  } catch (error) {
    throw exchangeFailure(error)
  }
}

/** Asks once after the code's outcome. @throws OAuthError `provider_misconfigured` or `connect_exchange_failed`: the code is worth nothing. */
export async function deviceOutcome(grant: DeviceGrant, deviceCode: Secret): Promise<DeviceOutcome> {
  const { server, client, dpop } = grant
  const metadata = { issuer: server.issuer, token_endpoint: server.tokenEndpoint }
  const identity = { client_id: client.clientId }
  const fetch = dpop === undefined ? grant.fetch : provingFetch(grant.fetch, dpop)
  const call = tokenCall(server, fetch, OUTBOUND_LIMITS, (response) => standardAnswer(response, server.tokenQuirks))
  try {
    const response = await deviceCodeGrantRequest(metadata, identity, clientAuth(server, client), deviceCode.reveal(), call)
    // An outage of the server is none of the code.
    if (response.status >= 500 || response.status === 429) return { kind: 'unreached' }
    return { kind: 'tokens', tokens: tokenSet(await processDeviceCodeResponse(metadata, identity, response), grant) }
  } catch (error) {
    return outcomeOf(error)
  }
}

const OUTCOMES: Readonly<Record<string, Exclude<DeviceOutcome['kind'], 'tokens'>>> = {
  authorization_pending: 'pending',
  slow_down: 'slow_down',
  expired_token: 'expired',
  // GitHub's word for it.
  token_expired: 'expired',
  access_denied: 'denied',
  // Microsoft's word for it.
  authorization_declined: 'denied',
}

function outcomeOf(error: unknown): DeviceOutcome {
  if (error instanceof ResponseBodyError && Object.hasOwn(OUTCOMES, error.error)) return { kind: OUTCOMES[error.error]! }
  const final = ['egress_refused', 'header_refused', 'connect_exchange_failed', 'provider_misconfigured'] as const
  // Section 3.5: a connection that broke is to be tried again. The door's own refusals stay what they are.
  if (error instanceof SallyportError && !final.some((code) => hasCode(error, code))) return { kind: 'unreached' }
  throw exchangeFailure(error)
}

type Answer = Awaited<ReturnType<typeof processDeviceAuthorizationResponse>>

function judged({
  device_code,
  user_code,
  verification_uri,
  verification_uri_complete,
  expires_in,
  interval,
}: Answer): DeviceAuthorization {
  const page = pageOf(verification_uri)
  if (!USER_CODE.test(user_code) || page === null) throw oauthFailure('connect_exchange_failed', 'the device answer is unusable')
  const seconds = Math.min(Math.max(interval ?? DEFAULT_INTERVAL_S, 1), MAX_INTERVAL_S)
  return {
    deviceCode: new Secret(device_code),
    userCode: user_code,
    verificationUri: page,
    verificationUriComplete: verification_uri_complete === undefined ? null : pageOf(verification_uri_complete),
    lifeMs: Math.min(expires_in, MAX_LIFE_S) * 1000,
    intervalMs: seconds * 1000,
  }
}

/** A person is sent there, and types a code in: encrypted, or on this machine. Written anew, so that it can stand in a page or a terminal as it is. */
function pageOf(text: string): string | null {
  const url = URL.parse(text)
  if (url === null || url.username !== '' || url.password !== '') return null
  const local = url.hostname === 'localhost' || url.hostname === '[::1]' || (isIP(url.hostname) === 4 && url.hostname.startsWith('127.'))
  return url.protocol === 'https:' || (url.protocol === 'http:' && local) ? url.href : null
}

/** Google calls the page `verification_url`, as a draft of the standard did. */
async function withVerificationUri(response: Response): Promise<Response> {
  const text = await response.clone().text()
  if (!text.includes('"verification_url"') || text.includes('"verification_uri"')) return response
  const { status, headers } = response
  return new Response(text.replace('"verification_url"', '"verification_uri"'), { status, headers })
}
