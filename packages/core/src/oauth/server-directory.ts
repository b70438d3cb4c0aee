/**
 * Owns what is known of servers whose records say that they publish it (`discovery`): their metadata, read before people are sent there and kept
 * for an hour. Refuses a server that contradicts its record, and to go on without what it publishes: a request that must be pushed, or an answer
 * that must name its issuer, would pass for one that need not.
 */
import type { Clock } from '../kernel/index.ts'
import { oauthFailure } from './errors.ts'
import { readServerMetadata } from './server-metadata.ts'
import type { ServerMetadata } from './server-metadata.ts'
import type { AuthorizationServer, OutboundFetch, TokenServer } from './server.ts'

/** A server before or after what it publishes was added. */
type Described = TokenServer & Partial<Omit<AuthorizationServer, keyof TokenServer>>

/** Completes servers by what they publish of themselves (RFC 8414). */
export interface ServerDirectory {
  /**
   * The server with what it publishes: where requests are pushed and whether they must be, whether it names itself in its answers, whether tokens
   * are bound (`offered`). One without `discovery` as it is, at once. Many at once ask once.
   * @throws OAuthError `connect_exchange_failed` when it was never reached, `provider_misconfigured` when it contradicts its record.
   */
  complete<Server extends Described>(server: Server): Promise<Server>
}

const FRESH_MS = 60 * 60 * 1000
/** For so long what was read last stands in where the server is not reached. */
const KEPT_MS = 24 * FRESH_MS
/** Issuers that are remembered; the oldest are forgotten first. */
const MAX_ISSUERS = 1000

interface Known {
  readonly metadata: ServerMetadata
  readonly at: number
}

/** The directory of one process: what was read is kept for an hour, and stands in for a day. */
export function createServerDirectory({ fetch, clock }: { readonly fetch: OutboundFetch; readonly clock: Clock }): ServerDirectory {
  const known = new Map<string, Known>()
  const underWay = new Map<string, Promise<ServerMetadata>>()

  async function read(issuer: string): Promise<ServerMetadata> {
    const last = known.get(issuer)
    const at = clock.monotonic()
    try {
      const metadata = await readServerMetadata(issuer, fetch)
      known.delete(issuer)
      if (known.size >= MAX_ISSUERS) known.delete(known.keys().next().value!)
      known.set(issuer, { metadata, at })
      return metadata
    } catch (error) {
      if (last !== undefined && at - last.at < KEPT_MS) return last.metadata
      throw error
    }
  }

  function metadataOf(issuer: string): Promise<ServerMetadata> | ServerMetadata {
    const last = known.get(issuer)
    if (last !== undefined && clock.monotonic() - last.at < FRESH_MS) return last.metadata
    const going = underWay.get(issuer) ?? read(issuer).finally(() => underWay.delete(issuer))
    underWay.set(issuer, going)
    return going
  }

  return {
    async complete(server) {
      return server.discovery === true ? completed(server, await metadataOf(server.issuer)) : server
    },
  }
}

function completed<Server extends Described>(server: Server, metadata: ServerMetadata): Server {
  requireConsistent(server, metadata)
  requireNear(server, metadata)
  const pushed = server.pushedAuthorizationRequestEndpoint ?? metadata.pushedAuthorizationRequestEndpoint
  const bound = server.tokenBinding === 'dpop' || (server.tokenBinding === 'offered' && metadata.dpopAlgorithms.includes('ES256'))
  return {
    ...server,
    ...(metadata.namesItself ? { responseIssuer: 'required' } : {}),
    pushedAuthorizationRequestEndpoint: pushed,
    requirePushedAuthorizationRequests: server.requirePushedAuthorizationRequests === true || metadata.requirePushedAuthorizationRequests,
    tokenBinding: bound ? 'dpop' : undefined,
  }
}

/** Where a client's secret goes is within what the record names: a document may say more, and not lead elsewhere. */
function requireNear(server: Described, { pushedAuthorizationRequestEndpoint: endpoint }: ServerMetadata): void {
  if (endpoint === undefined) return
  const own = [server.issuer, server.tokenEndpoint, server.authorizationEndpoint].map((url) => url && new URL(url).origin)
  if (own.includes(new URL(endpoint).origin)) return
  throw oauthFailure('provider_misconfigured', 'the authorization server publishes an endpoint for pushed requests at an origin of others')
}

const SAME = ['authorizationEndpoint', 'tokenEndpoint', 'pushedAuthorizationRequestEndpoint'] as const

function requireConsistent(server: Described, metadata: ServerMetadata): void {
  const other = SAME.find((name) => server[name] !== undefined && metadata[name] !== undefined && server[name] !== metadata[name])
  if (other !== undefined)
    throw oauthFailure('provider_misconfigured', `the authorization server publishes another ${other} than its record names`)
  const { codeChallengeMethods, dpopAlgorithms } = metadata
  if (codeChallengeMethods.length > 0 && !codeChallengeMethods.includes('S256'))
    throw oauthFailure('provider_misconfigured', 'the authorization server takes no proof keys by S256 (RFC 7636 section 4.2)')
  // The algorithm of the proofs made here (RFC 9449 section 5.1).
  if (server.tokenBinding === 'dpop' && dpopAlgorithms.length > 0 && !dpopAlgorithms.includes('ES256'))
    throw oauthFailure('provider_misconfigured', 'the authorization server takes no proofs by ES256')
}
