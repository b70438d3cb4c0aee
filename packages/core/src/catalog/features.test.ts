import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { missingScopes } from '../oauth/index.ts'
import { listProviders, resolveProvider } from './catalog.ts'
import type { Feature } from './feature-names.ts'
import { featureScopes, lackingFeatures } from './features.ts'
import { providerReference } from './reference.ts'

const google = resolveProvider('google')!
const microsoft = resolveProvider('microsoft')!

describe('features of a provider', () => {
  it('name the scopes to ask for, once each', () => {
    expect(featureScopes(resolveProvider('x')!, ['posts.read', 'posts.write'])).toEqual(['tweet.read', 'users.read', 'tweet.write'])
    expect(featureScopes(resolveProvider('github')!, ['starred.read', 'profile.read'])).toEqual([])
  })

  it('O-21 that a grant does not carry are named with what is missing', () => {
    expect(lackingFeatures(google, ['mail.read', 'profile.read'], ['openid'])).toEqual([
      { feature: 'mail.read', unsupported: false, scopes: ['https://www.googleapis.com/auth/gmail.readonly'] },
    ])
  })

  it('work under a wider scope that contains theirs, and under its long name', () => {
    expect(lackingFeatures(google, ['mail.read'], ['https://mail.google.com/'])).toEqual([])
    expect(lackingFeatures(microsoft, ['mail.read'], ['https://graph.microsoft.com/Mail.Read'])).toEqual([])
    expect(lackingFeatures(microsoft, ['calendar.read'], ['Calendars.ReadBasic'])).toHaveLength(1)
  })

  it('that the provider does not offer are said to be so, whatever is granted', () => {
    expect(lackingFeatures(google, ['repositories.read'], ['repo'])).toEqual([
      { feature: 'repositories.read', unsupported: true, scopes: [] },
    ])
  })

  it('all work with exactly their minimum scopes, at every provider', () => {
    for (const provider of listProviders()) {
      const features = Object.keys(provider.features) as Feature[]
      expect(features.length).toBeGreaterThan(0)
      expect(lackingFeatures(provider, features, featureScopes(provider, features))).toEqual([])
      for (const feature of features) {
        for (const scope of provider.features[feature]!) {
          const others = provider.features[feature]!.filter((other) => other !== scope)
          expect(missingScopes([scope], others, provider.scopeContents), `${provider.id} ${feature}`).toEqual([scope])
        }
      }
    }
  })

  it('are printed in docs/providers.md as the records have them', () => {
    expect(readFileSync(new URL('../../../../docs/providers.md', import.meta.url), 'utf8')).toBe(providerReference())
  })
})
