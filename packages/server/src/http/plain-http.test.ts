import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { trustedProxies } from './client-address.ts'
import { createPlainHttpGuard } from './plain-http.ts'

/** The status of the refusal of a request from there; undefined when it is let through. */
function refused(peer: string, rawHeaders: readonly string[] = []): number | undefined {
  const socket = Object.defineProperty(new Socket(), 'remoteAddress', { value: peer })
  const request = new IncomingMessage(socket)
  request.rawHeaders = [...rawHeaders]
  const response = new ServerResponse(request)
  const answered = createPlainHttpGuard(trustedProxies(['10.0.0.0/8', '2001:db8::/32']), {})(request, response)
  expect(answered).toBe(response.writableEnded)
  return answered ? response.statusCode : undefined
}

describe('a request without TLS', () => {
  it.each(['192.0.2.7', '::ffff:192.0.2.7', '2001:db9::1', '', '128.0.0.1'])('X-02 is refused from %j, which is past the proxy', (peer) => {
    expect(refused(peer)).toBe(403)
    expect(refused(peer, ['X-Forwarded-Proto', 'https'])).toBe(403)
  })

  it.each(['10.1.2.3', '::ffff:10.1.2.3', '2001:db8::1'])(
    'X-02 is believed of the proxy at %s to have come by TLS, unless it says otherwise',
    (peer) => {
      expect(refused(peer)).toBeUndefined()
      expect(refused(peer, ['x-forwarded-proto', 'https'])).toBeUndefined()
      expect(refused(peer, ['X-Forwarded-Proto', 'HTTPS, https'])).toBeUndefined()
      for (const said of ['http', 'https, http', 'http,https', '']) expect(refused(peer, ['X-Forwarded-Proto', said]), said).toBe(403)
      expect(refused(peer, ['X-Forwarded-Proto', 'https', 'X-FORWARDED-PROTO', 'http'])).toBe(403)
    },
  )

  it.each(['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'])('is taken from %s: there is no network between', (peer) => {
    expect(refused(peer)).toBeUndefined()
  })
})
