/**
 * Owns how models are called in metrics: as the price book calls them, or by their own name while there are few. Refuses names without end: the rest are
 * `other`.
 */
import type { PriceBook } from '@sallyport/core'

export interface ModelNames {
  of(provider: string, model: string | null): string
}

const MOST = 100
const MOST_KNOWN = 500
const LONGEST = 48

export function createModelNames(prices: Pick<PriceBook, 'family'>): ModelNames {
  const seen = new Set<string>()
  // By what is to be spelled. Callers name models freely: whoever names ever new ones has them spelled anew.
  const known = new Map<string, string>()
  const spelled = (name: string): string => {
    const before = known.get(name)
    if (before !== undefined) return before
    const made = labelOf(name)
    if (known.size >= MOST_KNOWN) known.clear()
    known.set(name, made)
    return made
  }
  return {
    of(provider, model) {
      if (model === null) return 'unknown'
      const family = prices.family(provider, model)
      if (family !== undefined) return spelled(family)
      const name = spelled(model)
      if (!seen.has(name) && seen.size >= MOST) return 'other'
      seen.add(name)
      return name
    },
  }
}

/** As a label takes it. */
function labelOf(name: string): string {
  return name
    .replaceAll(/[^0-9A-Za-z._-]+/gu, '-')
    .replace(/^[^0-9A-Za-z]+|-$/gu, '')
    .slice(0, LONGEST)
}
