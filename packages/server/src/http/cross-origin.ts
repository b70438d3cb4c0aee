/**
 * Owns what web pages of other origins may do (Fetch standard, section 3.3 "CORS protocol"): call with a key of a project that lists their exact
 * origin, and nothing else. Refuses cookies of ours to any of them, `*`, `null`, and every origin that no project lists.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { OrgId, ProjectId } from '@sallyport/core'
import { rawValues } from './client-address.ts'
import { EDGE_HEADERS } from './edge-headers.ts'

export interface CrossOriginOptions {
  /** Whether any project lists the origin: a browser asks before it sends a key, so that nobody knows which project it is about. */
  readonly isKnown: (origin: string, address: string) => Promise<boolean>
  /** Of the client, as far as trusted proxies vouch for it. */
  readonly addressOf: (request: IncomingMessage) => string
  /** The origins that a project lists. */
  readonly originsOf: (org: OrgId, project: ProjectId) => Promise<readonly string[]>
  /** Of every answer that is given here. */
  readonly headers: Readonly<Record<string, string>>
}

export interface CrossOrigin {
  /** Answers a browser's question before its request; false for anything else, which is left untouched. */
  preflight(request: IncomingMessage, response: ServerResponse): boolean
  /**
   * What the answer to a key's request says to the page behind it. Undefined at once for requests that no page of another origin made. Never rejects:
   * what can't be asked is not allowed.
   */
  answerFor(
    rawHeaders: readonly string[],
    key: { readonly org: OrgId; readonly project: ProjectId },
  ): Promise<Readonly<Record<string, string>>> | undefined
}

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE'
const PATHS = ['/proxy/', '/llm/', '/v1/', '/api/v1/']
/** How long a browser may go by an answer: as late as a change of the list is seen there. */
const MAX_AGE_S = 60
/** Names of headers as RFC 9110 section 5.6.2 spells them. Which of them go on is the data plane's to say. */
const HEADER_NAMES = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?: *, *[!#$%&'*+.^_`|~0-9A-Za-z-]+)*$/u
const LONGEST_NAMES = 2_048
const VARY = 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'
const EXPOSED = [
  'Sallyport-Request-Id',
  'Sallyport-Error-Source',
  'Sallyport-Error-Code',
  'Sallyport-Warning',
  'Sallyport-Served-By',
  'Sallyport-Attempts',
  'Retry-After',
  'RateLimit',
  'RateLimit-Policy',
  'X-RateLimit-Limit',
  'X-RateLimit-Remaining',
  'X-RateLimit-Reset',
  'ETag',
  'Link',
  'Age',
  'Cache-Status',
].join(', ')

export function createCrossOrigin({ isKnown, addressOf, originsOf, headers }: CrossOriginOptions): CrossOrigin {
  return {
    preflight(request, response) {
      if (request.method !== 'OPTIONS' || !PATHS.some((path) => request.url!.startsWith(path))) return false
      const origin = soleOrigin(request.rawHeaders)
      const [method] = rawValues(request.rawHeaders, 'access-control-request-method')
      if (origin === undefined || method === undefined || rawValues(request.rawHeaders, 'authorization').length > 0) return false
      const allowed = isKnown(origin, addressOf(request)).catch(() => false)
      void allowed.then((known) => answerPreflight(response, { ...headers, ...(known ? grant(origin, request.rawHeaders) : {}) }))
      return true
    },
    answerFor(rawHeaders, { org, project }) {
      const origin = soleOrigin(rawHeaders)
      if (origin === undefined) return undefined
      return originsOf(org, project).then(
        (origins) => (origins.includes(origin) ? { 'access-control-allow-origin': origin, 'access-control-expose-headers': EXPOSED } : {}),
        () => ({}),
      )
    },
  }
}

/** Undefined for a request that no page made, and for one that claims several. */
function soleOrigin(rawHeaders: readonly string[]): string | undefined {
  let found: string | undefined
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]!.length !== 6 || rawHeaders[at]!.toLowerCase() !== 'origin') continue
    if (found !== undefined) return undefined
    found = rawHeaders[at + 1]!
  }
  return found === 'null' ? undefined : found
}

function grant(origin: string, rawHeaders: readonly string[]): Record<string, string> {
  const wanted = rawValues(rawHeaders, 'access-control-request-headers').join(', ')
  const names = wanted.length <= LONGEST_NAMES && HEADER_NAMES.test(wanted) ? { 'access-control-allow-headers': wanted } : {}
  return {
    'access-control-allow-origin': origin,
    'access-control-allow-methods': METHODS,
    'access-control-max-age': String(MAX_AGE_S),
    ...names,
  }
}

function answerPreflight(response: ServerResponse, headers: Readonly<Record<string, string>>): void {
  if (response.destroyed) return
  response.writeHead(204, { ...EDGE_HEADERS, vary: VARY, 'cache-control': 'no-store', ...headers })
  response.end()
}
