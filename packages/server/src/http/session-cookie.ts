/**
 * Owns the console session's cookie. Refuses to be read by script, to be sent across sites with anything but a plain visit, and,
 * over https, to be set by any other host or path (`__Host-`, RFC 6265bis section 4.1.3).
 */
import type { FastifyReply } from 'fastify'
import type { Secret } from '@sallyport/core'

/** Plain http is for development on loopback, where browsers refuse the prefix. */
export function sessionCookieName(https: boolean): string {
  return https ? '__Host-sallyport_session' : 'sallyport_session'
}

export interface SessionCookie {
  readonly name: string
  set(reply: FastifyReply, token: Secret, expiresAt: Date): void
  clear(reply: FastifyReply): void
}

export function createSessionCookie(https: boolean): SessionCookie {
  const name = sessionCookieName(https)
  const attributes = { path: '/', httpOnly: true, secure: https, sameSite: 'lax' } as const
  return {
    name,
    set: (reply, token, expiresAt) => void reply.setCookie(name, token.reveal(), { ...attributes, expires: expiresAt }),
    clear: (reply) => void reply.clearCookie(name, attributes),
  }
}
