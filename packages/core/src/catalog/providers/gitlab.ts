/** GitLab.com. https://docs.gitlab.com/api/oauth2/ */
import type { z } from 'zod'
import type { providerSchema } from '../schema.ts'

export const gitlab: z.input<typeof providerSchema> = {
  id: 'gitlab',
  name: 'GitLab',
  docs: 'https://docs.gitlab.com/api/oauth2/',
  held: {
    on: '2026-11-22',
    pages: [
      {
        page: 'https://docs.gitlab.com/api/oauth2/',
        shows: ['authorization', 'token', 'client', 'proofKey', 'device', 'revocation', 'account', 'api', 'rotation', 'quirks'],
      },
      { page: 'https://docs.gitlab.com/integration/oauth_provider/', shows: ['scopes'] },
    ],
  },
  oauth: {
    issuer: 'https://gitlab.com',
    responseIssuer: 'checked',
    authorizationEndpoint: 'https://gitlab.com/oauth/authorize',
    tokenEndpoint: 'https://gitlab.com/oauth/token',
    tokenAuth: 'client_secret_post',
    scopeSeparator: ' ',
    authorizationParams: {},
    deviceAuthorizationEndpoint: 'https://gitlab.com/oauth/authorize_device',
    refreshNamesRedirect: true,
    tokenQuirks: [],
  },
  userinfo: { url: 'https://gitlab.com/api/v4/user', method: 'GET', idPath: ['id'], labelPath: ['username'], headers: {} },
  api: {
    base: 'https://gitlab.com/api/v4',
    injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
    defaultHeaders: {},
  },
  defaultScopes: ['read_user'],
  scopeContents: { api: ['read_api', 'read_user'], read_api: ['read_user'] },
  features: {
    'profile.read': ['read_user'],
    'repositories.read': ['read_api'],
    'issues.read': ['read_api'],
  },
  // A refresh ends both tokens that were there before.
  rotation: { kind: 'strict' },
  revocation: { kind: 'rfc7009', endpoint: 'https://gitlab.com/oauth/revoke', clientAuth: 'client_secret_post', reach: 'token' },
  requestLifetimeMs: 50_000,
  origins: ['https://gitlab.com'],
}
