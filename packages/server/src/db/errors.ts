/**
 * Owns the failures of the database door. Refuses to pass on PostgreSQL's own error objects: their `detail` quotes whole rows, and their
 * messages may quote values, so only the SQLSTATE and the names of the objects involved go further.
 */
import { DatabaseError as PgError } from 'pg'
import { SallyportError } from '@sallyport/core'

/**
 * - `database_unavailable`: not reachable, going down, out of resources, or too slow. Trying again later may help.
 * - `database_url_invalid`: the address can't be read, or names an unknown option.
 * - `database_tls_required`: a server on another host, without verified TLS, where that is demanded.
 * - `database_role_unsafe`: the login could step around row-level security.
 * - `database_version`: a server below the supported versions.
 * - `database_not_migrated`: migrations of this build are missing in the database.
 * - `database_migration_changed`: an applied migration differs from the file of this build.
 * - `database_migration_unknown`: the database has migrations that this build doesn't know: it is newer.
 * - `database_migrating`: another version takes the database over, and a node of this one ends or does not begin.
 * - `database_in_use`: nodes of another version did not end in time, and the schema stays as it is.
 * - `database_migration_failed`: a migration's own statement failed; nothing of that migration was kept.
 * - `database_not_heard`: word of changes does not arrive: a pooler hands out its sessions by the transaction, or two addresses are two databases.
 * - `conflict`: a row with this identity or name exists already, or a row it belongs to doesn't.
 * - `database_query_failed`: any other refusal by PostgreSQL: a mistake of ours.
 */
export type DatabaseErrorCode =
  | 'database_unavailable'
  | 'database_url_invalid'
  | 'database_tls_required'
  | 'database_role_unsafe'
  | 'database_version'
  | 'database_not_migrated'
  | 'database_migration_changed'
  | 'database_migration_unknown'
  | 'database_migrating'
  | 'database_in_use'
  | 'database_migration_failed'
  | 'database_not_heard'
  | 'conflict'
  | 'database_query_failed'

export interface DatabaseErrorFacts {
  /** Five characters of PostgreSQL's appendix A, or undefined when the failure was not PostgreSQL's. */
  readonly sqlState?: string | undefined
  readonly constraint?: string | undefined
  /** What was waited for was the organization's own turn. */
  readonly turn?: boolean
}

export class DatabaseError extends SallyportError<DatabaseErrorCode> {
  override readonly name = 'DatabaseError'
  readonly sqlState: string | undefined
  readonly constraint: string | undefined
  readonly turn: boolean

  constructor(code: DatabaseErrorCode, message: string, facts: DatabaseErrorFacts = {}) {
    super(code, message)
    this.sqlState = facts.sqlState
    this.constraint = facts.constraint
    this.turn = facts.turn === true
  }
}

/**
 * SQLSTATE classes and codes that say "not now" rather than "not so": 08 connection, 53 resources, 57P0x shutdown, 57014 and 55P03 time
 * limits, 25P03 idle too long, 25006 a standby, 3D000/28xxx a server that doesn't know us (yet).
 */
const UNAVAILABLE = /^(?:08...|53...|57P0.|57014|55P03|25P03|25006|3D000|28...)$/
/** Limits of time, where the database is there and answers others. */
/** 40P01: two waited for each other, and this one was let go. */
const TIME_LIMITS = new Set(['55P03', '57014', '40P01'])

/**
 * Whether one organization's work waited for too long, for its turn or for what another transaction holds. The database is there, and nothing follows
 * from this for any other organization.
 */
export function isBusy(error: unknown): boolean {
  return error instanceof DatabaseError && (error.turn || TIME_LIMITS.has(error.sqlState ?? ''))
}

/** Codes that Node's sockets give, and messages of pg's client, which has no codes. */
const SOCKET_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'EACCES',
  'ETIMEDOUT',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPROTO',
])
/** Codes of a server whose certificate proves nothing, or that speaks no TLS that we do. */
const TLS_CODES = /^ERR_(?:TLS|SSL)|CERT|_SIGNATURE$|^INVALID_CA$|^HOSTNAME_MISMATCH$/
const CLIENT_MESSAGES =
  /connection terminated|connection ended|timeout exceeded|timeout expired|client was closed|not queryable|query read timeout|after calling end on the pool|client has encountered|does not support SSL/i

/** The one translation of whatever pg throws; only for calls of pg, since a lost connection is known by its text. Ours pass unchanged. */
export function databaseError(error: unknown): unknown {
  if (error instanceof SallyportError) return error
  if (error instanceof PgError) return serverError(error)
  if (!(error instanceof Error)) return error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  const socket = code !== undefined && (SOCKET_CODES.has(code) || TLS_CODES.test(code))
  // pg's client raises plain errors for a lost connection; their texts are its only mark, and hold no data.
  if (socket || CLIENT_MESSAGES.test(error.message))
    return new DatabaseError('database_unavailable', `the database can't be reached (${code ?? error.message})`)
  return error
}

/** Runs `work` and throws its failures translated. */
export async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw databaseError(error)
  }
}

function serverError(error: PgError): DatabaseError {
  const sqlState = error.code ?? 'XX000'
  const facts = { sqlState, constraint: error.constraint }
  if (UNAVAILABLE.test(sqlState))
    return new DatabaseError('database_unavailable', `the database does not answer (SQLSTATE ${sqlState})`, facts)
  const where = error.constraint === undefined ? '' : `, ${error.constraint}`
  if (sqlState === '23505' || sqlState === '23503')
    return new DatabaseError('conflict', `refused by a key (SQLSTATE ${sqlState}${where})`, facts)
  // Class 42 texts name tables, columns and functions, never values; of all others only the code may be repeated.
  const text = sqlState.startsWith('42') ? `: ${error.message}` : ''
  return new DatabaseError('database_query_failed', `the database refused a statement (SQLSTATE ${sqlState}${where})${text}`, facts)
}
