/**
 * Owns hearing of changes made by any node: LISTEN on a connection of its own, which holds the schema as it is. Refuses to pretend that nothing was
 * missed: after every reconnect the listeners hear `unknown`, and what they remember is void; and to go on with a schema that is another by then.
 */
import { Client } from 'pg'
import type { ClientConfig } from 'pg'
import { isUuid, randomBase62 } from '@sallyport/core'
import type { Logger, OrgId } from '@sallyport/core'
import { DatabaseError, databaseError } from './errors.ts'
import type { DatabaseErrorCode } from './errors.ts'
import { requireMigrated } from './migrations.ts'
import { isSchemaWanted, joinSchema, migrating } from './schema-turn.ts'

export const CHANGE_TABLES = [
  'api_key',
  'connection',
  'integration',
  'data_key',
  'organization',
  'project',
  'membership',
  'person',
  'sign_in',
  'rate_limit',
  'browser_access',
  'provider_key',
  'model_route',
  'budget',
] as const

/**
 * A row that was changed or removed (`integration`, `data_key`, `membership`, `rate_limit`, `browser_access`, `provider_key`, `model_route`, `budget`: or added). Never its content.
 * `organization`: its own row, or what it has settled; `membership`: `id` is the person; `browser_access`: the project.
 * `person`, `sign_in`: of no organization; all sessions of a person have ended, or one at its issuer, named by the first half of its hash.
 */
export interface Change {
  readonly table: (typeof CHANGE_TABLES)[number]
  readonly org: OrgId
  readonly id: string
}

export type ChangeListener = (change: Change | 'unknown') => void

export interface ChangeFeed {
  /** Adds a listener; the answer removes it. A listener must not throw. */
  onChange(listener: ChangeListener): () => void
  /** Tells the listeners of what this node has just committed, without waiting for its notification to come round. */
  announce(changes: readonly Change[]): void
  /** False from the moment the connection is lost until it listens again. */
  readonly connected: boolean
  /** Resolves when the schema is taken over by another version, or already was: nothing may be written by this node for longer than its drain takes. */
  readonly superseded: Promise<DatabaseError>
  close(): Promise<void>
}

const CHANNEL = 'sallyport_change'
const FIRST_DELAY_MS = 100
const LAST_DELAY_MS = 5_000
/** A half-open connection is quiet for ever; asking finds out. Two unanswered intervals bound how long a change stays unheard. */
const HEARTBEAT_MS = 4_000

const NOT_HEARD =
  'Word of a change does not arrive. SALLYPORT_DATABASE_URL leads through a pooler that hands out sessions by the transaction: name an address with ' +
  'sessions of its own in SALLYPORT_DATABASE_SESSION_URL. Where that is named, the two are not one database.'

/**
 * Connects, listens and proves that it hears what the pool's connections say, before it resolves. A pooler that hands out sessions by the
 * transaction takes a LISTEN and delivers nothing, ever.
 * @param config of an address with sessions of its own
 * @param pooled of the address whose transactions make the changes
 * @throws DatabaseError `database_unavailable`, `database_not_heard`, `database_migrating`, and those of `requireMigrated`.
 */
export async function openChangeFeed(config: ClientConfig, pooled: ClientConfig, logger: Logger): Promise<ChangeFeed> {
  const feed = new Feed(config, logger)
  await feed.connect()
  try {
    await feed.prove(pooled)
  } catch (error) {
    await feed.close()
    throw error
  }
  return feed
}

const OF_ANOTHER_SCHEMA: ReadonlySet<string> = new Set<DatabaseErrorCode>([
  'database_migrating',
  'database_migration_changed',
  'database_migration_unknown',
  'database_not_migrated',
])

class Feed implements ChangeFeed {
  readonly #config: ClientConfig
  readonly #logger: Logger
  readonly #listeners = new Set<ChangeListener>()
  #client: Client | undefined
  #timer: NodeJS.Timeout | undefined
  #delay = FIRST_DELAY_MS
  #closed = false
  #ending = false
  readonly #superseded = Promise.withResolvers<DatabaseError>()

  constructor(config: ClientConfig, logger: Logger) {
    this.#config = config
    this.#logger = logger
  }

  get connected(): boolean {
    return this.#client !== undefined
  }

  get superseded(): Promise<DatabaseError> {
    return this.#superseded.promise
  }

