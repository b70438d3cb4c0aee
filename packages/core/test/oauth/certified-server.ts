/** Owns a certified authorization server on loopback, the judge of these tests: who may sign in, and what else it is to offer, each test says. */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Provider } from 'oidc-provider'

export interface CertifiedServer {
  readonly origin: string
  readonly provider: Provider
  close(): Promise<void>
}

export interface CertifiedServerOptions {
  readonly clients: readonly Readonly<Record<string, unknown>>[]
  readonly features?: Readonly<Record<string, unknown>>
  readonly rotateRefreshToken?: boolean
  /** Seconds. */
  readonly accessTokenLife?: number
  /** Sees each request. True: it answers that one itself. */
  readonly before?: (request: IncomingMessage, response: ServerResponse, provider: Provider) => boolean
}

/** Everybody signs in as whom they say they are; `openid`, `email` and `offline_access` are its scopes. */
export async function startCertifiedServer(options: CertifiedServerOptions): Promise<CertifiedServer> {
  const { clients, features = {}, rotateRefreshToken = false, accessTokenLife = 3600, before = () => false } = options
  const http = createServer()
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const life = { AuthorizationCode: 60, Grant: 3600, IdToken: 3600, Interaction: 600, RefreshToken: 3600, Session: 3600, DeviceCode: 600 }
  const provider = new Provider(origin, {
    clients,
    pkce: { required: () => true },
    features,
    claims: { openid: ['sub'], email: ['email'] },
    scopes: ['openid', 'email', 'offline_access', 'read'],
    cookies: { keys: ['a-key-of-a-test'] },
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@test.example` }) }),
    // The default resolution forgets offline access without a consent prompt, which the request asks for.
    issueRefreshToken: async () => true,
    rotateRefreshToken,
    ttl: { ...life, AccessToken: accessTokenLife, ClientCredentials: accessTokenLife },
  })
  const handle = provider.callback()
  http.on('request', (request, response) => {
    if (!before(request, response, provider)) void handle(request, response)
  })
  return {
    origin,
    provider,
    close: async () => {
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
    },
  }
}
