/**
 * Owns reading how long a server wants to be left alone: of API calls, token calls and revocations alike. Refuses what is no such time, rather than
 * guess, and times without an end.
 */
import { httpDate } from './http-date.ts'

const SECONDS = /^\d+$/u
/** RFC 3339 with a zone: no HTTP date, but some servers send it and mean one thing by it. */
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/u
const YEAR_MS = 365 * 24 * 3_600_000

/**
 * Retry-After (RFC 9110 section 10.2.3) as milliseconds from `now`: 0 for a date that has passed, `mostMs` (a year when absent) for more than that;
 * undefined when it is absent or no such value. `now`: wall time, milliseconds.
 */
export function retryAfterMs(headers: Pick<Headers, 'get'>, now: number, mostMs = YEAR_MS): number | undefined {
  const text = headers.get('retry-after')?.trim()
  if (text === undefined) return undefined
  if (SECONDS.test(text)) return Math.min(Number(text) * 1_000, mostMs)
  const at = TIMESTAMP.test(text) ? Date.parse(text) : httpDate(text)
  return at === undefined || Number.isNaN(at) ? undefined : Math.min(Math.max(0, at - now), mostMs)
}
