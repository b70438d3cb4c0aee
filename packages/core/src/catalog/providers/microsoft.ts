/** Microsoft's identity platform, for Microsoft Graph. https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-auth-code-flow */
import type { z } from 'zod'
import type { providerSchema } from '../schema.ts'

export const microsoft: z.input<typeof providerSchema> = {
  id: 'microsoft',
  name: 'Microsoft Graph',
  docs: 'https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-auth-code-flow',
  held: {
    on: '2026-11-22',
    pages: [
      {
        page: 'https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-auth-code-flow',
        shows: ['authorization', 'token', 'client', 'proofKey', 'api', 'rotation'],
      },
      {
        page: 'https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-device-code',
        dated: '2024-01-10',
        shows: ['device', 'token'],
      },
      {
        page: 'https://learn.microsoft.com/en-us/entra/identity-platform/refresh-tokens',
        dated: '2025-05-14',
        shows: ['rotation', 'idle'],
      },
      { page: 'https://github.com/microsoftgraph/microsoft-graph-devx-content', dated: '2026-08-07', shows: ['account', 'scopes'] },
    ],
  },
  notes: [
    'Access tokens live about an hour.',
    'A refusal on another device is called `authorization_declined`.',
    '`Mail.ReadBasic` and `Calendars.ReadBasic` are narrower, and leave out the text of a mail or event.',
  ],
  oauth: {
    // Each directory has an issuer of its own; none is named in the answers to this address.
    issuer: 'https://login.microsoftonline.com/common/v2.0',
    responseIssuer: 'checked',
    authorizationEndpoint: 'https://login.microsoftonline.com/common/oauth2/v2.0/authorize',
    tokenEndpoint: 'https://login.microsoftonline.com/common/oauth2/v2.0/token',
    tokenAuth: 'client_secret_post',
    scopeSeparator: ' ',
    authorizationParams: {},
    deviceAuthorizationEndpoint: 'https://login.microsoftonline.com/common/oauth2/v2.0/devicecode',
    tokenQuirks: [],
  },
  userinfo: { url: 'https://graph.microsoft.com/v1.0/me', method: 'GET', idPath: ['id'], labelPath: ['userPrincipalName'], headers: {} },
  api: {
    base: 'https://graph.microsoft.com/v1.0',
    // Without a token it is a 401, which says enough.
    probe: { method: 'HEAD', path: '/me' },
    injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
    defaultHeaders: {},
  },
  defaultScopes: ['offline_access', 'User.Read'],
  // Answers name no `offline_access`, whose grant is the refresh token itself, and give some names in full.
  scopeContents: {
    'User.Read': ['offline_access'],
    'https://graph.microsoft.com/User.Read': ['User.Read'],
    'https://graph.microsoft.com/Mail.Read': ['Mail.Read'],
    'https://graph.microsoft.com/Calendars.Read': ['Calendars.Read'],
    'https://graph.microsoft.com/Files.Read': ['Files.Read'],
    'Mail.ReadWrite': ['Mail.Read'],
    'Mail.Read': ['Mail.ReadBasic'],
    'Calendars.ReadWrite': ['Calendars.Read'],
    'Calendars.Read': ['Calendars.ReadBasic'],
    'Files.ReadWrite': ['Files.Read'],
  },
  features: {
    'profile.read': ['User.Read'],
    'mail.read': ['Mail.Read'],
    'calendar.read': ['Calendars.Read'],
    'files.read': ['Files.Read'],
  },
  // Each refresh gives a new refresh token, and the older ones go on working:
  // https://learn.microsoft.com/en-us/entra/identity-platform/refresh-tokens
  rotation: { kind: 'none' },
  // The same page: 90 days, counted anew for each new one.
  grant: { idleDays: 90 },
  // None for one client and account. Ending all sessions of an account is another thing.
  revocation: { kind: 'none' },
  requestLifetimeMs: 50_000,
  origins: ['https://login.microsoftonline.com', 'https://graph.microsoft.com'],
}
