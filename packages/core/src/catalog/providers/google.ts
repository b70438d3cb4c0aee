/** Google's web-server flow. https://developers.google.com/identity/protocols/oauth2/web-server */
import type { z } from 'zod'
import type { providerSchema } from '../schema.ts'

export const google: z.input<typeof providerSchema> = {
  id: 'google',
  name: 'Google',
  docs: 'https://developers.google.com/identity/protocols/oauth2/web-server',
  held: {
    on: '2026-11-22',
    pages: [
      {
        page: 'https://github.com/googleapis/google-auth-library-nodejs',
        dated: '2025-11-20',
        shows: ['authorization', 'token', 'client', 'proofKey', 'revocation', 'quirks'],
      },
      { page: 'https://github.com/golang/oauth2', dated: '2026-01-12', shows: ['token', 'client', 'device'] },
      { page: 'https://developers.google.com/identity/protocols/oauth2/limited-input-device', shows: ['device'] },
      { page: 'https://www.googleapis.com/discovery/v1/apis/calendar/v3/rest', shows: ['api'] },
    ],
  },
  notes: ['Devices get few of the scopes: profile, and files of their own.'],
  oauth: {
    // Advertised in its metadata (authorization_response_iss_parameter_supported), so an answer without `iss` is refused.
    issuer: 'https://accounts.google.com',
    responseIssuer: 'required',
    authorizationEndpoint: 'https://accounts.google.com/o/oauth2/v2/auth',
    tokenEndpoint: 'https://oauth2.googleapis.com/token',
    tokenAuth: 'client_secret_post',
    scopeSeparator: ' ',
    // Without both, a second consent gives no refresh token.
    authorizationParams: { access_type: 'offline', prompt: 'consent' },
    // Takes few of the scopes: profile, and files of one's own.
    deviceAuthorizationEndpoint: 'https://oauth2.googleapis.com/device/code',
    tokenQuirks: [],
  },
  userinfo: {
    url: 'https://openidconnect.googleapis.com/v1/userinfo',
    method: 'GET',
    idPath: ['sub'],
    labelPath: ['email'],
    headers: {},
  },
  api: {
    base: 'https://www.googleapis.com',
    // The directory of its APIs: https://developers.google.com/discovery/v1/reference/apis/list
    probe: { method: 'HEAD', path: '/discovery/v1/apis' },
    injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
    defaultHeaders: {},
  },
  defaultScopes: ['openid', 'email'],
  // Google answers with the long names of the scopes that OpenID Connect names shortly.
  scopeContents: {
    'https://www.googleapis.com/auth/userinfo.email': ['email'],
    'https://www.googleapis.com/auth/userinfo.profile': ['profile'],
    email: ['https://www.googleapis.com/auth/userinfo.email'],
    profile: ['https://www.googleapis.com/auth/userinfo.profile'],
    'https://mail.google.com/': ['https://www.googleapis.com/auth/gmail.modify'],
    'https://www.googleapis.com/auth/gmail.modify': ['https://www.googleapis.com/auth/gmail.readonly'],
    'https://www.googleapis.com/auth/calendar': [
      'https://www.googleapis.com/auth/calendar.readonly',
      'https://www.googleapis.com/auth/calendar.events',
    ],
    'https://www.googleapis.com/auth/calendar.events': ['https://www.googleapis.com/auth/calendar.events.readonly'],
    'https://www.googleapis.com/auth/calendar.readonly': ['https://www.googleapis.com/auth/calendar.events.readonly'],
    'https://www.googleapis.com/auth/drive': [
      'https://www.googleapis.com/auth/drive.readonly',
      'https://www.googleapis.com/auth/drive.file',
    ],
  },
  // https://developers.google.com/workspace/gmail/api/auth/scopes and https://developers.google.com/workspace/calendar/api/auth
  features: {
    'profile.read': ['openid'],
    'mail.read': ['https://www.googleapis.com/auth/gmail.readonly'],
    'calendar.read': ['https://www.googleapis.com/auth/calendar.events.readonly'],
    'files.read': ['https://www.googleapis.com/auth/drive.readonly'],
  },
  rotation: { kind: 'none' },
  // "Not used for six months": https://developers.google.com/identity/protocols/oauth2#expiration
  grant: { idleDays: 180 },
  // https://developers.google.com/identity/protocols/risc: its tokens write the issuer with a slash, its metadata without.
  securityEvents: {
    issuers: ['https://accounts.google.com', 'https://accounts.google.com/'],
    keys: 'https://www.googleapis.com/oauth2/v3/certs',
    untyped: true,
  },
  // Either token ends the account's whole grant to the project, and proves itself.
  revocation: { kind: 'rfc7009', endpoint: 'https://oauth2.googleapis.com/revoke', clientAuth: 'none', reach: 'account' },
  requestLifetimeMs: 50_000,
  origins: [
    'https://accounts.google.com',
    'https://oauth2.googleapis.com',
    'https://openidconnect.googleapis.com',
    'https://www.googleapis.com',
  ],
}
