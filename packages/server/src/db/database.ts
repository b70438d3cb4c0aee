/** Owns the gateway's one pool and the objects over it. Refuses to open with a login, a server or a schema that can't be trusted. */
import { Client, Pool } from 'pg'
import type { ClientConfig } from 'pg'
import { AdvisoryLeases } from '@sallyport/core'
import type { LeaseKeeper, Logger, OrgId, Secret } from '@sallyport/core'
import { openChangeFeed } from './changes.ts'
import type { ChangeFeed, ChangeListener } from './changes.ts'
import { databaseError, translated } from './errors.ts'
import type { DatabaseError } from './errors.ts'
import { createLookups } from './lookups.ts'
import type { Lookups } from './lookups.ts'
import { requireMigrated } from './migrations.ts'
import { PoolShares } from './pool-shares.ts'
import { readModelKeys } from './queries/model-key.ts'
import type { ModelKeyAsk, ModelKeys } from './queries/model-key.ts'
import { readProxyTarget } from './queries/proxy-target.ts'
import type { ProxyTarget, ProxyTargetAsk } from './queries/proxy-target.ts'
import { requireSafeRole, requireSession, requireVersion } from './role.ts'
import { createSystemStore } from './system.ts'
import type { SystemStore } from './system.ts'
import { withTenant } from './tenant.ts'
import type { TenantTx } from './tenant.ts'
import { clientConfig, parseDatabaseUrl } from './url.ts'

export interface DatabaseOptions {
  /** The gateway's own login; see `parseDatabaseUrl`. */
  readonly url: Secret
  /** The same database where every connection is a session of its own, when `url` leads through a pooler that is none. Default: `url`. */
  readonly sessionUrl?: Secret | undefined
  /** Connections of the pool, 10 when absent. One more is held for hearing of changes. */
  readonly poolSize?: number
  /** Longest one statement may run, in milliseconds; 15,000 when absent. */
  readonly statementTimeoutMs?: number
  /** Production: a server on another host needs verified TLS. */
  readonly requireVerifiedTls?: boolean
  readonly logger: Logger
}

export interface Database {
  /** See tenant.ts. */
  withTenant<T>(org: OrgId, fn: (tx: TenantTx) => Promise<T>): Promise<T>
  /** What a proxied call needs, in one round trip. */
  proxyTarget(ask: ProxyTargetAsk): Promise<ProxyTarget>
  /** The same of a call to a provider of models. */
  modelKeys(ask: ModelKeyAsk): Promise<ModelKeys>
  readonly lookups: Lookups
  readonly system: SystemStore
  /** Leases that end with this process, on a connection of their own. Each call makes a keeper, for its caller to close. */
  sessionLeases(): LeaseKeeper
  /** Hears of changes by any node; `unknown` when some may have been missed. The answer ends it. */
  onChange(listener: ChangeListener): () => void
  /** `ok` turns false at once when the server goes, and true when changes are heard again. */
  readonly health: { readonly ok: boolean }
  /** Resolves when another version takes the schema over: this process has to end. */
  readonly superseded: Promise<DatabaseError>
  /** One round trip through the pool. @throws DatabaseError `database_unavailable`. */
  ping(): Promise<void>
  /** Waits for running transactions. Nothing may be asked afterwards. */
  close(): Promise<void>
}

const POOL_SIZE = 10
const CONNECT_TIMEOUT_MS = 5_000
const UNANSWERED_MS = 5_000
const LOCK_TIMEOUT_MS = 5_000
const IDLE_IN_TRANSACTION_MS = 30_000
/** How long a server that no longer hears is waited for at the end. Its connections end with it, or with this process. */
const FAREWELL_MS = 3_000

/**
 * Connects, judges server, login and schema, and begins to hear of changes.
 * @throws DatabaseError with every code but `conflict` and `database_query_failed`.
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const config = connectionConfig(options.url, options)
  const sessions = options.sessionUrl === undefined ? config : connectionConfig(options.sessionUrl, options)
  await judge(config)
  if (sessions !== config) await judge(sessions)
  const feed = await openChangeFeed(sessions, config, options.logger)
  return overPool(createPool(config, options), new PoolShares(options.poolSize ?? POOL_SIZE), feed, sessions)
}

function connectionConfig(url: Secret, { requireVerifiedTls = false }: DatabaseOptions): ClientConfig {
  return { ...clientConfig(parseDatabaseUrl(url), requireVerifiedTls), connectionTimeoutMillis: CONNECT_TIMEOUT_MS }
}

async function judge(config: ClientConfig): Promise<void> {
  const client = new Client(config)
  client.on('error', () => undefined)
  try {
    await client.connect()
    await requireVersion(client)
    await requireSafeRole(client)
    await requireMigrated(client)
    await requireSession(client)
  } catch (error) {
    throw databaseError(error)
  } finally {
    await client.end()
  }
}

function createPool(config: ClientConfig, { poolSize = POOL_SIZE, statementTimeoutMs = 15_000, logger }: DatabaseOptions): Pool {
  const pool = new Pool({
    ...config,
    max: poolSize,
    statement_timeout: statementTimeoutMs,
    // The server ends a slow statement; this ends waiting for a server that is no longer there to do so.
    query_timeout: statementTimeoutMs + UNANSWERED_MS,
    lock_timeout: LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
  })
  // A lost connection is news to its pool while idle, and to its client while in use; unheard, either would end the process.
  pool.on('error', (error) => logger.warn('An idle database connection was lost', { error }))
  pool.on('connect', (client) => client.on('error', (error) => logger.debug('A database connection was lost', { error })))
  return pool
}

function overPool(pool: Pool, shares: PoolShares, feed: ChangeFeed, sessions: ClientConfig): Database {
  return {
    withTenant: (org, fn) => shares.run(org, () => withTenant(pool, org, fn, (changes) => feed.announce(changes))),
    proxyTarget: (ask) => shares.run(ask.org, () => readProxyTarget(pool, ask)),
    modelKeys: (ask) => shares.run(ask.org, () => readModelKeys(pool, ask)),
    lookups: createLookups(pool),
    system: createSystemStore(pool),
    sessionLeases: () => new AdvisoryLeases(sessions),
    onChange: (listener) => feed.onChange(listener),
    superseded: feed.superseded,
    health: {
      get ok() {
        return feed.connected
      },
    },
    async ping() {
      await translated(() => pool.query('select 1'))
    },
    async close() {
      // The server may end before the last connection has said goodbye; that is no news any more.
      pool.removeAllListeners('error').on('error', () => undefined)
      const farewells = Promise.all([feed.close(), pool.end()])
      const { promise: late, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, FAREWELL_MS)
      await Promise.race([farewells, late]).finally(() => clearTimeout(timer))
    },
  }
}
