/** Owns chance that can be repeated: everything random of a proof comes from one printed seed. Refuses `Math.random`. */

export interface Chance {
  /** From 0 up to, but not, 1. */
  next(): number
  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number
  pick<T>(items: readonly T[]): T
  /** An item, as often as its weight says. Weights are above 0. */
  weighted<T>(items: readonly (readonly [item: T, weight: number])[]): T
  /** Another source of its own, so that parts of a proof don't shift each other's draws. */
  branch(name: string): Chance
}

const WORD = 0x1_0000_0000

/** The same `seed` (any text) gives the same draws. For choosing faults, never for secrets. */
export function chanceFrom(seed: string): Chance {
  let state = textHash(seed)
  const next = (): number => {
    // Weyl sequence with a xor-multiply finisher: 32 bits of state are plenty for schedules.
    state = (state + 0x9e37_79b9) >>> 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0_aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / WORD
  }
  const between = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1))
  return {
    next,
    between,
    pick: (items) => items[between(0, items.length - 1)]!,
    weighted: (items) => {
      let left = next() * items.reduce((sum, [, weight]) => sum + weight, 0)
      for (const [item, weight] of items) if ((left -= weight) < 0) return item
      return items.at(-1)![0]
    },
    branch: (name) => chanceFrom(`${seed}/${name}`),
  }
}

/** FNV-1a over UTF-16 units. */
function textHash(text: string): number {
  let hash = 0x811c_9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x0100_0193)
  return hash >>> 0
}
