/** Box. https://developer.box.com/guides/authentication/tokens/refresh */
import type { z } from 'zod'
import type { providerSchema } from '../schema.ts'

export const box: z.input<typeof providerSchema> = {
  id: 'box',
  name: 'Box',
  docs: 'https://developer.box.com/guides/authentication/tokens/refresh',
  held: {
    on: '2026-11-22',
    pages: [
      {
        page: 'https://github.com/box/box-openapi',
        dated: '2026-06-29',
        shows: ['authorization', 'token', 'client', 'revocation', 'account', 'api', 'scopes'],
      },
      { page: 'https://developer.box.com/guides/authentication/tokens/refresh', shows: ['rotation', 'idle'] },
      { page: 'https://developer.box.com/guides/authentication/tokens/revoke', shows: ['revocation'] },
      { page: 'https://developer.box.com/guides/api-calls/permissions-and-errors/scopes', shows: ['scopes'] },
    ],
  },
  notes: ['Access tokens live about an hour.'],
  oauth: {
    issuer: 'https://account.box.com',
    responseIssuer: 'checked',
    authorizationEndpoint: 'https://account.box.com/api/oauth2/authorize',
    tokenEndpoint: 'https://api.box.com/oauth2/token',
    tokenAuth: 'client_secret_post',
    scopeSeparator: ' ',
    authorizationParams: {},
    tokenQuirks: [],
  },
  userinfo: { url: 'https://api.box.com/2.0/users/me', method: 'GET', idPath: ['id'], labelPath: ['login'], headers: {} },
  api: {
    base: 'https://api.box.com/2.0',
    injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
    defaultHeaders: {},
  },
  defaultScopes: ['root_readonly'],
  scopeContents: { root_readwrite: ['root_readonly'] },
  features: {
    'profile.read': ['root_readonly'],
    'files.read': ['root_readonly'],
  },
  // A refresh token is good for one use.
  rotation: { kind: 'strict' },
  // 60 days without a refresh.
  grant: { idleDays: 60 },
  // https://developer.box.com/reference/post-oauth2-revoke: either token ends the pair.
  revocation: { kind: 'rfc7009', endpoint: 'https://api.box.com/oauth2/revoke', clientAuth: 'client_secret_post', reach: 'token' },
  requestLifetimeMs: 50_000,
  origins: ['https://account.box.com', 'https://api.box.com'],
}
