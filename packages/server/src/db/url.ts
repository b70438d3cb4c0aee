/**
 * Owns the reading of database addresses: `postgres://user:password@host:port/database?sslmode=...`. Refuses options it doesn't know and
 * the TLS modes that encrypt towards whoever answers and call it safe.
 */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import type { ClientConfig } from 'pg'
import { Secret } from '@sallyport/core'
import { DatabaseError } from './errors.ts'

export interface DatabaseAddress {
  /** A host name, an IP address, or the absolute path of a folder with a Unix socket. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: Secret
  readonly database: string
  /** `disable`: none. `require`: encrypted towards anybody. `verify-full`: chain and name are checked. */
  readonly tls: 'disable' | 'require' | 'verify-full'
  /** A file with the authorities to trust (PEM); undefined: those of the system. */
  readonly caFile: string | undefined
}

const OPTIONS = new Set(['sslmode', 'sslrootcert', 'host', 'port'])
/** Whatever the environment says (`NODE_OPTIONS` can lower it). */
const LOWEST_TLS = 'TLSv1.2'
const TLS_MODES = ['disable', 'require', 'verify-full'] as const

/**
 * Reads an address. Without `sslmode`, a server on this machine is spoken to plainly and any other with verified TLS.
 * @throws DatabaseError `database_url_invalid`; the message repeats nothing of the address.
 */
export function parseDatabaseUrl(url: Secret): DatabaseAddress {
  const parsed = readUrl(url)
  const unknown = [...parsed.searchParams.keys()].find((name) => !OPTIONS.has(name))
  if (unknown !== undefined) throw invalid(`has an option that is not one of ${[...OPTIONS].join(', ')}`)
  const host = parsed.searchParams.get('host') ?? decode(parsed.hostname).replace(/^\[(.*)\]$/, '$1')
  const port = Number(parsed.searchParams.get('port') ?? (parsed.port || '5432'))
  const user = decode(parsed.username)
  const database = decode(parsed.pathname.slice(1))
  if (host === '' || user === '' || database === '') throw invalid('needs a host, a user and a database')
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw invalid('has a port that is none')
  return {
    host,
    port,
    user,
    password: new Secret(decode(parsed.password)),
    database,
    tls: tlsMode(parsed.searchParams.get('sslmode'), host),
    caFile: parsed.searchParams.get('sslrootcert') ?? undefined,
  }
}

/** The address of a server as the text that configuration takes. Local: for the embedded server's socket folder, or a loopback port. */
export function databaseUrl(at: Pick<DatabaseAddress, 'host' | 'port' | 'user' | 'password' | 'database'>): Secret {
  const host = at.host.includes(':') ? `[${at.host}]` : encodeURIComponent(at.host)
  const credentials = `${encodeURIComponent(at.user)}:${encodeURIComponent(at.password.reveal())}`
  return new Secret(`postgres://${credentials}@${host}:${at.port}/${encodeURIComponent(at.database)}`)
}

/** True for a socket folder and for loopback: nothing between us and the server but this machine. */
export function isLocalHost(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/**
 * What pg needs to connect. `requireVerifiedTls`: refuse anything less towards another host.
 * @throws DatabaseError `database_tls_required`, or `database_url_invalid` when the file of authorities can't be read.
 */
export function clientConfig(address: DatabaseAddress, requireVerifiedTls: boolean): ClientConfig {
  if (requireVerifiedTls && address.tls !== 'verify-full' && !isLocalHost(address.host)) {
    throw new DatabaseError('database_tls_required', 'the database is on another host: its address needs sslmode=verify-full')
  }
  return {
    host: address.host,
    port: address.port,
    user: address.user,
    password: address.password.reveal(),
    database: address.database,
    application_name: 'sallyport',
    keepAlive: true,
    // Names are written in full everywhere; a session that resolves none can't be led to another's table.
    options: '-c search_path=pg_catalog -c timezone=UTC',
    ssl: tlsOptions(address),
  }
}

function readUrl(url: Secret): URL {
  // `user@/database?host=/folder` is usual for sockets, but no URL: a host that is never used stands in.
  const text = url.reveal().replace(/^(postgres(?:ql)?:\/\/[^/?#@]*@)\//, '$1socket/')
  if (!/^postgres(?:ql)?:\/\//.test(text) || !URL.canParse(text))
    throw invalid('is not of the form postgres://user:password@host:port/database')
  return new URL(text)
}

function tlsMode(mode: string | null, host: string): DatabaseAddress['tls'] {
  if (mode === null) return isLocalHost(host) ? 'disable' : 'verify-full'
  const known = TLS_MODES.find((name) => name === mode)
  if (known === undefined) throw invalid(`has an sslmode that is not one of ${TLS_MODES.join(', ')}`)
  return known
}

function tlsOptions(address: DatabaseAddress): NonNullable<ClientConfig['ssl']> {
  if (address.tls === 'disable') return false
  if (address.tls === 'require') return { minVersion: LOWEST_TLS, rejectUnauthorized: false }
  if (address.caFile === undefined) return { minVersion: LOWEST_TLS, rejectUnauthorized: true }
  try {
    return { minVersion: LOWEST_TLS, rejectUnauthorized: true, ca: readFileSync(address.caFile, 'utf8') }
  } catch {
    throw invalid(`names a file of authorities (sslrootcert) that can't be read`)
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw invalid('has a broken percent escape')
  }
}

function invalid(what: string): DatabaseError {
  return new DatabaseError('database_url_invalid', `the database address ${what}`)
}
