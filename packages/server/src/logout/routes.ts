/**
 * Owns the address that issuers send logout tokens to, and what HTTP says there (OpenID Connect Back-Channel Logout 1.0 sections 2.5 and 2.8). Refuses
 * large bodies before they are read, and to say why a token was refused.
 */
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { RouteAccess } from '@sallyport/contract'
import { Secret } from '@sallyport/core'
import type { BackChannelLogout } from './back-channel-logout.ts'

const MAX_BODY_BYTES = 32 * 1024
const LOGOUT: RouteAccess = { audience: 'public', tenant: 'none', audit: 'session.ended', bodyLimit: MAX_BODY_BYTES }

/** Adds the address in a scope of its own, where bodies are forms. */
export function registerLogoutRoute(app: FastifyInstance, logout: Pick<BackChannelLogout, 'end'>): void {
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => done(null, body))
    scope.post('/oidc/backchannel-logout', { config: { access: LOGOUT } }, async (request, reply) => {
      const token = tokenOf(request.body)
      const outcome = token === undefined ? 'refused' : await logout.end(token, request.caller.address)
      return outcome === 'ended' ? reply.code(200).send() : refuse(reply)
    })
  })
}

/** Exactly one; whatever else stands in the form is passed over. */
function tokenOf(body: unknown): Secret | undefined {
  const [token, another] = typeof body === 'string' ? new URLSearchParams(body).getAll('logout_token') : []
  return token === undefined || token === '' || another !== undefined ? undefined : new Secret(token)
}

function refuse(reply: FastifyReply): FastifyReply {
  const said = { error: 'invalid_request', error_description: 'This is no logout token that is taken here, or it was carried out before.' }
  return reply.code(400).header('sallyport-error-source', 'gateway').type('application/json').serializer(String).send(JSON.stringify(said))
}
