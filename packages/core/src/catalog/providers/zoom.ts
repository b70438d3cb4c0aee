/** Zoom. https://developers.zoom.us/docs/integrations/oauth/ */
import type { z } from 'zod'
import type { providerSchema } from '../schema.ts'

export const zoom: z.input<typeof providerSchema> = {
  id: 'zoom',
  name: 'Zoom',
  docs: 'https://developers.zoom.us/docs/integrations/oauth/',
  held: {
    on: '2026-11-22',
    pages: [
      {
        page: 'https://github.com/zoom/zoom-oauth-sample-app',
        dated: '2025-01-23',
        shows: ['authorization', 'token', 'client', 'account', 'api'],
      },
      {
        // Its part that Zoom wrote.
        page: 'https://github.com/anthropics/knowledge-work-plugins',
        dated: '2026-04-10',
        shows: ['token', 'client', 'proofKey', 'revocation', 'account', 'scopes', 'rotation'],
      },
    ],
  },
  notes: ['Access tokens live an hour.', 'All applications of one account share its quota: `X-RateLimit-Remaining`.'],
  oauth: {
    issuer: 'https://zoom.us',
    responseIssuer: 'checked',
    authorizationEndpoint: 'https://zoom.us/oauth/authorize',
    tokenEndpoint: 'https://zoom.us/oauth/token',
    tokenAuth: 'client_secret_basic',
    scopeSeparator: ' ',
    authorizationParams: {},
    tokenQuirks: [],
  },
  userinfo: { url: 'https://api.zoom.us/v2/users/me', method: 'GET', idPath: ['id'], labelPath: ['email'], headers: {} },
  api: {
    base: 'https://api.zoom.us/v2',
    injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
    defaultHeaders: {},
  },
  defaultScopes: ['user:read:user'],
  // Applications made before scopes were split name the broader ones.
  scopeContents: { 'user:read': ['user:read:user'], 'meeting:read': ['meeting:read:list_meetings'] },
  features: {
    'profile.read': ['user:read:user'],
    'meetings.read': ['meeting:read:list_meetings'],
  },
  // Each refresh gives a new refresh token, and only the newest works.
  rotation: { kind: 'strict' },
  // Access tokens alone.
  revocation: {
    kind: 'rfc7009',
    endpoint: 'https://zoom.us/oauth/revoke',
    clientAuth: 'client_secret_basic',
    reach: 'token',
    takes: 'access',
  },
  requestLifetimeMs: 50_000,
  origins: ['https://zoom.us', 'https://api.zoom.us'],
}
