/** Reddit. https://github.com/reddit-archive/reddit/wiki/OAuth2 */
import type { z } from 'zod'
import type { providerSchema } from '../schema.ts'

/**
 * `platform:application:version (by /u/name)`; agents in other forms are throttled. The name is the application's to add.
 * https://github.com/reddit-archive/reddit/wiki/API
 */
const USER_AGENT = 'node:sallyport:v0.1.0'

export const reddit: z.input<typeof providerSchema> = {
  id: 'reddit',
  name: 'Reddit',
  docs: 'https://github.com/reddit-archive/reddit/wiki/OAuth2',
  held: {
    on: '2026-11-22',
    pages: [
      {
        page: 'https://github.com/reddit-archive/reddit/wiki/OAuth2',
        dated: '2016-01-08',
        shows: ['authorization'],
      },
      {
        page: 'https://github.com/reddit-archive/reddit',
        dated: '2017-10-16',
        shows: ['authorization', 'token', 'client', 'application', 'revocation', 'account', 'scopes', 'quirks'],
      },
    ],
  },
  notes: [
    'Access tokens live an hour.',
    'Quota: `X-Ratelimit-Remaining`, `-Used` and `-Reset`, in seconds from now.',
    'The published source never spends a refresh token; what runs today is newer.',
    'Tokens of the client itself are for clients with a secret.',
  ],
  oauth: {
    issuer: 'https://www.reddit.com',
    responseIssuer: 'checked',
    authorizationEndpoint: 'https://www.reddit.com/api/v1/authorize',
    tokenEndpoint: 'https://www.reddit.com/api/v1/access_token',
    tokenAuth: 'client_secret_basic',
    scopeSeparator: ' ',
    // Without it there is no refresh token, and the access token lives an hour.
    authorizationParams: { duration: 'permanent' },
    tokenHeaders: { 'user-agent': USER_AGENT },
    // https://github.com/reddit-archive/reddit/blob/master/r2/r2/controllers/oauth2.py
    clientCredentials: true,
    tokenQuirks: ['error_in_success', 'spent_is_invalid_request'],
  },
  userinfo: {
    url: 'https://oauth.reddit.com/api/v1/me',
    method: 'GET',
    idPath: ['id'],
    labelPath: ['name'],
    headers: { 'user-agent': USER_AGENT },
  },
  api: {
    base: 'https://oauth.reddit.com',
    // Without a token it is a refusal, which says enough.
    probe: { method: 'HEAD', path: '/api/v1/me' },
    injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
    // Goes unless the caller sends its own, with the name of who answers for it.
    defaultHeaders: { 'user-agent': USER_AGENT },
  },
  defaultScopes: ['identity'],
  scopeContents: {},
  features: {
    'profile.read': ['identity'],
    'posts.read': ['identity', 'history', 'read'],
    'posts.write': ['submit'],
  },
  // Whether a refresh token that was used works again is not documented: strict.
  rotation: { kind: 'strict' },
  revocation: {
    kind: 'rfc7009',
    endpoint: 'https://www.reddit.com/api/v1/revoke_token',
    clientAuth: 'client_secret_basic',
    reach: 'token',
    headers: { 'user-agent': USER_AGENT },
  },
  requestLifetimeMs: 50_000,
  origins: ['https://www.reddit.com', 'https://oauth.reddit.com'],
}
