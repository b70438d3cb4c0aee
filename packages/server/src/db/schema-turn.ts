/**
 * Owns that nodes of one schema alone write to a database. Each node holds a lock with the others, on the connection that hears of changes; whoever
 * migrates takes the same lock alone, and so waits until nodes of the version before have ended, who see the waiting and end. Nobody joins past one
 * who waits. Refuses to make nodes leave for a login that could not migrate. The server frees the locks of whoever dies.
 */
import type { ClientBase } from 'pg'
import { DatabaseError } from './errors.ts'

/** Any number, but always this one. */
const TURN = 7_255_000_002

/** PostgreSQL shows the number of such a lock in two halves. */
const WANTED = `
  select exists (
    select from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.database = (select oid from pg_database where datname = current_database())
      and l.classid::bigint = $1::bigint >> 32 and l.objid::bigint = $1::bigint & 4294967295 and l.objsubid = 1
      and l.mode = 'ExclusiveLock' and pg_has_role(a.usesysid, 'sallyport_owner', 'MEMBER')) as wanted`
const HOLDERS = `
  select count(*)::int as count from pg_locks l
  where l.locktype = 'advisory' and l.database = (select oid from pg_database where datname = current_database())
    and l.classid::bigint = $1::bigint >> 32 and l.objid::bigint = $1::bigint & 4294967295 and l.objsubid = 1
    and l.granted and l.pid <> pg_backend_pid()`

/**
 * Joins the nodes that use the schema as it is, until the connection ends.
 * @throws DatabaseError `database_migrating`; `database_unavailable` while somebody has the lock, or waits for it, who could not migrate
 */
export async function joinSchema(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ joined: boolean }>('select pg_try_advisory_lock_shared($1) as joined', [TURN])
  if (rows[0]?.joined === true) return
  throw (await isSchemaWanted(client)) ? migrating() : heldByStranger()
}

function heldByStranger(): DatabaseError {
  return new DatabaseError(
    'database_unavailable',
    `a login that may not migrate has the advisory lock ${TURN}, by which nodes hold the schema, or asked for it: end its session`,
  )
}

/**
 * Whether somebody waits to change the schema under the nodes, or does so now. A lock can be asked for by anybody who may connect; only one who could
 * change the tables makes nodes leave.
 */
export async function isSchemaWanted(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ wanted: boolean }>(WANTED, [TURN])
  return rows[0]?.wanted === true
}

/** What a node ends with that makes room for a newer version. */
export function migrating(): DatabaseError {
  return new DatabaseError(
    'database_migrating',
    'the database is being brought to the schema of a newer version: a node of this one ends, so that two versions never write to it. Start the newer one in its place',
  )
}

/** How many nodes hold the schema as it is. */
export async function schemaHolders(client: ClientBase): Promise<number> {
  const { rows } = await client.query<{ count: number }>(HOLDERS, [TURN])
  return rows[0]!.count
}

/** SQLSTATE of a lock that did not come in time. */
const NOT_IN_TIME = '55P03'

/** Takes the schema alone, until the connection ends. Outside of any transaction. @throws DatabaseError `database_in_use` */
export async function takeSchemaAlone(client: ClientBase, waitMs: number): Promise<void> {
  try {
    await client.query(`select set_config('lock_timeout', $1, false)`, [`${waitMs}ms`])
    await client.query('select pg_advisory_lock($1)', [TURN])
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === NOT_IN_TIME)) throw error
    throw inUse(await schemaHolders(client), waitMs)
  }
  await client.query(`select set_config('lock_timeout', '0', false)`)
}

function inUse(nodes: number, waitMs: number): DatabaseError {
  return new DatabaseError(
    'database_in_use',
    `${nodes} process(es) of another version still use the database, ${waitMs / 1_000} s after they were asked to end. Nothing was changed: stop them, then migrate again`,
  )
}
