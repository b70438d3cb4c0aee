/** Atlassian's three-legged apps. https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/ */
import type { z } from 'zod'
import type { providerSchema } from '../schema.ts'

export const atlassian: z.input<typeof providerSchema> = {
  id: 'atlassian',
  name: 'Atlassian (Jira, Confluence)',
  docs: 'https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/',
  held: {
    on: '2026-11-22',
    pages: [
      {
        page: 'https://github.com/atlassian/atlascode',
        dated: '2026-08-04',
        shows: ['authorization', 'token', 'client', 'proofKey', 'account', 'api', 'quirks'],
      },
    ],
  },
  oauth: {
    issuer: 'https://auth.atlassian.com',
    responseIssuer: 'checked',
    authorizationEndpoint: 'https://auth.atlassian.com/authorize',
    tokenEndpoint: 'https://auth.atlassian.com/oauth/token',
    tokenAuth: 'client_secret_post',
    scopeSeparator: ' ',
    authorizationParams: { audience: 'api.atlassian.com', prompt: 'consent' },
    // Its reference shows objects, and forms nowhere.
    tokenBody: 'json',
    tokenQuirks: [],
  },
  userinfo: { url: 'https://api.atlassian.com/me', method: 'GET', idPath: ['account_id'], labelPath: ['email'], headers: {} },
  api: {
    base: 'https://api.atlassian.com',
    injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
    defaultHeaders: {},
  },
  defaultScopes: ['offline_access', 'read:me'],
  scopeContents: {},
  features: {
    'profile.read': ['read:me'],
    'issues.read': ['read:jira-work'],
  },
  // A refresh token that was used is taken for ten more minutes; after them its use ends the whole grant.
  rotation: { kind: 'grace', seconds: 600 },
  // 90 days without a refresh. Besides, a year after consent, whatever was done.
  grant: { idleDays: 90 },
  // None is documented for these apps.
  revocation: { kind: 'none' },
  requestLifetimeMs: 50_000,
  origins: ['https://auth.atlassian.com', 'https://api.atlassian.com'],
}
