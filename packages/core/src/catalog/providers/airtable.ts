/** Airtable. https://airtable.com/developers/web/api/oauth-reference */
import type { z } from 'zod'
import type { providerSchema } from '../schema.ts'

export const airtable: z.input<typeof providerSchema> = {
  id: 'airtable',
  name: 'Airtable',
  docs: 'https://airtable.com/developers/web/api/oauth-reference',
  held: {
    on: '2026-11-22',
    pages: [
      {
        page: 'https://github.com/Airtable/oauth-example',
        dated: '2023-04-10',
        shows: ['authorization', 'token', 'client', 'proofKey', 'rotation'],
      },
    ],
  },
  notes: ['A proof key by S256 is demanded. A refresh token that is shown twice may cost the grant.'],
  oauth: {
    issuer: 'https://airtable.com',
    responseIssuer: 'checked',
    authorizationEndpoint: 'https://airtable.com/oauth2/v1/authorize',
    tokenEndpoint: 'https://airtable.com/oauth2/v1/token',
    tokenAuth: 'client_secret_basic',
    scopeSeparator: ' ',
    authorizationParams: {},
    tokenQuirks: [],
  },
  userinfo: { url: 'https://api.airtable.com/v0/meta/whoami', method: 'GET', idPath: ['id'], labelPath: ['email'], headers: {} },
  api: {
    base: 'https://api.airtable.com/v0',
    injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
    defaultHeaders: {},
  },
  defaultScopes: ['user.email:read'],
  scopeContents: {},
  features: {
    'profile.read': ['user.email:read'],
    'records.read': ['data.records:read'],
  },
  // Every refresh gives a new refresh token in place of the one that was used.
  rotation: { kind: 'strict' },
  // A refresh token lives 60 days; a refresh gives a new one.
  grant: { idleDays: 60 },
  // None is documented; people take it back in their account.
  revocation: { kind: 'none' },
  requestLifetimeMs: 50_000,
  origins: ['https://airtable.com', 'https://api.airtable.com'],
}
