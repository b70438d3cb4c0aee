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
      { page: 'https://github.com/Asana/openapi', dated: '2026-06-11', shows: ['authorization', 'token', 'account', 'api', 'scopes'] },
    ],
  },
  notes: ['Answers 429 to more calls than it allows.'],
  oauth: {
    issuer: 'https://app.asana.com',
    responseIssuer: 'checked',
    authorizationEndpoint: 'https://app.asana.com/-/oauth_authorize',
    tokenEndpoint: 'https://app.asana.com/-/oauth_token',
    tokenAuth: 'client_secret_post',
    scopeSeparator: ' ',
    authorizationParams: {},
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
  // Whether a refresh token that was used works again is not documented: strict.
  rotation: { kind: 'strict' },
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
