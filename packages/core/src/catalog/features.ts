/**
 * Owns the comparing of features with scopes: what must be asked for so that a feature works, and which features a grant does not carry.
 * Refuses to guess: a feature that a record does not name is not offered by that provider.
 */
import { missingScopes } from '../oauth/index.ts'
import type { Feature } from './feature-names.ts'
import type { ApiRecord } from './schema.ts'

/** A feature that won't work. `scopes` are those missing; `unsupported`: the provider does not offer it, whatever is granted. */
export interface LackingFeature {
  readonly feature: Feature
  readonly unsupported: boolean
  readonly scopes: readonly string[]
}

/** The fewest scopes under which all of these features work, without doubles. Features the provider does not offer add none. */
export function featureScopes(provider: Pick<ApiRecord, 'features'>, features: readonly Feature[]): readonly string[] {
  return [...new Set(features.flatMap((feature) => provider.features[feature] ?? []))]
}

/** Those of the features that do not work with these scopes, configured or granted. Empty: all do. What a scope contains counts. */
export function lackingFeatures(
  provider: Pick<ApiRecord, 'features' | 'scopeContents'>,
  features: readonly Feature[],
  scopes: readonly string[],
): readonly LackingFeature[] {
  return features.flatMap((feature): LackingFeature[] => {
    const needed = provider.features[feature]
    if (needed === undefined) return [{ feature, unsupported: true, scopes: [] }]
    const missing = missingScopes(needed, scopes, provider.scopeContents)
    return missing.length === 0 ? [] : [{ feature, unsupported: false, scopes: missing }]
  })
}
