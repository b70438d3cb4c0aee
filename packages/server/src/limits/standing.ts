/**
 * Owns how a caller is told where it stands: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4), and the
 * three `X-RateLimit-` fields that older clients read, with the same figures. Refuses to let the two disagree.
 */
import type { RateFigures } from './figures.ts'

/** Whose limit it is; the names of the policies. */
export type HolderKind = 'organization' | 'project' | 'key' | 'person'

export interface Holding {
  readonly kind: HolderKind
  readonly figures: RateFigures
}

/** What the answer to one request says. */
export interface Standing {
  /** `RateLimit-Policy`, `RateLimit`: name and value in turns. */
  readonly standard: readonly string[]
  /** `X-RateLimit-Limit`, `-Remaining`, `-Reset`. */
  readonly older: readonly string[]
}

const policies = new WeakMap<readonly Holding[], string>()

/**
 * @param tightest the limit that has the least left: it is the one that the caller should know of.
 * @param left whole requests that could be made now.
 * @param inMs until it is full again, or for a caller that was refused, until it may ask again.
 */
export function standingOf(holdings: readonly Holding[], tightest: Holding, left: number, inMs: number): Standing {
  const seconds = Math.ceil(inMs / 1_000)
  return {
    standard: ['ratelimit-policy', policiesOf(holdings), 'ratelimit', `"${tightest.kind}";r=${left};t=${seconds}`],
    older: [
      'x-ratelimit-limit',
      String(tightest.figures.burst),
      'x-ratelimit-remaining',
      String(left),
      'x-ratelimit-reset',
      String(seconds),
    ],
  }
}

/** Both as one record, for answers that carry no others of the same names. */
export function fieldsOf({ standard, older }: Standing): Readonly<Record<string, string>> {
  const flat = [...standard, ...older]
  return Object.fromEntries(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1]!]] : [])))
}

/** A bucket as a quota in a window: as many as fit, in the time that it takes to fill. Spelled once for as long as the figures hold. */
function policiesOf(holdings: readonly Holding[]): string {
  const known = policies.get(holdings)
  if (known !== undefined) return known
  const text = holdings
    .map(({ kind, figures: { perSecond, burst } }) => `"${kind}";q=${burst};w=${Math.max(1, Math.ceil(burst / perSecond))}`)
    .join(', ')
  policies.set(holdings, text)
  return text
}
