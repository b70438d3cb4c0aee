/** Dropbox. https://developers.dropbox.com/oauth-guide */
import type { z } from 'zod'
import type { providerSchema } from '../schema.ts'

export const dropbox: z.input<typeof providerSchema> = {
  id: 'dropbox',
  name: 'Dropbox',
  docs: 'https://developers.dropbox.com/oauth-guide',
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
  // Its own way takes the token as the credential of the call, which RFC 7009 does not.
  revocation: { kind: 'none' },
  requestLifetimeMs: 50_000,
  origins: ['https://www.dropbox.com', 'https://api.dropboxapi.com'],
}
