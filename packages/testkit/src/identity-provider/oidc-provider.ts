/**
 * Owns an issuer of access tokens made of oidc-provider, a certified implementation that others wrote: JWTs of RFC 9068 under its own keys, which it can
 * turn over. Refuses browsers: a grant is written into its books directly.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair } from 'jose'

/** The models behind its books, which are not declared. */
interface Books {
  readonly ResourceServer: new (identifier: string, data: object) => object
  readonly AccessToken: new (properties: object) => { save(): Promise<string> }
  readonly Client: { find(id: string): Promise<object | undefined> }
  callback(): (request: unknown, response: unknown) => Promise<void>
}

export interface CertifiedIssuer {
  readonly issuer: string
  readonly keysUri: string
  /** An access token for `audience`, an hour long. */
  accessToken(subject: string, audience: string): Promise<string>
  /** Begins anew with other keys under the same name, as after an operator's rotation. */
  rotate(): Promise<void>
  close(): Promise<void>
}

const CLIENT = 'console'

export async function startCertifiedIssuer(): Promise<CertifiedIssuer> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  let books = await makeProvider(issuer)
  server.on('request', (request, response) => void books.callback()(request, response))
  return {
    issuer,
    keysUri: `${issuer}/jwks`,
    async accessToken(subject, audience) {
      const resourceServer = new books.ResourceServer(audience, {
        audience,
        scope: 'use',
        accessTokenFormat: 'jwt',
        accessTokenTTL: 3600,
        jwt: { sign: { alg: 'RS256' } },
      })
      const client = await books.Client.find(CLIENT)
      const token = new books.AccessToken({
        accountId: subject,
        client,
        grantId: randomUUID(),
        gty: 'authorization_code',
        scope: 'use',
        resourceServer,
      })
      return token.save()
    },
    async rotate() {
      books = await makeProvider(issuer)
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function makeProvider(issuer: string): Promise<Books> {
  const { Provider } = await import('oidc-provider')
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  const key = { ...(await exportJWK(privateKey)), kid: randomUUID(), use: 'sig', alg: 'RS256' }
  const made = new Provider(issuer, {
    clients: [{ client_id: CLIENT, client_secret: randomBytes(16).toString('hex'), redirect_uris: ['http://127.0.0.1:1/cb'] }],
    cookies: { keys: [randomBytes(16).toString('hex')] },
    jwks: { keys: [key] },
    features: { devInteractions: { enabled: false }, resourceIndicators: { enabled: true } },
    findAccount: (_context: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
  })
  return made as unknown as Books
}
