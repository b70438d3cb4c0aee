/**
 * Owns the tenant's transaction: the only way to tables behind row-level security. Refuses a tenant that is no UUID, a transaction inside
 * a transaction, and any statement after the end, when the connection may serve another tenant.
 */
import { Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely'
import type { CompiledQuery, DatabaseConnection, Dialect, Driver, QueryResult } from 'kysely'
import type { Pool, PoolClient } from 'pg'
import { hasCode, isUuid } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import type { Change } from './changes.ts'
import { DatabaseError, translated } from './errors.ts'
import type { Schema } from './schema.ts'

declare const tenant: unique symbol
/** What a transaction changes of what nodes remember. */
const CHANGES = Symbol('changes')

/** Statements of one organization, in one transaction. Only `withTenant` makes one, and it is dead when `withTenant` returns. */
export type TenantTx = Kysely<Schema> & { readonly org: OrgId; readonly [CHANGES]: Change[]; readonly [tenant]: true }

/**
 * To be called by a query that changes a row which nodes remember. After the commit this node hears of it before `withTenant` returns;
 * the others hear by notification. Nothing is heard of a transaction that was rolled back.
 */
export function noteChange(tx: TenantTx, table: Change['table'], id: string): void {
  tx[CHANGES].push({ table, org: tx.org, id })
}

/**
 * Runs `fn` in a transaction that sees and writes only `org`'s rows, and commits. Read committed; rolled back when `fn` throws.
 * Beginning and naming the tenant are one round trip, committing is another. `fn` may be run in parallel with others, never twice.
 * When the connection is lost during the commit, whether it happened is unknown, and `database_unavailable` is thrown.
 * @throws DatabaseError, and whatever `fn` throws.
 */
export async function withTenant<T>(
  pool: Pool,
  org: OrgId,
  fn: (tx: TenantTx) => Promise<T>,
  announce: (changes: readonly Change[]) => void,
): Promise<T> {
  if (!isUuid(org)) throw new TypeError('withTenant needs an organization id')
  const client = await translated(() => pool.connect())
  const connection = new TenantConnection(client)
  const tx = tenantTx(connection, org)
  const result = await committed(client, connection, tx, fn)
  announce(tx[CHANGES])
  return result
}

async function committed<T>(client: PoolClient, connection: TenantConnection, tx: TenantTx, fn: (tx: TenantTx) => Promise<T>): Promise<T> {
  try {
    // Two statements in one message take no parameters. The text of a UUID is hexadecimal digits and hyphens, as checked above.
    await translated(() => client.query(`begin; set local sallyport.org = '${tx.org}'`))
    const result = await fn(tx)
    connection.end()
    await commit(client)
    client.release()
    return result
  } catch (error) {
    connection.end()
    await abandon(client, hasCode(error, 'database_unavailable'))
    throw error
  }
}

/** A transaction in which a failed statement was ignored answers COMMIT with ROLLBACK, and without an error. */
async function commit(client: PoolClient): Promise<void> {
  const { command } = await translated(() => client.query('commit'))
  if (command !== 'COMMIT')
    throw new DatabaseError('database_query_failed', 'a statement failed, and its transaction went on as if it had not')
}

/** Gives the connection back clean, or not at all. One that no longer answers isn't asked to roll back: closing does it. */
async function abandon(client: PoolClient, unanswered: boolean): Promise<void> {
  if (unanswered) return client.release(true)
  try {
    await client.query('rollback')
    client.release()
  } catch {
    // What went wrong first is what the caller hears; a connection that can't roll back is closed, which rolls back too.
    client.release(true)
  }
}

function tenantTx(connection: TenantConnection, org: OrgId): TenantTx {
  return Object.assign(new Kysely<Schema>({ dialect: new TenantDialect(connection) }), { org, [CHANGES]: [] }) as unknown as TenantTx
}

class TenantConnection implements DatabaseConnection {
  readonly #client: PoolClient
  #ended = false

  constructor(client: PoolClient) {
    this.#client = client
  }

  end(): void {
    this.#ended = true
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    if (this.#ended) throw new TypeError('a tenant transaction was used after its end')
    const { rows, rowCount } = await translated(() => this.#client.query<Row & object>(query.sql, [...query.parameters]))
    return { rows, numAffectedRows: BigInt(rowCount ?? 0) }
  }

  // oxlint-disable-next-line require-yield -- lists are paged by key; nothing here reads through a cursor
  async *streamQuery(): AsyncIterableIterator<never> {
    throw new TypeError('streaming is not offered: page by key')
  }
}

class TenantDialect implements Dialect {
  readonly #connection: TenantConnection

  constructor(connection: TenantConnection) {
    this.#connection = connection
  }

  createAdapter = () => new PostgresAdapter()
  createQueryCompiler = () => new PostgresQueryCompiler()
  createIntrospector = (db: Kysely<unknown>) => new PostgresIntrospector(db)
  createDriver = (): Driver => new TenantDriver(this.#connection)
}

class TenantDriver implements Driver {
  readonly #connection: TenantConnection

  constructor(connection: TenantConnection) {
    this.#connection = connection
  }

  async init(): Promise<void> {}
  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection
  }
  async beginTransaction(): Promise<void> {
    throw new TypeError('a tenant transaction holds no other')
  }
  async commitTransaction(): Promise<void> {
    throw new TypeError('withTenant commits')
  }
  async rollbackTransaction(): Promise<void> {
    throw new TypeError('withTenant rolls back')
  }
  async releaseConnection(): Promise<void> {}
  async destroy(): Promise<void> {}
}
