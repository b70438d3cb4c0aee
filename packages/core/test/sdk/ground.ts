/** Owns what the SDK's tests stand on: a certified authorization server as provider and API, and configurations for it. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Provider } from 'oidc-provider'
import type { ProviderConfig, SallyportConfig } from '../../src/index.ts'

export const REDIRECT_URI = 'https://app.example/callback'
export const CLIENT_SECRET = 'not-a-secret-client-of-the-sdk'

export interface Ground {
  readonly origin: string
  /** Its record, for `connectors`. Name: `strict`. */
  readonly record: object
  readonly client: ProviderConfig
  close(): Promise<void>
}

export async function startGround(): Promise<Ground> {
  const http = createServer()
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const provider = new Provider(origin, {
    clients: [
      {
        client_id: 'strict-client',
        client_secret: CLIENT_SECRET,
        redirect_uris: [REDIRECT_URI],
        grant_types: ['authorization_code', 'refresh_token'],
      },
    ],
    pkce: { required: () => true },
    features: { revocation: { enabled: true } },
    claims: { openid: ['sub'], email: ['email'] },
    scopes: ['openid', 'email', 'offline_access'],
    cookies: { keys: ['a-key-of-a-test'] },
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@test.example` }) }),
    issueRefreshToken: async () => true,
    rotateRefreshToken: true,
    ttl: { AccessToken: 3600, AuthorizationCode: 60, Grant: 3600, IdToken: 3600, Interaction: 600, RefreshToken: 3600, Session: 3600 },
  })
  const handle = provider.callback()
  http.on('request', (request, response) => void handle(request, response))
  return {
    origin,
    record: recordAt(origin),
    client: { clientId: 'strict-client', clientSecret: CLIENT_SECRET, redirectUri: REDIRECT_URI },
    close: async () => {
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
    },
  }
}

/** A provider's record whose API is `api`, the authorization server's own when absent. */
export function recordAt(origin: string, api = origin): object {
  return {
    id: 'strict',
    name: 'A strict server',
    docs: 'https://docs.example/',
    oauth: {
      issuer: origin,
      responseIssuer: 'required',
      authorizationEndpoint: `${origin}/auth`,
      tokenEndpoint: `${origin}/token`,
      tokenAuth: 'client_secret_basic',
      scopeSeparator: ' ',
      authorizationParams: { prompt: 'consent' },
      tokenQuirks: [],
    },
    userinfo: { url: `${origin}/me`, method: 'GET', idPath: ['sub'], labelPath: ['email'], headers: {} },
    api: {
      base: api,
      injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
      defaultHeaders: { 'x-from': 'record' },
    },
    defaultScopes: ['openid', 'email', 'offline_access'],
    scopeContents: {},
    features: { 'profile.read': ['openid'] },
    rotation: { kind: 'strict' },
    revocation: { kind: 'rfc7009', endpoint: `${origin}/token/revocation`, clientAuth: 'client_secret_basic', reach: 'token' },
    requestLifetimeMs: 5000,
    origins: [...new Set([origin, api])],
  }
}

/** A configuration in which everything is in order. */
export function configOn(
  ground: Ground,
  tokenStore: SallyportConfig['tokenStore'],
  changes: Partial<SallyportConfig> = {},
): SallyportConfig {
  return {
    mode: 'development',
    tokenStore,
    connectors: [ground.record],
    providers: { strict: ground.client },
    insecureAllowOrigins: [ground.origin],
    logging: { level: 'silent' },
    ...changes,
  }
}
