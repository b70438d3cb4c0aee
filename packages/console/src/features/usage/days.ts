/** Owns days of UTC, as use is added up by: text like 2026-01-31. */

const DAY_MS = 86_400_000

/** The first of so many days that end today. @param now milliseconds since 1970 */
export function firstOf(days: number, now: number): string {
  return dayOf(now - (days - 1) * DAY_MS)
}

export function firstOfMonth(now: number): string {
  return `${dayOf(now).slice(0, 7)}-01`
}

/** The moment at which it begins. */
export function beginOf(day: string): string {
  return `${day}T00:00:00Z`
}

/** The moment at which the day is over. */
export function endOf(day: string): string {
  return beginOf(dayOf(Date.parse(beginOf(day)) + DAY_MS))
}

function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10)
}
