/**
 * Owns bringing a database to this build's schema: roles, schema, migrations, and the gateway's login. Refuses to run beside another
 * migrator or beside nodes that use the schema as it is, to touch a database that is newer, and to leave a migration half done.
 */
import { Client, escapeIdentifier, escapeLiteral } from 'pg'
import type { Logger, Secret } from '@sallyport/core'
import { DatabaseError, databaseError } from './errors.ts'
import { appliedMigrations, pendingMigrations, readBootstrap, readMigrations } from './migrations.ts'
import type { Migration } from './migrations.ts'
import { requireVersion } from './role.ts'
import { schemaHolders, takeSchemaAlone } from './schema-turn.ts'
import { scramVerifier } from './scram.ts'
import { clientConfig, parseDatabaseUrl } from './url.ts'

export interface MigrateOptions {
  /** A login that may create roles, and schemas in this database. */
  readonly url: Secret
  /** The gateway's login: made, or given this password, and put in `sallyport_app`. Absent: the operator makes it. */
  readonly appRole?: { readonly name: string; readonly password: Secret }
  readonly requireVerifiedTls?: boolean
  readonly logger: Logger
  /** How long nodes of the version before may take to end, in milliseconds. */
  readonly leaveMs?: number
  /** This build's when absent. */
  readonly migrations?: readonly Migration[]
}

/** Longer than a node takes to drain and to save, as it comes. */
const LEAVE_MS = 120_000

/** Any number, but always this one: who migrates this database holds the session lock by this name. */
const LOCK = 7_255_000_001
const LEDGER = `
  set role sallyport_owner;
  create table if not exists sallyport.migration (
    name text primary key,
    checksum text not null check (length(checksum) = 64),
    applied_at timestamptz not null default now()
  );
  grant select on sallyport.migration to sallyport_app;
  reset role;`
/** Roles belong to the whole cluster: migrators of its other databases may touch the same catalogue row in the same moment. */
const CATALOGUE_RACE = 'XX000'
const RACE_ATTEMPTS = 10

/**
 * Applies what is missing, each file in a transaction of its own. Safe to repeat and to run in many processes at once: one works, the
 * others wait and find nothing to do. Answers the names that this call applied, in order.
 * Where something is missing it waits until every node has left that uses the schema as it is (schema-turn.ts).
 * @throws DatabaseError `database_migration_changed`, `_unknown`, `_failed`, `database_in_use`, `database_version`, `database_unavailable`.
 */
export async function migrate(options: MigrateOptions): Promise<{ readonly applied: readonly string[] }> {
  const config = clientConfig(parseDatabaseUrl(options.url), options.requireVerifiedTls ?? false)
  const client = new Client({ ...config, connectionTimeoutMillis: 10_000 })
  // A connection lost between two statements is reported by the next one; without a listener it would end the process.
  client.on('error', () => undefined)
  try {
    await client.connect()
    await requireVersion(client)
    // Nodes take their time to leave, and tables to be changed: what a login's statements may take else is not about that.
    await client.query(`select set_config('statement_timeout', '0', false), set_config('lock_timeout', '0', false)`)
    // Freed by the server when this connection ends, however it ends.
    await client.query('select pg_advisory_lock($1)', [LOCK])
    return { applied: await migrateLocked(client, options) }
  } catch (error) {
    throw databaseError(error)
  } finally {
    await client.end()
  }
}

async function migrateLocked(client: Client, options: MigrateOptions): Promise<string[]> {
  const { appRole, logger } = options
  const pending = pendingMigrations(options.migrations ?? readMigrations(), await appliedMigrations(client))
  if (pending.length > 0) await takeOver(client, options)
  await retryRace(() => inTransaction(client, () => client.query(readBootstrap() + LEDGER)))
  for (const migration of pending) {
    await apply(client, migration)
    logger.info('Applied a migration', { migration: migration.name })
  }
  if (appRole !== undefined) await retryRace(() => inTransaction(client, () => putAppRole(client, appRole)))
  return pending.map(({ name }) => name)
}

async function takeOver(client: Client, { logger, leaveMs = LEAVE_MS }: MigrateOptions): Promise<void> {
  const nodes = await schemaHolders(client)
  if (nodes > 0) logger.info('Waiting for nodes of the version before to end', { nodes })
  await takeSchemaAlone(client, leaveMs)
}

async function apply(client: Client, { name, sql, checksum }: Migration): Promise<void> {
  try {
    await inTransaction(client, async () => {
      await client.query(sql)
      await client.query('set local role sallyport_owner')
      await client.query('insert into sallyport.migration (name, checksum) values ($1, $2)', [name, checksum])
    })
  } catch (error) {
    const translated = databaseError(error)
    if (!(translated instanceof DatabaseError) || translated.code === 'database_unavailable') throw translated
    throw new DatabaseError('database_migration_failed', `migration ${name} failed and left no trace: ${translated.message}`, translated)
  }
}

/** CREATE ROLE takes no parameters; the name is quoted by pg's own rules, and the password goes as its verifier. */
async function putAppRole(client: Client, { name, password }: { name: string; password: Secret }): Promise<void> {
  const role = escapeIdentifier(name)
  const { rows } = await client.query('select from pg_roles where rolname = $1', [name])
  if (rows.length === 0) {
    await client.query(`create role ${role} login nosuperuser nobypassrls nocreatedb nocreaterole noreplication in role sallyport_app`)
  } else {
    await client.query(`grant sallyport_app to ${role}`)
  }
  await client.query(`alter role ${role} password ${escapeLiteral(scramVerifier(password))}`)
  // What every connection asks for; behind a pooler that drops what connections ask for, sessions have it from here.
  await client.query(`alter role ${role} set search_path = pg_catalog`)
  await client.query(`alter role ${role} set timezone = 'UTC'`)
}

async function inTransaction(client: Client, work: () => Promise<unknown>): Promise<void> {
  await client.query('begin')
  try {
    await work()
    await client.query('commit')
  } catch (error) {
    // The failure of the work is what counts; when even this fails, the connection is gone, and with it the transaction.
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}

async function retryRace(work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      const translated = databaseError(error)
      if (!(translated instanceof DatabaseError) || translated.sqlState !== CATALOGUE_RACE || attempt === RACE_ATTEMPTS) throw error
    }
  }
}
