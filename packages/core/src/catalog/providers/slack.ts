/** Slack, speaking as the application's bot. https://docs.slack.dev/authentication/installing-with-oauth */
import type { z } from 'zod'
import type { providerSchema } from '../schema.ts'

export const slack: z.input<typeof providerSchema> = {
  id: 'slack',
  name: 'Slack (bot)',
  docs: 'https://docs.slack.dev/authentication/installing-with-oauth',
  held: {
    on: '2026-11-22',
    pages: [
      {
        page: 'https://github.com/slackapi/slack-api-specs',
        dated: '2021-09-07',
        shows: ['token', 'account', 'api', 'revocation'],
      },
      { page: 'https://github.com/slackapi/python-slack-sdk', dated: '2026-08-05', shows: ['client'] },
      { page: 'https://github.com/slackapi/node-slack-sdk', dated: '2026-07-14', shows: ['authorization', 'token', 'quirks'] },
    ],
  },
  notes: ['Failures come with status 200 and `ok: false`. A 429 has `Retry-After`.'],
  oauth: {
    issuer: 'https://slack.com',
    responseIssuer: 'checked',
    authorizationEndpoint: 'https://slack.com/oauth/v2/authorize',
    tokenEndpoint: 'https://slack.com/api/oauth.v2.access',
    tokenAuth: 'client_secret_basic',
    scopeSeparator: ',',
    authorizationParams: {},
    // Failures come with status 200, `ok: false` and an `error`: https://docs.slack.dev/reference/methods/oauth.v2.access
    tokenQuirks: ['error_in_success', 'own_token_type'],
  },
  userinfo: { url: 'https://slack.com/api/auth.test', method: 'POST', idPath: ['user_id'], labelPath: ['user'], headers: {} },
  api: {
    base: 'https://slack.com/api',
    // https://docs.slack.dev/reference/methods/api.test
    probe: { method: 'GET', path: '/api.test' },
    injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
    defaultHeaders: {},
  },
  defaultScopes: ['channels:read'],
  scopeContents: {},
  features: {
    'messages.read': ['channels:read', 'channels:history'],
    'messages.write': ['chat:write'],
  },
  // Only where the application turned rotation on: https://docs.slack.dev/authentication/using-token-rotation
  rotation: { kind: 'strict' },
  // https://docs.slack.dev/reference/methods/auth.revoke takes the access token as an argument.
  revocation: {
    kind: 'rfc7009',
    endpoint: 'https://slack.com/api/auth.revoke',
    clientAuth: 'none',
    reach: 'token',
    takes: 'access',
  },
  requestLifetimeMs: 50_000,
  origins: ['https://slack.com'],
}
