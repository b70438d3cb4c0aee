/** Owns the judgement whether a server and a login may be used. Refuses a login that could step around row-level security. */
import type { ClientBase } from 'pg'
import { DatabaseError } from './errors.ts'

/** Per major version the lowest minor with the row-security fixes we rely on; majors above the last are taken as they are. */
const FLOORS: ReadonlyMap<number, number> = new Map([
  [15, 14],
  [16, 10],
  [17, 6],
  [18, 0],
])
const LOWEST_MAJOR = Math.min(...FLOORS.keys())

/** @throws DatabaseError `database_version`. */
export async function requireVersion(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ version: string }>(`select current_setting('server_version_num') as version`)
  judgeVersion(Number(rows[0]?.version))
}

/** `version` as PostgreSQL counts: 150014 is 15.14. @throws DatabaseError `database_version`. */
export function judgeVersion(version: number): void {
  const major = Math.floor(version / 10_000)
  const minor = version % 10_000
  if (major >= LOWEST_MAJOR && minor >= (FLOORS.get(major) ?? 0)) return
  const floors = [...FLOORS].map(([at, least]) => `${at}.${least}`).join(', ')
  throw new DatabaseError('database_version', `PostgreSQL ${major}.${minor} is below what is supported (${floors} or newer)`)
}

/**
 * What the login, or a role it may become, could do that would set policies aside. Replication reads the log with every row in it;
 * CREATEROLE may, on the older servers, join any role; the file and program roles reach the server's own files.
 */
const POWERS = `
  select coalesce(string_agg(distinct why, ', ' order by why), '') as why
  from (
    select unnest(array_remove(array[
      case when r.rolsuper then 'superuser' end,
      case when r.rolbypassrls then 'bypasses row-level security' end,
      case when r.rolcreaterole then 'may create roles' end,
      case when r.rolreplication then 'may replicate' end,
      case when r.rolname in ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program') then 'is in ' || r.rolname end,
      case when r.rolname in ('sallyport_owner', 'sallyport_audit', 'sallyport_lookup') then 'is in ' || r.rolname end,
      case when exists (select from pg_class c where c.relnamespace = to_regnamespace('sallyport') and c.relowner = r.oid) then 'owns tables' end,
      case when exists (select from pg_proc p where p.pronamespace = to_regnamespace('sallyport') and p.proowner = r.oid) then 'owns functions' end,
      case when exists (select from pg_database d where d.datname = current_database() and d.datdba = r.oid) then 'owns the database' end
    ], null)) as why
    from pg_roles r
    where pg_has_role(session_user, r.oid, 'MEMBER')
  ) powers`

/** @throws DatabaseError `database_role_unsafe` with every reason. */
export async function requireSafeRole(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ why: string }>(POWERS)
  const why = rows[0]?.why ?? 'unknown'
  if (why !== '') {
    throw new DatabaseError(
      'database_role_unsafe',
      `the database login could step around the wall between tenants: ${why}. Use the login that migrating makes for the gateway.`,
    )
  }
}

/**
 * Whether sessions are as this build writes its statements for. A pooler may have dropped what the connection asked for: then it has to come from
 * the login's own settings. @throws DatabaseError `database_role_unsafe`.
 */
export async function requireSession(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ path: string; zone: string }>(
    `select current_setting('search_path') as path, current_setting('timezone') as zone`,
  )
  const { path, zone } = rows[0]!
  if (path === 'pg_catalog' && zone === 'UTC') return
  throw new DatabaseError(
    'database_role_unsafe',
    `sessions of the database login look names up in "${path}" and tell time in ${zone}, which a pooler can cause. As the owner of the login: alter role <login> set search_path = pg_catalog; alter role <login> set timezone = 'UTC'`,
  )
}
