/**
 * Owns reading what providers say of their quota. Refuses values that are no numbers. The ways of saying it are data:
 *
 *   GitHub, X, and most    X-RateLimit-Limit, -Remaining, -Reset (X: X-Rate-Limit-...); Reset in seconds since 1970
 *   Reddit                 X-Ratelimit-Remaining with a fraction; Reset in seconds from now
 *   IETF draft, up to 06   RateLimit-Limit, -Remaining, -Reset; Reset in seconds from now
 *   IETF draft, from 07    RateLimit: "name";r=remaining;t=seconds (before 10 also limit=, remaining=, reset=)
 */

export interface Quota {
  /** Calls that are left, 0 or more. */
  readonly remaining: number
  /** Until there are more again. Milliseconds. */
  readonly resetMs: number
  readonly limit: number | undefined
}

const STYLES = ['x-ratelimit', 'x-rate-limit', 'ratelimit'] as const
/** Nothing is said without one of these. */
const SAYING = ['ratelimit', ...STYLES.map((style) => `${style}-remaining`)] as const
const NUMBER = /^\d{1,12}(?:\.\d{1,6})?$/u
/** As seconds from now it would be 31 years; as a time, it is the year 2001. */
const EPOCH_FROM = 1_000_000_000
const SECOND = 1_000

/** The tightest of all that is said; undefined when nothing is. `now`: wall time, milliseconds. */
export function quotaOf(headers: Pick<Headers, 'get'>, now: number): Quota | undefined {
  if (SAYING.every((name) => headers.get(name) === null)) return undefined
  const said = [...STYLES.map((style) => separate(headers, style, now)), ...combined(headers)].filter((quota) => quota !== undefined)
  return said.toSorted((a, b) => a.remaining - b.remaining || b.resetMs - a.resetMs)[0]
}

function separate(headers: Pick<Headers, 'get'>, style: string, now: number): Quota | undefined {
  const [remaining, reset] = [numberIn(headers.get(`${style}-remaining`)), numberIn(headers.get(`${style}-reset`))]
  if (remaining === undefined || reset === undefined) return undefined
  const resetMs = reset >= EPOCH_FROM ? Math.max(0, reset * SECOND - now) : reset * SECOND
  return { remaining, resetMs, limit: numberIn(headers.get(`${style}-limit`)) }
}

/** Several policies stand side by side, each with parameters of its own. */
function combined(headers: Pick<Headers, 'get'>): (Quota | undefined)[] {
  const text = headers.get('ratelimit')
  if (text === null) return []
  const parts = /(?:^|[,;\s])(?:limit|remaining|reset)\s*=/u.test(text) ? [text] : text.split(',')
  return parts.map((part) => {
    const value = (...names: readonly string[]): number | undefined =>
      numberIn(new RegExp(`(?:^|[,;\\s])(?:${names.join('|')})\\s*=\\s*(?<value>[\\d.]+)`, 'u').exec(part)?.groups?.['value'] ?? null)
    const [remaining, reset] = [value('r', 'remaining'), value('t', 'reset')]
    return remaining === undefined || reset === undefined ? undefined : { remaining, resetMs: reset * SECOND, limit: value('limit') }
  })
}

function numberIn(text: string | null): number | undefined {
  const trimmed = text?.trim() ?? ''
  return NUMBER.test(trimmed) ? Number(trimmed) : undefined
}
