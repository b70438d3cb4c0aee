/**
 * Owns reading a data-plane request: whose key, which integration, which connection, which path. Refuses everything that could be
 * read in two ways: a second credential, a repeated selector, a key anywhere but in its header.
 */
import type { ProblemCode } from '@sallyport/contract'
import { judgePath, parseId, SallyportError } from '@sallyport/core'
import type { ConnectionId } from '@sallyport/core'
import { FOREIGN_KEY_HEADERS, holdsGatewayKey, misplaced, percentDecoded, refuseMisplacedKeys } from '../http/index.ts'

/** All of them public, so that none needs a translation. */
export type CallErrorCode = Extract<
  ProblemCode,
  | 'unauthenticated'
  | 'ambiguous_credentials'
  | 'bad_request'
  | 'connection_required'
  | 'not_found'
  | 'connection_ambiguous'
  | 'connection_not_ready'
  | 'environment_mismatch'
  | 'insufficient_scope'
  | 'path_refused'
  | 'integration_not_configured'
  | 'forbidden'
  | 'provider_key_required'
  | 'provider_key_refused'
  | 'overloaded'
  | 'payload_too_large'
>

/** Why a call never left. `publicDetail` says what to do. */
export class CallError extends SallyportError<CallErrorCode> {}

export interface Selector {
  readonly connection: ConnectionId | undefined
  readonly endUser: string | undefined
}

export interface ProxyCall {
  readonly integration: string
  /** Judged path below the integration's API base, query included. */
  readonly path: string
  readonly selector: Selector
  /** The declared length of the body, or undefined when it is chunked; 0 when there is none. */
  readonly contentLength: number | undefined
}

const PREFIX = '/proxy/'
const SLUG = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/u
// `token` is how clients of GitHub's API present a token; both words are matched without regard to case (RFC 9110 section 11.1).
// `DPoP` is how clients present a key that is bound to one of theirs (RFC 9449 section 7.1).
export const CREDENTIAL = /^(?<scheme>bearer|token|dpop) +(?<key>\S+)$/iu
const FOREIGN: ReadonlySet<string> = new Set(FOREIGN_KEY_HEADERS)
/** In a URL the beginning of a key is enough: what was cut off may stand in another log. */
const KEY_IN_URL = /[?&;=/]sp_(?:live|test)_/u

export const isProxyUrl = (url: string): boolean => url.startsWith(PREFIX)

export interface PresentedKey {
  readonly text: string
  /** Sent as `DPoP`. */
  readonly asBound: boolean
}

/** @throws ProblemError `bad_request` for what may have been a key */
export function refuseKeyInUrl(url: string): void {
  if (KEY_IN_URL.test(percentDecoded(url))) throw misplaced()
}

/**
 * The key's text as presented; never stored, never logged. Read before anything else, so that a stranger learns nothing of the rest.
 * @throws CallError `unauthenticated`, `ambiguous_credentials`
 */
export function presentedKey(rawHeaders: readonly string[]): PresentedKey {
  let presented = ''
  let sent = 0
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    const isOurs = name === 'authorization'
    if (isOurs) presented = rawHeaders[i + 1]!
    // Other texts in these are no credentials here: a client may send a placeholder, and none of them goes on.
    if (isOurs || (FOREIGN.has(name) && holdsGatewayKey(rawHeaders[i + 1]!))) sent += 1
  }
  if (sent > 1) {
    throw new CallError('ambiguous_credentials', 'two credentials', {
      publicDetail: 'Send one gateway key, once, in one Authorization header.',
    })
  }
  const { scheme, key } = CREDENTIAL.exec(presented)?.groups ?? {}
  if (scheme === undefined || key === undefined)
    throw new CallError('unauthenticated', 'no bearer key', { publicDetail: 'Send a Sallyport key as Authorization: Bearer sp_...' })
  return { text: key, asBound: scheme.toLowerCase() === 'dpop' }
}

/** Reads the rest of a call off the wire. @throws CallError | ProblemError(bad_request) for a misplaced key | EgressError(path_refused) */
export function readCall(url: string, rawHeaders: readonly string[]): ProxyCall {
  const headers = pick(rawHeaders)
  refuseMisplacedKeys(rawHeaders, url)
  refuseKeyInUrl(url)
  const slash = url.indexOf('/', PREFIX.length)
  const integration = slash < 0 ? url.slice(PREFIX.length) : url.slice(PREFIX.length, slash)
  if (!SLUG.test(integration)) throw absent()
  const named = single(headers, 'provider-config-key')
  if (named !== undefined && named !== integration) {
    throw new CallError('bad_request', 'two integrations named', {
      publicDetail: 'Provider-Config-Key names another integration than the path does.',
    })
  }
  return {
    integration,
    path: judgePath(slash < 0 ? '/' : url.slice(slash)),
    selector: selector(headers),
    contentLength: contentLength(headers),
  }
}

/** The same for an integration, a connection or a user that is not there and for one that belongs to somebody else. */
export function absent(): CallError {
  return new CallError('not_found', 'no such integration or connection', {
    publicDetail: 'No integration or connection of that name in the environment of this key.',
  })
}

/** Values by lower-case name. */
export type Picked = ReadonlyMap<string, readonly string[]>

const READ: ReadonlySet<string> = new Set([
  'sallyport-connection',
  'connection-id',
  'sallyport-user',
  'provider-config-key',
  'content-length',
  'transfer-encoding',
])

/** Every value of the headers that `names` (lower case) holds, in order. */
export function pick(rawHeaders: readonly string[], names: ReadonlySet<string> = READ): Picked {
  const picked = new Map<string, string[]>()
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    if (!names.has(name)) continue
    const values = picked.get(name)
    if (values === undefined) picked.set(name, [rawHeaders[i + 1]!])
    else values.push(rawHeaders[i + 1]!)
  }
  return picked
}

/** The one value of a header, if it was sent. @throws CallError `bad_request` for a repeated one */
export function single(headers: Picked, name: string): string | undefined {
  const values = headers.get(name)
  if (values === undefined) return undefined
  if (values.length > 1) throw new CallError('bad_request', 'repeated header', { publicDetail: `${name} was sent more than once.` })
  return values[0]
}

function selector(headers: Picked): Selector {
  const own = single(headers, 'sallyport-connection')
  const other = single(headers, 'connection-id')
  if (own !== undefined && other !== undefined && own !== other) {
    throw new CallError('bad_request', 'two connections named', {
      publicDetail: 'Sallyport-Connection and Connection-Id name different connections.',
    })
  }
  const text = own ?? other
  const endUser = single(headers, 'sallyport-user')
  if (text !== undefined && endUser !== undefined) {
    throw new CallError('bad_request', 'two selectors', { publicDetail: 'Send Sallyport-Connection or Sallyport-User, not both.' })
  }
  const connection = text === undefined ? undefined : parseId('conn', text)
  if (text !== undefined && connection === undefined) throw absent()
  return { connection, endUser }
}

/** What a request says of its body: its length, undefined when it is chunked, 0 when there is none. */
export function contentLength(headers: Picked): number | undefined {
  const text = single(headers, 'content-length')
  if (text !== undefined) return Number(text)
  return headers.has('transfer-encoding') ? undefined : 0
}
