/** Asana. https://developers.asana.com/docs/oauth */
import type { z } from 'zod'
import type { providerSchema } from '../schema.ts'

export const asana: z.input<typeof providerSchema> = {
  id: 'asana',
  name: 'Asana',
  docs: 'https://developers.asana.com/docs/oauth',
  held: {
    on: '2026-11-22',
    pages: [
      {
        page: 'https://github.com/Asana/openapi',
        dated: '2026-06-11',
        shows: ['authorization', 'token', 'account', 'api', 'scopes'],
      },
      {
        page: 'https://github.com/Asana/developer-docs',
        dated: '2022-10-17',
        shows: ['authorization', 'token', 'client', 'proofKey', 'revocation', 'rotation', 'quirks'],
      },
    ],
  },
  notes: ['Access tokens live an hour.', 'Answers 429 to more calls than it allows.'],
  oauth: {
    issuer: 'https://app.asana.com',
    responseIssuer: 'checked',
    authorizationEndpoint: 'https://app.asana.com/-/oauth_authorize',
    tokenEndpoint: 'https://app.asana.com/-/oauth_token',
    tokenAuth: 'client_secret_post',
    scopeSeparator: ' ',
    authorizationParams: {},
    // Its table of the token endpoint's parameters demands it of both grants.
    refreshNamesRedirect: true,
    tokenQuirks: [],
  },
  userinfo: {
    url: 'https://app.asana.com/api/1.0/users/me',
    method: 'GET',
    idPath: ['data', 'gid'],
    labelPath: ['data', 'name'],
    headers: {},
  },
  api: {
    base: 'https://app.asana.com/api/1.0',
    injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
    defaultHeaders: {},
  },
  defaultScopes: ['users:read'],
  scopeContents: {},
  features: {
    'profile.read': ['users:read'],
    'tasks.read': ['tasks:read'],
  },
  // A refresh token is given with a code alone, and may be used again and again.
  rotation: { kind: 'none' },
  // Access tokens are refused there.
  revocation: {
    kind: 'rfc7009',
    endpoint: 'https://app.asana.com/-/oauth_revoke',
    clientAuth: 'client_secret_post',
    reach: 'token',
    takes: 'refresh',
  },
  requestLifetimeMs: 50_000,
  origins: ['https://app.asana.com'],
}
