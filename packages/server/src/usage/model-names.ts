/**
 * Owns how models are called in metrics: as the price book calls them, or by their own name while there are few. Refuses names without end: the rest are
 * `other`.
 */
import type { PriceBook } from '@sallyport/core'

export interface ModelNames {
  of(provider: string, model: string | null): string
}

const MOST = 100
const LONGEST = 48

export function createModelNames(prices: Pick<PriceBook, 'family'>): ModelNames {
  const seen = new Set<string>()
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
function spelled(name: string): string {
  return name
    .replaceAll(/[^0-9A-Za-z._-]+/gu, '-')
    .replace(/^[^0-9A-Za-z]+|-$/gu, '')
    .slice(0, LONGEST)
}
