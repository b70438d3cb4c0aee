/** Dropbox. https://developers.dropbox.com/oauth-guide */
import type { z } from 'zod'
import type { providerSchema } from '../schema.ts'

export const dropbox: z.input<typeof providerSchema> = {
  id: 'dropbox',
  name: 'Dropbox',
  docs: 'https://developers.dropbox.com/oauth-guide',
  held: {
    on: '2026-11-22',
    pages: [
      { page: 'https://github.com/dropbox/dropbox-api-spec', dated: '2026-08-05', shows: ['account', 'scopes', 'revocation'] },
      {
        page: 'https://github.com/dropbox/dropbox-sdk-js',
        dated: '2026-08-05',
        shows: ['authorization', 'token', 'client', 'proofKey', 'api', 'quirks'],
      },
    ],
  },
  notes: ['Taking back needs an access token that still lives.'],
  oauth: {
    issuer: 'https://www.dropbox.com',
    responseIssuer: 'checked',
    authorizationEndpoint: 'https://www.dropbox.com/oauth2/authorize',
    tokenEndpoint: 'https://api.dropboxapi.com/oauth2/token',
    tokenAuth: 'client_secret_post',
    scopeSeparator: ' ',
    // Without it there is no refresh token: https://dropbox.tech/developers/using-oauth-2-0-with-offline-access
    authorizationParams: { token_access_type: 'offline' },
    tokenQuirks: [],
  },
  userinfo: {
    url: 'https://api.dropboxapi.com/2/users/get_current_account',
    method: 'POST',
    idPath: ['account_id'],
    labelPath: ['email'],
    headers: {},
  },
  api: {
    base: 'https://api.dropboxapi.com/2',
    injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
    defaultHeaders: {},
  },
  defaultScopes: ['account_info.read'],
  scopeContents: { 'files.content.read': ['files.metadata.read'] },
  features: {
    'profile.read': ['account_info.read'],
    'files.read': ['files.content.read'],
  },
  // Whether a refresh token that was used works again is not documented there: strict.
  rotation: { kind: 'strict' },
  // Not RFC 7009: the token is the credential of the call. It ends the refresh token as well, and every token that it gave.
  revocation: { kind: 'own_token', endpoint: 'https://api.dropboxapi.com/2/auth/token/revoke' },
  requestLifetimeMs: 50_000,
  origins: ['https://www.dropbox.com', 'https://api.dropboxapi.com'],
}
