/** Owns when a revocation is tried again. Refuses to try for ever: tokens that nobody takes back in 30 days are left to die by themselves. */

export const GIVE_UP_AFTER_MS = 30 * 86_400_000
const FIRST_MS = 15_000
const LONGEST_MS = 6 * 3_600_000

/**
 * Milliseconds until the next try after `attempts` of them, doubling from 15 seconds to 6 hours, each between a half and the whole of that, and
 * never sooner than the provider asked. Null when that would be past the end.
 * @param random between 0 and 1, 1 excluded
 */
export function nextTryMs(
  attempts: number,
  at: { readonly ageMs: number; readonly askedMs: number | null },
  random: number,
): number | null {
  const step = Math.min(FIRST_MS * 2 ** Math.min(Math.max(attempts - 1, 0), 20), LONGEST_MS)
  const wait = Math.max(step * (0.5 + random / 2), at.askedMs ?? 0)
  return at.ageMs + wait > GIVE_UP_AFTER_MS ? null : Math.round(wait)
}
