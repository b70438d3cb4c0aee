/** Owns how a provider's `expires_in` becomes a moment. Refuses to believe lifetimes that can't be meant. */

/** The longest lifetime believed, ten years: beyond it lie sentinel values and milliseconds sent as seconds. */
export const MAX_LIFETIME_S = 10 * 366 * 24 * 60 * 60

/**
 * `expires_in` (RFC 6749 section 5.1) in whole seconds, at most `MAX_LIFETIME_S`. A number, or its decimal text as some providers
 * send it. Null, meaning no known lifetime, for anything absent, unreadable, zero or negative: providers use those for tokens that
 * do not expire, and taking them as "expired now" would refresh on every call.
 */
export function lifetimeSeconds(expiresIn: unknown): number | null {
  const seconds = typeof expiresIn === 'string' && /^\d{1,16}(?:\.\d{1,9})?$/u.test(expiresIn) ? Number(expiresIn) : expiresIn
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds < 1) return null
  return Math.min(Math.floor(seconds), MAX_LIFETIME_S)
}
