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
  readonly Client: { find(id: string): Promise<BookedClient | undefined> }
  callback(): (request: unknown, response: unknown) => Promise<void>
}

interface BookedClient {
  /** Sends a logout token to the client's address. Rejects unless it is answered with 200 or 204. */
  backchannelLogout(subject: string, session: string | undefined): Promise<void>
}

export interface CertifiedIssuer {
  readonly issuer: string
  readonly keysUri: string
  /** An access token for `audience`, an hour long. */
  accessToken(subject: string, audience: string): Promise<string>
  /** Signs a person out at its client `console`, by the back channel. Rejects when the address that it was started with does not agree. */
  signOut(subject: string): Promise<void>
  /** Begins anew with other keys under the same name, as after an operator's rotation. */
  rotate(): Promise<void>
  close(): Promise<void>
}

const CLIENT = 'console'

/** @param logoutUri asked when somebody signs out: where logout tokens go then */
export async function startCertifiedIssuer(logoutUri?: () => string): Promise<CertifiedIssuer> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  let books = await makeProvider(issuer, logoutUri)
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
    async signOut(subject) {
      const client = await books.Client.find(CLIENT)
      await client!.backchannelLogout(subject, undefined)
    },
    async rotate() {
      books = await makeProvider(issuer, logoutUri)
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

/** By name it is elsewhere: its own guard lets it call no loopback address. */
const LOGOUT_URI = 'https://gateway.test/oidc/backchannel-logout'

async function makeProvider(issuer: string, logoutUri: (() => string) | undefined): Promise<Books> {
  const { Provider } = await import('oidc-provider')
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  const key = { ...(await exportJWK(privateKey)), kid: randomUUID(), use: 'sig', alg: 'RS256' }
  const made = new Provider(issuer, {
    clients: [
      {
        client_id: CLIENT,
        client_secret: randomBytes(16).toString('hex'),
        redirect_uris: ['http://127.0.0.1:1/cb'],
        backchannel_logout_uri: LOGOUT_URI,
      },
    ],
    fetch: (url: string, { method, headers, body }: RequestInit) =>
      fetch(url === LOGOUT_URI && logoutUri !== undefined ? logoutUri() : url, { method, headers, body } as RequestInit),
    cookies: { keys: [randomBytes(16).toString('hex')] },
    jwks: { keys: [key] },
    features: { devInteractions: { enabled: false }, resourceIndicators: { enabled: true }, backchannelLogout: { enabled: true } },
    findAccount: (_context: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
  })
  return made as unknown as Books
}
