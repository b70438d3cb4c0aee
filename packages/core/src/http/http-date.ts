/** Owns reading dates of HTTP (RFC 9110 section 5.6.7). Refuses what `Date.parse` alone takes for one, such as "2" and "-5". */

const DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /u

/** Milliseconds since 1970, or undefined. asctime's form names no zone and means GMT. */
export function httpDate(text: string): number | undefined {
  if (!DATE.test(text)) return undefined
  const at = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`)
  return Number.isNaN(at) ? undefined : at
}
