/**
 * Owns reading a request of the model plane: whose key, which provider, with whose provider key, what path. Refuses everything that could be read in two ways:
 * a second credential, a repeated header, a key anywhere but in its header.
 */
import { credentialFault, judgePath, overridesMethod, Secret, settingFaults, settingsWithin } from '@sallyport/core'
import type { JudgedPath, ModelProvider } from '@sallyport/core'
import { FOREIGN_KEY_HEADERS, holdsGatewayKey, percentDecoded, refuseMisplacedKeys } from '../http/index.ts'
import { DEFAULT_KEY_NAME } from '../models/index.ts'
import { CallError, contentLength, CREDENTIAL, pick, refuseKeyInUrl, single } from '../proxy/index.ts'
import type { Picked, PresentedKey } from '../proxy/index.ts'
import type { OwnKey } from './model-call.ts'

/** Where clients of model providers carry a key; `proxy-authorization` is none of them. */
const KEY_HEADERS: ReadonlySet<string> = new Set(['authorization', ...FOREIGN_KEY_HEADERS.filter((name) => name !== 'proxy-authorization')])
/** Credentials beyond one, however many. */
const AMBIGUOUS = 2
const OWN_KEY = ['sallyport-provider-key', 'x-provider-key'] as const
const OWN_SETTINGS = 'sallyport-provider-settings'
const KEY_NAME = 'sallyport-provider-key-name'
const END_USER = 'sallyport-user'
const KEEPALIVE = 'sallyport-keepalive'

const READ: ReadonlySet<string> = new Set([...OWN_KEY, OWN_SETTINGS, KEY_NAME, END_USER, KEEPALIVE, 'content-length', 'transfer-encoding'])

const MAX_KEY_NAME = 120
const MAX_END_USER = 255
const MAX_KEEPALIVE_S = 300

/** What every request of the model plane may say beside its path and body. */
export interface ModelHeaders {
  readonly endUser: string | null
  readonly keyName: string
  /** The caller's own credential, as it came; judged by `ownKeyFor`. */
  readonly own: { readonly secret: Secret; readonly settings: string | undefined } | undefined
  /** Milliseconds of silence after which an event stream gets a comment; undefined where none was asked for. */
  readonly keepaliveMs: number | undefined
  /** Declared length of the body, undefined when it is chunked; 0 when there is none. */
  readonly contentLength: number | undefined
}

/**
 * The gateway key's text as presented, in the header in which the vendor's client carries its own; never stored, never logged.
 * @throws CallError `unauthenticated`, `ambiguous_credentials`
 */
export function presentedModelKey(rawHeaders: readonly string[]): PresentedKey {
  let [name, value] = ['', '']
  let sent = 0
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const one = rawHeaders[i]!.toLowerCase()
    if (KEY_HEADERS.has(one)) {
      ;[name, value] = [one, rawHeaders[i + 1]!]
      sent += 1
    } else if (one === 'proxy-authorization' && holdsGatewayKey(rawHeaders[i + 1]!)) sent = AMBIGUOUS
  }
  if (sent > 1) {
    throw new CallError('ambiguous_credentials', 'two credentials', {
      publicDetail:
        'Send one gateway key, once, in one of Authorization, x-api-key, x-goog-api-key and api-key. A key of the provider goes into Sallyport-Provider-Key.',
    })
  }
  if (sent === 0) throw noKey()
  if (name !== 'authorization') return { text: value, asBound: false }
  const { scheme, key } = CREDENTIAL.exec(value)?.groups ?? {}
  if (scheme === undefined || key === undefined) throw noKey()
  return { text: key, asBound: scheme.toLowerCase() === 'dpop' }
}

function noKey(): CallError {
  return new CallError('unauthenticated', 'no key', {
    publicDetail: 'Send a Sallyport key where the client puts its own: Authorization: Bearer sp_..., x-api-key, x-goog-api-key or api-key.',
  })
}

/** @throws CallError `bad_request`; ProblemError `bad_request` for a gateway key in the wrong place */
export function readModelHeaders(rawHeaders: readonly string[], url: string): ModelHeaders {
  refuseMisplacedKeys(rawHeaders, url)
  refuseKeyInUrl(url)
  const headers = pick(rawHeaders, READ)
  return {
    endUser: bounded(headers, END_USER, MAX_END_USER) ?? null,
    keyName: bounded(headers, KEY_NAME, MAX_KEY_NAME) ?? DEFAULT_KEY_NAME,
    own: own(headers),
    keepaliveMs: keepaliveMs(headers),
    contentLength: contentLength(headers),
  }
}

