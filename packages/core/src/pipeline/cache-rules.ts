/**
 * Owns what a private cache may keep, and how long it is good for (RFC 9111). Refuses heuristics: without a lifetime of its own an answer is asked
 * about each time. Refuses cookies: an answer that sets one is not kept.
 */
import { httpDate } from '../http/index.ts'
import { cacheControl, secondsOf } from './cache-control.ts'
import type { KeptAnswer } from './cache-record.ts'
import type { Answer, Call } from './call.ts'

const SECOND = 1_000
/** Seconds; RFC 9111 section 1.2.2. */
const OLDEST = 2 ** 31
/** Final answers that stand for themselves. 206 is a part, and 304 is merged. */
const KEEPABLE: ReadonlySet<number> = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501])
const BY_VALIDATOR: ReadonlySet<number> = new Set([200, 203])
/** A caller with its own condition, range or credential speaks to the provider itself. */
const OWN_BUSINESS = [
  'authorization',
  'cookie',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'range',
]
/** RFC 9111 section 3.1; and what another cache on the way said of another call. */
const NOT_KEPT = [
  'cache-status',
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]
/** RFC 9111 section 3.2: they describe the body that was kept, not the 304 without one. */
const OF_THE_BODY = ['content-digest', 'content-encoding', 'content-length', 'content-md5', 'content-range', 'content-type', 'repr-digest']
/** RFC 9110 section 5.1. A header by another name can't be asked for. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/u

/** Whether the cache has a say in this call at all. */
export function isCacheable(call: Call): boolean {
  if (call.method !== 'GET' || call.body !== null || OWN_BUSINESS.some((name) => call.headers.has(name))) return false
  return !cacheControl(call.headers).has('no-store')
}

export function isKeepable({ status, headers }: Answer): boolean {
  const directives = cacheControl(headers)
  if (!KEEPABLE.has(status) || directives.has('no-store') || headers.has('set-cookie') || varyOf(headers) === undefined) return false
  if (BY_VALIDATOR.has(status) && hasValidator(headers)) return true
  return directives.has('max-age') || headers.has('expires')
}

export function hasValidator(headers: Headers): boolean {
  return headers.has('etag') || httpDate(headers.get('last-modified') ?? '') !== undefined
}

/** The names in Vary, in order and once each; undefined for `*`, which no later call matches, and for what can be no header's name. */
export function varyOf(headers: Headers): readonly string[] | undefined {
  const given = (headers.get('vary') ?? '').split(',').map((name) => name.trim().toLowerCase())
  const names = given.filter((name) => name !== '')
  return names.every((name) => name !== '*' && TOKEN.test(name)) ? [...new Set(names)].toSorted() : undefined
}

export function keptHeaders(headers: Headers): readonly (readonly [string, string])[] {
  const named = (headers.get('connection') ?? '').split(',').map((name) => name.trim().toLowerCase())
  return [...headers].filter(([name]) => !NOT_KEPT.includes(name) && !named.includes(name))
}

/** After a 304 (RFC 9111 section 4.3.4): its fields take the place of those kept. */
export function freshened(kept: KeptAnswer, headers: Headers, requestedAt: number, receivedAt: number): KeptAnswer {
  const merged = new Headers(kept.headers.map(([name, value]) => [name, value]))
  // The age that other caches gave belongs to the answer that they gave it to.
  merged.delete('age')
  for (const [name, value] of keptHeaders(headers)) if (!OF_THE_BODY.includes(name)) merged.set(name, value)
  return { ...kept, headers: [...merged], requestedAt, receivedAt }
}

/** False for a 304 about another version than the one that was kept. A weak or absent tag says nothing against it. */
export function confirms(kept: Headers, headers: Headers): boolean {
  const [was, is] = [kept.get('etag'), headers.get('etag')]
  return is === null || was === null || opaque(is) === opaque(was)
}

function opaque(tag: string): string {
  return tag.replace(/^W\//u, '')
}

/** Milliseconds it was good for from its origin on (RFC 9111 section 4.2.1). */
export function lifetimeMs(headers: Headers, receivedAt: number): number {
  const maxAge = secondsOf(cacheControl(headers), 'max-age')
  if (maxAge !== undefined) return maxAge * SECOND
  const expires = headers.get('expires')
  if (expires === null) return 0
  const until = httpDate(expires)
  return until === undefined ? 0 : Math.max(0, until - (httpDate(headers.get('date') ?? '') ?? receivedAt))
}

/** RFC 9111 section 4.2.3. Milliseconds. A wall clock that was put back makes nothing younger than it was when it came. */
export function ageMs(kept: Pick<KeptAnswer, 'requestedAt' | 'receivedAt'>, headers: Headers, now: number): number {
  const { requestedAt, receivedAt } = kept
  const apparent = Math.max(0, receivedAt - (httpDate(headers.get('date') ?? '') ?? receivedAt))
  const corrected = saidAge(headers.get('age')) * SECOND + Math.max(0, receivedAt - requestedAt)
  return Math.max(apparent, corrected) + Math.max(0, now - receivedAt)
}

/**
 * Seconds. What is not one number is as old as can be: RFC 9111 section 5.1 lets it be ignored, but whoever spoke of an age gave a kept answer, and
 * to ask once more is never wrong.
 */
function saidAge(text: string | null): number {
  if (text === null) return 0
  return /^\d+$/u.test(text.trim()) ? Math.min(Number(text), OLDEST) : OLDEST
}

/** Whether it may be given without asking the provider, which the call can forbid (RFC 9111 sections 4.2 and 5.2.1). */
export function isFresh(call: Headers, headers: Headers, age: number, lifetime: number): boolean {
  const [asked, said] = [cacheControl(call), cacheControl(headers)]
  if (said.has('no-cache') || asked.has('no-cache') || (!call.has('cache-control') && /\bno-cache\b/iu.test(call.get('pragma') ?? '')))
    return false
  const most = Math.min(lifetime - (secondsOf(asked, 'min-fresh') ?? 0) * SECOND, (secondsOf(asked, 'max-age') ?? Infinity) * SECOND + 1)
  return age < most
}

/** Whether it may stand in for a provider that failed (RFC 5861 section 4), stale for `mostMs` at the longest. */
export function mayStandIn(call: Headers, headers: Headers, staleMs: number, mostMs: number): boolean {
  const [asked, said] = [cacheControl(call), cacheControl(headers)]
  if (['must-revalidate', 'no-cache'].some((name) => said.has(name)) || asked.has('no-cache')) return false
  const allowed = [secondsOf(asked, 'stale-if-error'), secondsOf(said, 'stale-if-error')].filter((seconds) => seconds !== undefined)
  return staleMs <= Math.min(mostMs, ...allowed.map((seconds) => seconds * SECOND))
}