  onChange(listener: ChangeListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  announce(changes: readonly Change[]): void {
    for (const change of changes) this.#tell(change)
  }

  async connect(): Promise<void> {
    const client = new Client({ ...this.#config, query_timeout: HEARTBEAT_MS, connectionTimeoutMillis: HEARTBEAT_MS })
    client.on('error', () => this.#lost(client))
    client.on('end', () => this.#lost(client))
    client.on('notification', ({ channel, payload }) => channel === CHANNEL && this.#tell(readChange(payload)))
    try {
      await client.connect()
      await client.query('listen sallyport_change')
      await joinSchema(client)
      // Held from here on: what it is now it stays.
      await requireMigrated(client)
    } catch (error) {
      await discard(client)
      throw databaseError(error)
    }
    if (this.#closed) return discard(client)
    this.#client = client
    this.#delay = FIRST_DELAY_MS
    this.#beat(client)
  }

  /** Asks for an echo from a connection to `pooled`. @throws DatabaseError as `openChangeFeed`. */
  async prove(pooled: ClientConfig): Promise<void> {
    const listening = this.#client
    const call = randomBase62(16)
    const { promise: heard, resolve } = Promise.withResolvers<void>()
    const hear = (answer: { readonly payload?: string | undefined }): void => (answer.payload === call ? resolve() : undefined)
    const asking = new Client({ ...pooled, query_timeout: HEARTBEAT_MS, connectionTimeoutMillis: HEARTBEAT_MS })
    asking.on('error', () => undefined)
    try {
      if (listening === undefined) throw new DatabaseError('database_unavailable', 'the connection that hears of changes was lost at once')
      listening.on('notification', hear)
      await listening.query('listen sallyport_echo')
      await asking.connect()
      await asking.query(`select pg_notify('sallyport_echo', $1)`, [call])
      await soon(heard)
      await listening.query('unlisten sallyport_echo')
    } catch (error) {
      throw databaseError(error)
    } finally {
      listening?.off('notification', hear)
      await discard(asking)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    const client = this.#client
    this.#client = undefined
    if (client !== undefined) await discard(client)
  }

  #tell(change: Change | 'unknown'): void {
    for (const listener of this.#listeners) listener(change)
  }

  #beat(client: Client): void {
    this.#timer = setTimeout(() => {
      isSchemaWanted(client).then(
        (wanted) => {
          if (wanted) this.#end(migrating())
          if (this.#client === client) this.#beat(client)
        },
        () => this.#lost(client),
      )
    }, HEARTBEAT_MS).unref()
  }

  #end(why: DatabaseError): void {
    if (!this.#ending) this.#logger.warn('Another version takes the database over; this node ends', { error: why })
    this.#ending = true
    this.#superseded.resolve(why)
  }

  #lost(client: Client): void {
    if (this.#client !== client) return
    this.#client = undefined
    clearTimeout(this.#timer)
    this.#logger.warn('Lost the connection that hears of changes; caches live by their age until it is back')
    void discard(client)
    this.#retry()
  }

  #retry(): void {
    if (this.#closed) return
    this.#timer = setTimeout(() => void this.#reconnect(), this.#delay).unref()
    this.#delay = Math.min(this.#delay * 2, LAST_DELAY_MS)
  }

  async #reconnect(): Promise<void> {
    try {
      await this.connect()
    } catch (error) {
      // Whoever takes the schema over did so while nobody held it here: this node has no business with it any more.
      if (error instanceof DatabaseError && OF_ANOTHER_SCHEMA.has(error.code)) this.#end(error)
      // Said once, when it was lost; every attempt fails alike until the server is back.
      this.#retry()
      return
    }
    if (this.#closed) return
    this.#logger.info('Hearing of changes again')
    this.#tell('unknown')
  }
}

/** @throws DatabaseError `database_not_heard` */
async function soon(heard: Promise<void>): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new DatabaseError('database_not_heard', NOT_HEARD)), HEARTBEAT_MS)
  await Promise.race([heard, late]).finally(() => clearTimeout(timer))
}

/** Ends a client whatever state it is in. It may be half-open, so nothing is awaited from the other side for long. */
async function discard(client: Client): Promise<void> {
  try {
    await client.end()
  } catch {
    // It was gone already: that is what was wanted.
  }
}

/** Anybody with a login may NOTIFY, so the text is judged; one that can't be read means that something changed, and not what. */
export function readChange(payload: string | undefined): Change | 'unknown' {
  let parsed: unknown
  try {
    parsed = JSON.parse(payload ?? '')
  } catch {
    return 'unknown'
  }
  if (typeof parsed !== 'object' || parsed === null || !('table' in parsed && 'org' in parsed && 'id' in parsed)) return 'unknown'
  const table = CHANGE_TABLES.find((name) => name === parsed.table)
  if (table === undefined || !isUuid(parsed.org) || !isUuid(parsed.id)) return 'unknown'
  return { table, org: parsed.org as unknown as OrgId, id: parsed.id }
}
