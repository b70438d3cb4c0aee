/**
 * Owns the problem that a call meets when it needs another credential than there is: its code, what is wrong, when to come back, and for a
 * grant that is over the way to a new one. Refuses to make a link for a caller that could not make it itself.
 */
import type { ProblemCode } from '@sallyport/contract'
import { formatId, hasCode, RefreshError } from '@sallyport/core'
import type { Clock, ConnectionId, Logger, OrgId, RefreshErrorCode } from '@sallyport/core'
import type { ConnectPlace, ConnectService } from '../connect/index.ts'
import { connectionFind } from '../db/index.ts'
import type { Database } from '../db/index.ts'
import { ProblemError } from '../http/index.ts'
import type { CredentialFacts } from '../http/index.ts'
import { principalRef } from '../identity/index.ts'
import type { Principal } from '../identity/index.ts'

type Reconnect = NonNullable<CredentialFacts['reconnect']>

const CODES: Readonly<Record<RefreshErrorCode, ProblemCode>> = {
  reconnect_required: 'reconnect_required',
  client_misconfigured: 'client_misconfigured',
  provider_unavailable: 'provider_unavailable',
  provider_rate_limited: 'provider_rate_limited',
  provider_answer_malformed: 'provider_answer_malformed',
  refresh_outcome_unknown: 'refresh_outcome_unknown',
  refresh_pending: 'refresh_pending',
  credential_absent: 'connection_not_ready',
}

export interface ExplainOptions {
  readonly connect: Pick<ConnectService, 'createSession'>
  readonly database: Pick<Database, 'withTenant'>
  readonly clock: Clock
  readonly logger: Logger
}

/** Never rejects; what is no RefreshError comes back as it is. */
export type Explain = (error: unknown, principal: Principal, at: ConnectPlace, connection: ConnectionId) => Promise<unknown>

/** A link is given again to the same caller for so long: a storm of calls makes one. It lives ten minutes. */
const LINK_SHARED_MS = 300_000
/** Links made here in a minute for one organization: the rest of its callers is told where to make one. */
const LINKS_PER_MINUTE = 120
/** Organizations whose minutes are remembered; who is forgotten begins another. */
const MAX_ORGANIZATIONS = 10_000
const MAX_LINKS = 10_000

export function createExplain(options: ExplainOptions): Explain {
  const links = new ReconnectLinks(options)
  return async (error, principal, at, connection) => {
    if (!(error instanceof RefreshError)) return error
    const facts: CredentialFacts = {
      connection: formatId('conn', connection),
      ...(error.trouble === null ? {} : { trouble: error.trouble }),
      ...(error.code === 'reconnect_required' ? { reconnect: await links.for(principal, at, connection, error.trouble) } : {}),
    }
    const retryAfterS = error.retryAfterMs === null ? {} : { retryAfterS: error.retryAfterMs / 1000 }
    return new ProblemError(CODES[error.code], error.publicDetail ?? error.message, { facts, ...retryAfterS, cause: error })
  }
}

class ReconnectLinks {
  readonly #o: ExplainOptions
  /** By caller, connection and trouble. Set before the first await: callers at the same time share one. */
  readonly #made = new Map<string, { readonly at: number; readonly reconnect: Promise<Reconnect> }>()
  readonly #minutes = new Map<OrgId, { readonly began: number; made: number }>()

  constructor(options: ExplainOptions) {
    this.#o = options
  }

  for(principal: Principal, at: ConnectPlace, connection: ConnectionId, trouble: RefreshError['trouble']): Promise<Reconnect> {
    const endpoint = { endpoint: endpointOf(at) }
    if (!mayConnect(principal, at)) return Promise.resolve(endpoint)
    // A disconnect ends the links of before, and is another trouble.
    const key = `${principalRef(principal)} ${connection} ${trouble}`
    const now = this.#o.clock.monotonic()
    const known = this.#made.get(key)
    if (known !== undefined && now - known.at < LINK_SHARED_MS) return known.reconnect
    if (!this.#hasRoom(at.org, now)) return Promise.resolve(endpoint)
    const reconnect = this.#make(principal, at, connection, endpoint)
    this.#made.delete(key)
    if (this.#made.size >= MAX_LINKS) this.#made.delete(this.#made.keys().next().value!)
    this.#made.set(key, { at: now, reconnect })
    return reconnect
  }

  /** One organization whose grants are all over takes no other's links away. */
  #hasRoom(org: OrgId, now: number): boolean {
    let minute = this.#minutes.get(org)
    if (minute === undefined || now - minute.began >= 60_000) {
      minute = { began: now, made: 0 }
      this.#minutes.delete(org)
      if (this.#minutes.size >= MAX_ORGANIZATIONS) this.#minutes.delete(this.#minutes.keys().next().value!)
      this.#minutes.set(org, minute)
    }
    minute.made += 1
    return minute.made <= LINKS_PER_MINUTE
  }

  async #make(principal: Principal, at: ConnectPlace, id: ConnectionId, endpoint: Reconnect): Promise<Reconnect> {
    const { database, connect, logger } = this.#o
    try {
      const connection = await database.withTenant(at.org, (tx) => connectionFind(tx, at, id))
      if (connection === undefined) return endpoint
      const input = { integration: connection.integrationSlug, endUserId: connection.endUserId, connection: id }
      const { session, link } = await connect.createSession(principal, at, input)
      return { ...endpoint, link, session: session.id, expires_at: session.expires_at }
    } catch (error) {
      // The problem stands without it: the caller can make one, or hears there why not.
      if (!hasCode(error, 'overloaded')) logger.debug('No link to reconnect was made', { connection: formatId('conn', id), error })
      return endpoint
    }
  }
}

/** What `connectSessionCreate` asks of a key. A person has come through that of another operation, and makes a link by hand. */
function mayConnect(principal: Principal, { org }: ConnectPlace): boolean {
  return principal.kind === 'key' && principal.org === org && principal.scopes.has('connect_sessions:write')
}

function endpointOf({ org, project, environment }: ConnectPlace): string {
  return `/api/v1/orgs/${formatId('org', org)}/projects/${formatId('proj', project)}/${environment}/connect-sessions`
}
