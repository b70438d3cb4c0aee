/** X. https://docs.x.com/fundamentals/authentication/oauth-2-0/user-access-token */
import type { z } from 'zod'
import type { providerSchema } from '../schema.ts'

export const x: z.input<typeof providerSchema> = {
  id: 'x',
  name: 'X',
  docs: 'https://docs.x.com/fundamentals/authentication/oauth-2-0/user-access-token',
  held: {
    on: '2026-11-22',
    pages: [
      {
        page: 'https://docs.x.com/fundamentals/authentication/oauth-2-0/authorization-code',
        dated: '2026-06-11',
        shows: ['authorization', 'proofKey', 'scopes'],
      },
      {
        page: 'https://docs.x.com/fundamentals/authentication/oauth-2-0/user-access-token',
        dated: '2026-06-11',
        shows: ['authorization', 'token', 'client', 'revocation'],
      },
      { page: 'https://docs.x.com/fundamentals/authentication/api-reference', dated: '2026-07-24', shows: ['quirks'] },
      { page: 'https://github.com/xdevplatform/docs', dated: '2026-08-22', shows: ['account', 'api', 'scopes'] },
    ],
  },
  notes: [
    'Access tokens live two hours, codes 30 seconds.',
    'Quota: `x-rate-limit-limit`, `-remaining` and `-reset`, in seconds since 1970.',
  ],
  oauth: {
    issuer: 'https://x.com',
    responseIssuer: 'checked',
    authorizationEndpoint: 'https://x.com/i/oauth2/authorize',
    tokenEndpoint: 'https://api.x.com/2/oauth2/token',
    tokenAuth: 'client_secret_basic',
    scopeSeparator: ' ',
    // A proof key is demanded, which is sent always. `offline.access` brings the refresh token.
    authorizationParams: {},
    // Not in the reference; what its token endpoint is known to answer to a refresh token that was used.
    tokenQuirks: ['spent_is_invalid_request'],
  },
  // https://docs.x.com/fundamentals/authentication/oauth-1-0a/obtaining-user-access-tokens
  oauth1: {
    temporaryCredentialEndpoint: 'https://api.x.com/oauth/request_token',
    authorizationEndpoint: 'https://api.x.com/oauth/authorize',
    tokenEndpoint: 'https://api.x.com/oauth/access_token',
    // https://developer.x.com/en/docs/authentication/api-reference/invalidate_access_token
    revocationEndpoint: 'https://api.x.com/1.1/oauth/invalidate_token',
  },
  // Needs `tweet.read` and `users.read`.
  userinfo: { url: 'https://api.x.com/2/users/me', method: 'GET', idPath: ['data', 'id'], labelPath: ['data', 'username'], headers: {} },
  api: {
    base: 'https://api.x.com/2',
    // Without a token it is a 401, which says enough.
    probe: { method: 'HEAD', path: '/users/me' },
    // https://docs.x.com/x-api/fundamentals/rate-limits: each endpoint has limits of its own for each user
    quota: { by: 'endpoint' },
    injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
    defaultHeaders: {},
  },
  defaultScopes: ['tweet.read', 'users.read', 'offline.access'],
  scopeContents: {},
  features: {
    'profile.read': ['tweet.read', 'users.read'],
    'posts.read': ['tweet.read', 'users.read'],
    'posts.write': ['tweet.read', 'tweet.write', 'users.read'],
  },
  // Whether a refresh token that was used works again is not documented: strict.
  rotation: { kind: 'strict' },
  revocation: { kind: 'rfc7009', endpoint: 'https://api.x.com/2/oauth2/revoke', clientAuth: 'client_secret_basic', reach: 'token' },
  requestLifetimeMs: 50_000,
  origins: ['https://x.com', 'https://api.x.com'],
}
