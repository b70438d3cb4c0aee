/**
 * Owns an authorization server made of oidc-provider, a certified implementation that others wrote: it rotates refresh tokens at every use and ends
 * the grant when a used one is shown again. Refuses browsers: a consent is written into its books directly.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { OtherIssuer } from './emulated.ts'

/** The models behind its books. */
interface Books {
  readonly Grant: new (properties: { accountId: string; clientId: string }) => Saved & { addOIDCScope(scope: string): void }
  readonly RefreshToken: new (properties: object) => Saved
  readonly Client: { find(id: string): Promise<object | undefined> }
}

interface Saved {
  save(): Promise<string>
}

const SCOPE = 'openid offline_access'

export async function startOidcProvider(): Promise<OtherIssuer> {
  const [clientId, clientSecret] = ['test-oidc', `not-a-secret-${randomBytes(8).toString('hex')}`]
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { Provider } = await import('oidc-provider')
  const made = new Provider(issuer, {
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: ['http://127.0.0.1:1/cb'],
        token_endpoint_auth_method: 'client_secret_post',
      },
    ],
    cookies: { keys: [randomBytes(16).toString('hex')] },
    features: { devInteractions: { enabled: false } },
    findAccount: (_context: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
    rotateRefreshToken: true,
    ttl: { AccessToken: 3600, Grant: 86_400, IdToken: 3600, RefreshToken: 86_400 },
  })
  // Its books are not declared.
  const provider = made as typeof made & Books
  const answer = provider.callback()
  server.on('request', (request, response) => void answer(request, response))
  return {
    name: 'oidc-provider',
    issuer,
    tokenEndpoint: `${issuer}/token`,
    clientId,
    clientSecret,
    async consent() {
      const accountId = `person-${randomBytes(4).toString('hex')}`
      const grant = new provider.Grant({ accountId, clientId })
      grant.addOIDCScope(SCOPE)
      const refreshToken = new provider.RefreshToken({
        accountId,
        client: await provider.Client.find(clientId),
        grantId: await grant.save(),
        gty: 'authorization_code',
        scope: SCOPE,
        claims: {},
      })
      return { access_token: 'from-before', refresh_token: await refreshToken.save(), expires_in: 3600 }
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
