/** Owns reading how long a provider wants to be left alone. Refuses what is no such time, rather than guess. */

const SECONDS = /^\d+$/u
/** The three forms of RFC 9110 section 5.6.7; `Date.parse` alone takes "-5" and "2" for dates, too. */
const DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /u

/** Retry-After (RFC 9110 section 10.2.3) as milliseconds from `now`, 0 for a date that has passed; undefined when it is absent or no such value. */
export function retryAfterMs(headers: Headers, now: number): number | undefined {
  const text = headers.get('retry-after')?.trim()
  if (text === undefined) return undefined
  if (SECONDS.test(text)) return Number(text) * 1_000
  const at = httpDate(text)
  return at === undefined ? undefined : Math.max(0, at - now)
}

/** Milliseconds since 1970, or undefined. asctime's form names no zone and means GMT. */
export function httpDate(text: string): number | undefined {
  if (!DATE.test(text)) return undefined
  const at = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`)
  return Number.isNaN(at) ? undefined : at
}
