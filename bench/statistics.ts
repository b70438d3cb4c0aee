/** Owns the arithmetic of the benchmark: quantiles, medians and ratios of paired rounds. Refuses empty and non-finite samples instead of giving NaN. */

/** A figure over several rounds. `low` and `high` are the extremes, so the reader sees what the median hides. */
export interface Spread {
  readonly median: number
  readonly low: number
  readonly high: number
  readonly samples: number
}

/**
 * The value below which the share `q` (0 to 1) of `sorted` lies, interpolated between neighbours (Hyndman and Fan, definition 7).
 * @throws RangeError for an empty sample or a share outside 0 to 1. `sorted` must be ascending.
 */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  if (sorted.length === 0) throw new RangeError('a quantile needs at least one sample')
  if (!(q >= 0 && q <= 1)) throw new RangeError('a quantile lies between 0 and 1')
  const at = (sorted.length - 1) * q
  const below = sorted[Math.floor(at)]!
  const above = sorted[Math.ceil(at)]!
  return below + (above - below) * (at - Math.floor(at))
}

/** @throws RangeError for an empty sample or a value that is no finite number. */
export function spread(values: readonly number[]): Spread {
  if (!values.every(Number.isFinite)) throw new RangeError('a sample holds a value that is no finite number')
  const sorted = values.toSorted((a, b) => a - b)
  return { median: quantile(sorted, 0.5), low: quantile(sorted, 0), high: quantile(sorted, 1), samples: sorted.length }
}

/**
 * How `values` stand to `base`, round by round: both were measured within seconds of each other, so what slowed the machine in a round
 * slowed both. @throws RangeError when the lists differ in length or a base is not above 0.
 */
export function pairedRatio(values: readonly number[], base: readonly number[]): Spread {
  return paired(values, base, (value, of) => {
    if (of <= 0) throw new RangeError('a ratio needs a base above 0')
    return value / of
  })
}

/** What `values` add to `base`, round by round. @throws RangeError as for `pairedRatio`. */
export function pairedDifference(values: readonly number[], base: readonly number[]): Spread {
  return paired(values, base, (value, of) => value - of)
}

function paired(values: readonly number[], base: readonly number[], combine: (value: number, base: number) => number): Spread {
  if (values.length !== base.length) throw new RangeError('paired samples must have the same number of rounds')
  return spread(values.map((value, round) => combine(value, base[round]!)))
}

/** `items` turned by `round` places, so that over the rounds none always comes first. */
export function rotated<T>(items: readonly T[], round: number): T[] {
  const by = items.length === 0 ? 0 : round % items.length
  return [...items.slice(by), ...items.slice(0, by)]
}
