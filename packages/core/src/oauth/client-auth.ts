/**
 * Owns how a client proves itself at a provider's endpoints (RFC 6749 section 2.3.1). Refuses more encoding than the form encoding asks for:
 * a letter, digit or `*-._` may stand as it is, and providers that take the header's halves as they come know no `%2D`.
 */
import { ClientSecretPost, None } from 'oauth4webapi'
import type { ClientAuth } from 'oauth4webapi'
import type { Secret } from '../kernel/index.ts'
import type { OAuthClient, TokenServer } from './server.ts'

const CLIENT_AUTH: Readonly<Record<TokenServer['tokenAuth'], (secret: string) => ClientAuth>> = {
  client_secret_post: ClientSecretPost,
  // The library's own spells every mark as %XX, which is the same to a server that decodes and another client to one that does not.
  client_secret_basic: (secret) => (_server, client, _body, headers) => headers.set('authorization', basic(client.client_id, secret)),
}

/** A client without a secret names itself and proves nothing (RFC 6749 section 2.1). */
export function clientAuth({ tokenAuth }: Pick<TokenServer, 'tokenAuth'>, { clientSecret }: Pick<OAuthClient, 'clientSecret'>): ClientAuth {
  return clientSecret === null ? None() : CLIENT_AUTH[tokenAuth](clientSecret.reveal())
}

/** The header's value. Both parts are form-encoded before they are joined. */
export function basicOf(clientId: string, clientSecret: Secret): string {
  return basic(clientId, clientSecret.reveal())
}

function basic(id: string, secret: string): string {
  return `Basic ${Buffer.from(`${formEncoded(id)}:${formEncoded(secret)}`, 'latin1').toString('base64')}`
}

/** As the URL standard writes forms. */
function formEncoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}
