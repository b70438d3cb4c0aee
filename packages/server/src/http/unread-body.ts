/** Owns what becomes of the body of a request that was refused before it was read. Refuses to read it for longer than its sender needs to hear so. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { rawValues } from './client-address.ts'

/** How long a refused upload may go on before its connection is cut, so that its sender can read the refusal first. */
const LINGER_MS = 2_000

/**
 * Lets a sender whose body was refused read the answer before its connection goes: the rest is discarded for a moment, never kept. A connection whose
 * body arrives whole in that time serves the next request: node leaves a body alone that somebody began to read, and with it all that comes after it.
 */
export function lingerOverBody(request: IncomingMessage, response: ServerResponse): void {
  if (!sendsBody(request.rawHeaders)) return
  response.once('finish', () => {
    request.removeAllListeners('data')
    request.resume()
    if (request.complete) return
    const timer = setTimeout(() => request.socket.destroy(), LINGER_MS)
    request.once('end', () => clearTimeout(timer))
    request.once('close', () => clearTimeout(timer))
  })
}

/** RFC 9112 section 6.3: a request without either header has no body. */
function sendsBody(rawHeaders: readonly string[]): boolean {
  return rawValues(rawHeaders, 'content-length').some((length) => length !== '0') || rawValues(rawHeaders, 'transfer-encoding').length > 0
}
