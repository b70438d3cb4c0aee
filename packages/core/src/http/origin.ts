/**
 * Owns which origins may be named as a destination, judged as text before anything is resolved. Refuses every spelling of a URL
 * but the one a parser would print, so that what was reviewed is what is connected to.
 */
import { isIP } from 'node:net'
import { EgressError } from './egress-error.ts'
import { judgePath } from './path.ts'

/** The part of the policy that concerns names. */
export interface OriginPolicy {
  /** Exact origins (`http://127.0.0.1:7256`, no trailing slash) reachable though internal or without TLS. Development only. */
  readonly insecureAllowOrigins: readonly string[]
  /** Ports that https origins may use. */
  readonly allowedPorts: readonly number[]
}

/** Where an integration's API lives. Made by parseApiBase alone. */
export interface ApiBase {
  /** `https://api.example.com`, with the port when it isn't the scheme's own; never a trailing slash. */
  readonly origin: string
  /** Empty, or `/v3`: a leading slash and no trailing one. */
  readonly basePath: string
}

const MAX_LENGTH = 2048
const SHAPE = /^(https?):\/\/([^/?#\\@\s]+)(\/[^?#\\\s]*)?$/

/**
 * Parses an API's base URL when it is saved. https, a public-looking name in its canonical spelling (lower case, no trailing dot,
 * no IP literal in any notation), an allowed port, no user, query or fragment; or an exact insecure origin. The name is resolved
 * and its addresses judged later, when it is dialled.
 * @throws EgressError `egress_refused`; `path_refused` for its path.
 */
export function parseApiBase(url: string, policy: OriginPolicy): ApiBase {
  const { origin, path } = judgeUrl(url, policy)
  const basePath = path.replace(/\/$/, '')
  if (basePath !== '') judgePath(basePath)
  return { origin, basePath }
}

/**
 * Judges a URL's form and origin; `path` is its text from the first slash on (may be empty). No query.
 * @throws EgressError `egress_refused`
 */
export function judgeUrl(url: string, policy: OriginPolicy): { readonly origin: string; readonly path: string } {
  if (url.length > MAX_LENGTH) throw refused('length')
  const [, scheme, authority, path = ''] = SHAPE.exec(url) ?? []
  if (scheme === undefined || authority === undefined) throw refused('form')
  const origin = `${scheme}://${authority}`
  const parsed = URL.parse(origin)
  if (parsed === null || !isCanonical(parsed, authority)) throw refused('spelling')
  if (!policy.insecureAllowOrigins.includes(parsed.origin)) judgePublic(parsed, policy)
  return { origin: parsed.origin, path }
}

/** True when the authority is written as the parser prints it; a redundant `:443` is let pass, octal or full-width hosts aren't. */
function isCanonical(parsed: URL, authority: string): boolean {
  return authority === parsed.host || (parsed.protocol === 'https:' && authority === `${parsed.host}:443`)
}

function judgePublic(parsed: URL, policy: OriginPolicy): void {
  if (parsed.protocol !== 'https:') throw refused('scheme')
  if (!policy.allowedPorts.includes(parsed.port === '' ? 443 : Number(parsed.port))) throw refused('port')
  if (isAddressLiteral(parsed.hostname)) throw refused('address literal')
  // A single label is a name of this network (localhost, a container, a search-list hit), never of the Internet's.
  if (!parsed.hostname.includes('.') || parsed.hostname.endsWith('.')) throw refused('name')
}

/** True for `192.0.2.1` and `[2001:db8::1]` as a URL parser prints them. */
export function isAddressLiteral(hostname: string): boolean {
  return hostname.startsWith('[') || isIP(hostname) !== 0
}

function refused(reason: string): EgressError {
  return new EgressError('egress_refused', reason)
}
