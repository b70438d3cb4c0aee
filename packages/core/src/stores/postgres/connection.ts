/** Owns how the token store reaches PostgreSQL. Refuses TLS that isn't verified, and other hosts without TLS, unless told to. */
import type { ClientConfig } from 'pg'
import { Secret } from '../../kernel/index.ts'
import { decoded, hostOf, isLocalHost, misconfigured, readStoreUrl } from '../address.ts'

/** Where the server is, and how its identity is proved. */
export interface PostgresAddress {
  /** `postgres://user:password@host:port/database`, with `sslmode=disable` or `verify-full` (`require` is taken for it) if any. */
  readonly url: string | Secret
  /** PEM of the authorities to trust, in place of the system's. */
  readonly ca?: string
  /** Speaks to another host without TLS. Everybody on the way reads along, and may answer in its place. */
  readonly insecurePlaintext?: boolean
}

const TLS_MODES = ['disable', 'require', 'verify-full']

/** @throws TokenError `store_misconfigured` */
export function postgresConfig({ url, ca, insecurePlaintext = false }: PostgresAddress): ClientConfig {
  const parsed = readStoreUrl(url, ['postgres:', 'postgresql:'])
  const unknown = [...parsed.searchParams.keys()].find((name) => name !== 'sslmode' && name !== 'host')
  if (unknown !== undefined) throw misconfigured('the store\'s url has an option that is neither "sslmode" nor "host"')
  const host = parsed.searchParams.get('host') ?? hostOf(parsed)
  const database = decoded(parsed.pathname.slice(1))
  if (host === '' || parsed.username === '' || database === '') throw misconfigured("the store's url needs a host, a user and a database")
  return {
    host,
    port: Number(parsed.port || '5432'),
    user: decoded(parsed.username),
    password: decoded(parsed.password),
    database,
    application_name: 'sallyport',
    keepAlive: true,
    ssl: usesTls(parsed.searchParams.get('sslmode'), host, insecurePlaintext) && {
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
      ...(ca === undefined ? {} : { ca }),
    },
  }
}

function usesTls(mode: string | null, host: string, insecurePlaintext: boolean): boolean {
  if (mode !== null && !TLS_MODES.includes(mode))
    throw misconfigured(`the store's url has an sslmode that is none of ${TLS_MODES.join(', ')}`)
  if (mode !== null && mode !== 'disable') return true
  if (isLocalHost(host)) return false
  if (mode === 'disable' && !insecurePlaintext) {
    throw misconfigured('the store is on another host and its url turns TLS off: set insecurePlaintext to mean it')
  }
  return mode === null
}
