/** Owns what the SDK's tests stand on: a certified authorization server as provider and API, and configurations for it. */
import { hasCode } from '../../src/index.ts'
import type { ConnectionName, ProviderConfig, Sallyport, SallyportConfig } from '../../src/index.ts'
import { startCertifiedServer } from '../oauth/certified-server.ts'

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
  const certified = await startCertifiedServer({
    clients: [
      {
        client_id: 'strict-client',
        client_secret: CLIENT_SECRET,
        redirect_uris: [REDIRECT_URI],
        grant_types: ['authorization_code', 'refresh_token'],
      },
    ],
    features: { revocation: { enabled: true } },
    rotateRefreshToken: true,
  })
  const { origin } = certified
  return {
    origin,
    record: recordAt(origin),
    client: { clientId: 'strict-client', clientSecret: CLIENT_SECRET, redirectUri: REDIRECT_URI },
    close: () => certified.close(),
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

/** A caller waits a second for a refresh whose token can be used yet. On a busy machine that is too short for one that goes well: it is asked for again. */
export async function renewed(sallyport: Sallyport, of: ConnectionName): Promise<{ readonly expiresAt: number | null }> {
  for (;;) {
    try {
      return await sallyport.refresh(of)
    } catch (error) {
      if (!hasCode(error, 'refresh_pending')) throw error
    }
  }
}
