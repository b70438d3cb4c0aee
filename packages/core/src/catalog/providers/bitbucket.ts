/** Bitbucket Cloud. https://support.atlassian.com/bitbucket-cloud/docs/use-oauth-on-bitbucket-cloud/ */
import type { z } from 'zod'
import type { providerSchema } from '../schema.ts'

export const bitbucket: z.input<typeof providerSchema> = {
  id: 'bitbucket',
  name: 'Bitbucket',
  docs: 'https://support.atlassian.com/bitbucket-cloud/docs/use-oauth-on-bitbucket-cloud/',
  held: {
    on: '2026-11-22',
    pages: [
      {
        page: 'https://github.com/atlassian/atlascode',
        dated: '2026-08-04',
        shows: ['authorization', 'token', 'client', 'account', 'api'],
      },
    ],
  },
  oauth: {
    issuer: 'https://bitbucket.org',
    responseIssuer: 'checked',
    authorizationEndpoint: 'https://bitbucket.org/site/oauth2/authorize',
    tokenEndpoint: 'https://bitbucket.org/site/oauth2/access_token',
    tokenAuth: 'client_secret_basic',
    scopeSeparator: ' ',
    authorizationParams: {},
    tokenQuirks: [],
  },
  userinfo: { url: 'https://api.bitbucket.org/2.0/user', method: 'GET', idPath: ['uuid'], labelPath: ['display_name'], headers: {} },
  api: {
    base: 'https://api.bitbucket.org/2.0',
    injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
    defaultHeaders: {},
  },
  defaultScopes: ['account'],
  scopeContents: {
    'account:write': ['account'],
    'repository:write': ['repository'],
    'repository:admin': ['repository'],
    'issue:write': ['issue'],
  },
  features: {
    'profile.read': ['account'],
    'repositories.read': ['repository'],
    'issues.read': ['issue'],
  },
  // Whether a refresh token that was used works again is not documented: strict.
  rotation: { kind: 'strict' },
  // None is documented; people take it back in their account.
  revocation: { kind: 'none' },
  requestLifetimeMs: 50_000,
  origins: ['https://bitbucket.org', 'https://api.bitbucket.org'],
}
