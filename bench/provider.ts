/**
 * The OAuth server of the benchmark's provider: grants at once whatever is asked and hands out one fixed token, which the upstream knows. It checks
 * nothing, because the connect flow is not what is measured; that flow is judged elsewhere.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface OAuthServer {
  readonly origin: string
  close(): Promise<void>
}

export async function startOAuthServer(token: string): Promise<OAuthServer> {
  /** Asked for at the authorization endpoint, granted at the token endpoint. */
  let scope = ''
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://oauth.invalid')
    if (url.pathname === '/authorize') {
      scope = url.searchParams.get('scope') ?? ''
      redirectBack(url, response)
    } else if (url.pathname === '/token' && request.method === 'POST')
      grant(request, response, { access_token: token, token_type: 'bearer', scope })
    else response.writeHead(404).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function redirectBack(url: URL, response: ServerResponse): void {
  const back = new URL(url.searchParams.get('redirect_uri') ?? '')
  back.searchParams.set('code', 'bench-code')
  back.searchParams.set('state', url.searchParams.get('state') ?? '')
  response.writeHead(302, { location: back.href }).end()
}

function grant(request: IncomingMessage, response: ServerResponse, answer: Record<string, string>): void {
  request.resume().once('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer)))
}
