/** Discord. https://docs.discord.com/developers/topics/oauth2 */
import type { z } from 'zod'
import type { providerSchema } from '../schema.ts'

export const discord: z.input<typeof providerSchema> = {
  id: 'discord',
  name: 'Discord',
  docs: 'https://docs.discord.com/developers/topics/oauth2',
  held: {
    on: '2026-11-22',
    pages: [
      {
        page: 'https://docs.discord.com/developers/topics/oauth2',
        dated: '2026-05-05',
        shows: ['authorization', 'token', 'client', 'application', 'revocation', 'account', 'api', 'scopes'],
      },
    ],
  },
  notes: ['Access tokens live a week.', 'Quota: `X-RateLimit-Limit`, `-Remaining` and `-Reset`, in seconds since 1970 with a fraction.'],
  oauth: {
    issuer: 'https://discord.com',
    responseIssuer: 'checked',
    authorizationEndpoint: 'https://discord.com/oauth2/authorize',
    tokenEndpoint: 'https://discord.com/api/oauth2/token',
    tokenAuth: 'client_secret_basic',
    scopeSeparator: ' ',
    authorizationParams: {},
    // Tokens of whoever owns the application.
    clientCredentials: true,
    tokenQuirks: [],
  },
  userinfo: {
    url: 'https://discord.com/api/v10/users/@me',
    method: 'GET',
    idPath: ['id'],
    labelPath: ['username'],
    headers: { 'user-agent': 'DiscordBot (sallyport, 0.1.0)' },
  },
  api: {
    base: 'https://discord.com/api/v10',
    injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
    // Calls must name their agent in this form: https://docs.discord.com/developers/reference#user-agent
    defaultHeaders: { 'user-agent': 'DiscordBot (sallyport, 0.1.0)' },
  },
  defaultScopes: ['identify'],
  scopeContents: {},
  features: { 'profile.read': ['identify'] },
  // Whether a refresh token that was used works again is not documented: strict.
  rotation: { kind: 'strict' },
  // Either token ends every token of the authorization.
  revocation: {
    kind: 'rfc7009',
    endpoint: 'https://discord.com/api/oauth2/token/revoke',
    clientAuth: 'client_secret_basic',
    reach: 'account',
  },
  requestLifetimeMs: 50_000,
  origins: ['https://discord.com'],
}
