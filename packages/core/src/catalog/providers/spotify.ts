/** Spotify. https://developer.spotify.com/documentation/web-api/tutorials/code-flow */
import type { z } from 'zod'
import type { providerSchema } from '../schema.ts'

export const spotify: z.input<typeof providerSchema> = {
  id: 'spotify',
  name: 'Spotify',
  docs: 'https://developer.spotify.com/documentation/web-api/tutorials/code-flow',
  held: {
    on: '2026-11-22',
    pages: [
      {
        page: 'https://developer.spotify.com/documentation/web-api/tutorials/client-credentials-flow',
        shows: ['token', 'client', 'application'],
      },
      {
        page: 'https://github.com/spotify/web-api-examples',
        dated: '2023-11-07',
        shows: ['authorization', 'token', 'client', 'application'],
      },
      {
        page: 'https://github.com/spotify/spotify-web-api-ts-sdk',
        dated: '2025-10-15',
        shows: ['authorization', 'token', 'proofKey', 'api'],
      },
    ],
  },
  oauth: {
    issuer: 'https://accounts.spotify.com',
    responseIssuer: 'checked',
    authorizationEndpoint: 'https://accounts.spotify.com/authorize',
    tokenEndpoint: 'https://accounts.spotify.com/api/token',
    tokenAuth: 'client_secret_basic',
    scopeSeparator: ' ',
    authorizationParams: {},
    clientCredentials: true,
    tokenQuirks: [],
  },
  userinfo: { url: 'https://api.spotify.com/v1/me', method: 'GET', idPath: ['id'], labelPath: ['display_name'], headers: {} },
  api: {
    base: 'https://api.spotify.com/v1',
    injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
    defaultHeaders: {},
  },
  defaultScopes: ['user-read-private'],
  scopeContents: {},
  features: {
    'profile.read': ['user-read-private'],
    'library.read': ['user-library-read'],
  },
  // An answer without a refresh token leaves the old one in use; what becomes of it otherwise is not documented: strict.
  // Six months after consent it dies, used or not: https://developer.spotify.com/blog/2026-06-18-refresh-token-expiration
  rotation: { kind: 'strict' },
  // None is documented; people take it back in their account.
  revocation: { kind: 'none' },
  requestLifetimeMs: 50_000,
  origins: ['https://accounts.spotify.com', 'https://api.spotify.com'],
}
