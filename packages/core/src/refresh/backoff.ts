/** Owns how long a credential is left alone after a failure. Refuses pauses without jitter, and pauses without end. */
import type { RefreshTrouble } from '../tokens/index.ts'

interface Pauses {
  /** Doubles with each failure in a row. Milliseconds. */
  readonly firstMs: number
  readonly longestMs: number
}

const SECOND = 1_000
const MINUTE = 60 * SECOND

const PAUSES: Readonly<Partial<Record<RefreshTrouble, Pauses>>> = {
  provider_down: { firstMs: SECOND, longestMs: 5 * MINUTE },
  outcome_unknown: { firstMs: SECOND, longestMs: 5 * MINUTE },
  malformed: { firstMs: 2 * SECOND, longestMs: 15 * MINUTE },
  rate_limited: { firstMs: 5 * SECOND, longestMs: 15 * MINUTE },
  // A person must act first; nobody is helped by asking often.
  client_misconfigured: { firstMs: 15 * SECOND, longestMs: 15 * MINUTE },
}

/**
 * Full jitter between a quarter and the whole of the doubled pause. `before` is the number of failures in a row that came earlier, `least`
 * what the provider asked for.
 */
export function pauseAfter(trouble: RefreshTrouble, before: number, random: () => number, least = 0): number {
  const { firstMs, longestMs } = PAUSES[trouble] ?? PAUSES.provider_down!
  const whole = Math.min(firstMs * 2 ** Math.min(before, 20), longestMs)
  return Math.ceil(Math.max(least, whole * (0.25 + 0.75 * random())))
}