function own(headers: Picked): ModelHeaders['own'] {
  const [first, second] = OWN_KEY.map((name) => single(headers, name)).filter((text) => text !== undefined)
  if (second !== undefined)
    throw malformed('Send your own key of the provider in Sallyport-Provider-Key or in X-Provider-Key, not in both.')
  const settings = single(headers, OWN_SETTINGS)
  if (first !== undefined) return { secret: new Secret(first), settings }
  if (settings !== undefined) throw malformed('Sallyport-Provider-Settings goes with Sallyport-Provider-Key alone.')
  return undefined
}

function bounded(headers: Picked, name: string, most: number): string | undefined {
  const text = single(headers, name)
  if (text !== undefined && (text === '' || text.length > most)) throw malformed(`${name} must have 1 to ${most} characters.`)
  return text
}

function keepaliveMs(headers: Picked): number | undefined {
  const text = single(headers, KEEPALIVE)
  if (text === undefined) return undefined
  const seconds = /^\d{1,3}$/u.test(text) ? Number(text) : 0
  if (seconds < 1 || seconds > MAX_KEEPALIVE_S)
    throw malformed(`${KEEPALIVE} must be a whole number of seconds from 1 to ${MAX_KEEPALIVE_S}.`)
  return seconds * 1_000
}

/**
 * The caller's own credential, held against what its provider takes. Nothing of it is repeated in a refusal.
 * @throws CallError `bad_request`
 */
export function ownKeyFor(provider: ModelProvider, sent: ModelHeaders['own']): OwnKey | undefined {
  if (sent === undefined) return undefined
  const { secret } = sent
  const fault = credentialFault(provider.credential, secret)
  if (fault !== undefined) throw malformed(`Sallyport-Provider-Key is no credential of ${provider.name}: it ${fault}.`)
  const settings = settingsOf(sent.settings)
  const [wrong] = settingFaults(provider, settings)
  if (wrong !== undefined) throw malformed(`Sallyport-Provider-Settings: ${wrong.name.slice(0, 40)} ${wrong.reason}.`)
  return { secret, settings: { ...settingsWithin(provider, secret), ...settings } }
}

/** `region=eu-central-1, other=value`. */
function settingsOf(text: string | undefined): Record<string, string> {
  const pairs = (text ?? '')
    .split(',')
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '')
    .map((pair) => /^(?<name>[a-z][a-z0-9_]{0,30})=(?<value>[!-+\--~]{1,63})$/u.exec(pair)?.groups)
  if (pairs.some((pair) => pair === undefined)) throw malformed('Sallyport-Provider-Settings must be name=value, separated by commas.')
  return Object.fromEntries(pairs.map((pair) => [pair!['name']!, pair!['value']!]))
}

const PREFIX = '/llm/'
const PROVIDER = /^[a-z][a-z0-9-]{0,30}$/u
/** Where Google's APIs take credentials in a query (AIP-4110 and its system parameters); what stands there would go on beside ours. */
const QUERY_CREDENTIAL = /[?&]\$?\.?(?:key|api[_-]?key|access_token|oauth_token)(?:=|&|$)/iu

export const isNativeUrl = (url: string): boolean => url.startsWith(PREFIX)

/** What stands after `/llm/`: a provider's id, if it could be one, and where it ends. */
export function providerIn(url: string): { readonly id: string | undefined; readonly end: number } {
  const found = url.slice(PREFIX.length).search(/[/?]/u)
  const end = found < 0 ? url.length : PREFIX.length + found
  const id = url.slice(PREFIX.length, end)
  return { id: PROVIDER.test(id) ? id : undefined, end }
}

/** The path below the provider's base. @throws EgressError `path_refused`; CallError `bad_request` for a credential in the query, or what stands there for another request */
export function nativePath(url: string, { end }: { readonly end: number }): JudgedPath {
  const query = percentDecoded(url)
  if (overridesMethod(url)) throw malformed('A query has no place for the method and the headers of a request.')
  if (QUERY_CREDENTIAL.test(query)) {
    throw malformed(
      'A key has no place in the query: send the gateway key in x-goog-api-key, and your own key of the provider in Sallyport-Provider-Key.',
    )
  }
  return judgePath(end === url.length ? '/' : url[end] === '?' ? `/${url.slice(end)}` : url.slice(end))
}

/** The same for a provider that nobody knows, whatever it is called. */
export function unknownProvider(): CallError {
  return new CallError('not_found', 'no such provider of models', {
    publicDetail: 'No provider of models of that name; GET /api/v1/model-providers lists them.',
  })
}

function malformed(publicDetail: string): CallError {
  return new CallError('bad_request', 'a header of a model call', { publicDetail })
}
