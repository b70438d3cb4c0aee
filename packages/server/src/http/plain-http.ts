/**
 * Owns the refusal of requests that came over a network without TLS, where the gateway does not end it itself: past the proxy that does, or by a
 * proxy that says so. Refuses to serve them, and to redirect: the key is out already, and its owner should see that.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { formatId, newId } from '@sallyport/core'
import { isTrustedPeer, rawValues } from './client-address.ts'
import type { TrustedProxies } from './client-address.ts'
import { ProblemError, sendProblem } from './problem.ts'

/** Answers such a request, and says true. From this machine itself requests may come plainly: there is no network between. */
export function createPlainHttpGuard(
  proxies: TrustedProxies,
  headers: Readonly<Record<string, string>>,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  /** Asked once for each connection. */
  const peers = new WeakMap<Socket, 'proxy' | 'here' | 'stranger'>()
  const peerOf = (socket: Socket): 'proxy' | 'here' | 'stranger' => {
    const known = peers.get(socket)
    if (known !== undefined) return known
    const address = socket.remoteAddress ?? ''
    const kind = isTrustedPeer(address, proxies) ? 'proxy' : isThisMachine(address) ? 'here' : 'stranger'
    peers.set(socket, kind)
    return kind
  }
  return (request, response) => {
    const peer = peerOf(request.socket)
    if (peer === 'here' || (peer === 'proxy' && !saysPlain(request.rawHeaders))) return false
    const detail =
      peer === 'proxy'
        ? 'This came to the proxy in front without TLS. What was sent may have been read on the way: change the key if there was one.'
        : 'Requests come by https, through the proxy in front. What was sent may have been read on the way: change the key if there was one.'
    response.setHeader('connection', 'close')
    sendProblem(response, new ProblemError('https_required', detail), formatId('req', newId('req')), headers)
    return true
  }
}

/** `X-Forwarded-Proto`: one word that is not https is enough. A client that writes it itself can only have itself refused. */
function saysPlain(rawHeaders: readonly string[]): boolean {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]!.length !== 17 || rawHeaders[at]!.toLowerCase() !== 'x-forwarded-proto') continue
    return rawValues(rawHeaders, 'x-forwarded-proto').some((value) =>
      value.split(',').some((word) => word.trim().toLowerCase() !== 'https'),
    )
  }
  return false
}

function isThisMachine(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\./iu.test(address)
}
