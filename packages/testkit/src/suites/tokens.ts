/** Owns tokens for tests: obviously fake. */
import { Secret } from '@sallyport/core'
import type { BearerTokens } from '@sallyport/core'

/** Tokens that can be told apart, and found in a dump: `name` stands in each. */
export function someTokens(name: string, changes: Partial<BearerTokens> = {}): BearerTokens {
  return {
    accessToken: new Secret(`fake-access-${name}`),
    refreshToken: new Secret(`fake-refresh-${name}`),
    tokenType: 'bearer',
    expiresAt: 1_900_000_000_000,
    scopes: ['read', 'write'],
    extra: new Secret(JSON.stringify({ workspace: `fake-extra-${name}` })),
    ...changes,
  }
}
