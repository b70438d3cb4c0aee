/**
 * Owns the form of every call to a token endpoint: where the request and its answer leave RFC 6749, as the server's do. Refuses to send anything
 * twice.
 */
import { allowInsecureRequests, customFetch } from 'oauth4webapi'
import type { OutboundFetch, OutboundRequest, TokenServer } from './server.ts'

type Limits = Pick<OutboundRequest, 'redirect' | 'totalTimeoutMs' | 'maxBytes'>

interface LibraryRequest {
  readonly method: string
  readonly headers: Record<string, string>
  readonly body: URLSearchParams
}

/** What the library is given so that its one request goes out through `fetch`, in the server's own form. */
export function tokenCall(
  server: TokenServer,
  fetch: OutboundFetch,
  limits: Limits,
  read: (response: Response) => Response | Promise<Response> = (response) => response,
) {
  return {
    // Which plain-text origins may be reached at all is the egress policy's to say.
    [allowInsecureRequests]: true,
    [customFetch]: async (url: string, request: LibraryRequest) => await read(await fetch(url, { ...inForm(server, request), ...limits })),
  }
}

/** The library names itself as the agent; the record's headers go over its own. */
function inForm({ tokenHeaders, tokenBody }: TokenServer, { method, headers, body }: LibraryRequest): Omit<OutboundRequest, keyof Limits> {
  if (tokenBody !== 'json') return { method, headers: { ...headers, ...tokenHeaders }, body: body.toString() }
  const json = JSON.stringify(Object.fromEntries(body))
  return { method, headers: { ...headers, ...tokenHeaders, 'content-type': 'application/json' }, body: json }
}
