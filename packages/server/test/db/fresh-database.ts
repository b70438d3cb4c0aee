/** Owns a migrated database of its own for one test file, with a login of its own, and a line to it that can be cut. */
import { randomBytes } from 'node:crypto'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { Client } from 'pg'
import type { QueryResultRow } from 'pg'
import { createLogger, newId, randomToken, Secret } from '@sallyport/core'
import type { ConnectionId, Environment, IntegrationId, OrgId, ProjectId } from '@sallyport/core'
import { createDatabase, dropDatabase } from '../../../testkit/src/servers/database.ts'
import {
  connectionActivate,
  connectionInsert,
  credentialInsert,
  refreshTokenClaim,
  databaseUrl,
  grantRenew,
  integrationInsert,
  migrate,
  openDatabase,
  organizationCreate,
  parseDatabaseUrl,
  projectCreate,
} from '../../src/db/index.ts'
import type { Database, DatabaseOptions } from '../../src/db/index.ts'

export const silent = createLogger({ level: 'silent', format: 'json' })

export interface FreshDatabase {
  /** A superuser's address of this database. */
  readonly adminUrl: Secret
  /** The gateway's login. */
  readonly url: Secret
  readonly login: { readonly name: string; readonly password: Secret }
  open(options?: Partial<DatabaseOptions>): Promise<Database>
  /** Runs one statement as superuser, whom no policy and no trigger of ours holds back for long. */
  asSuperuser<Row extends QueryResultRow = QueryResultRow>(sql: string, values?: unknown[]): Promise<Row[]>
  /** Runs statements as superuser on one plain connection. */
  asAdmin<T>(use: (client: Client) => Promise<T>): Promise<T>
  /** Runs statements as the gateway's login on one plain connection. */
  asGateway<T>(use: (client: Client) => Promise<T>): Promise<T>
  drop(): Promise<void>
}

export async function freshDatabase(serverUrl: string, options: { migrated: boolean } = { migrated: true }): Promise<FreshDatabase> {
  const made = await createDatabase(serverUrl)
  const adminUrl = new Secret(made.url)
  const login = { name: made.name.replace('test', 'login'), password: new Secret(randomToken(24)) }
  const opened: Database[] = []
  const url = databaseUrl({ ...parseDatabaseUrl(adminUrl), user: login.name, password: login.password })
  if (options.migrated) await migrate({ url: adminUrl, appRole: login, logger: silent })
  return {
    adminUrl,
    url,
    login,
    async open(over = {}) {
      const database = await openDatabase({ url, logger: silent, ...over })
      opened.push(database)
      return database
    },
    asSuperuser: (sql, values) => withClient(adminUrl, async (client) => (await client.query(sql, values)).rows),
    asAdmin: (use) => withClient(adminUrl, use),
    asGateway: (use) => withClient(url, use),
    async drop() {
      await Promise.all(opened.map((database) => database.close()))
      await dropDatabase(serverUrl, made.name)
      await withClient(new Secret(serverUrl), (client) => client.query(`drop role if exists ${client.escapeIdentifier(login.name)}`))
    },
  }
}

export interface Tenant {
  readonly org: OrgId
  readonly project: ProjectId
  readonly environment: Environment
  readonly place: { readonly project: ProjectId; readonly environment: Environment }
  readonly integration: IntegrationId
  readonly connection: ConnectionId
}

/** An organization with a project, an integration `github` and one active connection of `user-1` with a credential. */
export async function makeTenant(database: Database, sealed: Buffer = Buffer.from('not an envelope')): Promise<Tenant> {
  const org = newId('org')
  const project = newId('proj')
  const integration = newId('int')
  const connection = newId('conn')
  const place = { project, environment: 'test' } as const
  await database.withTenant(org, async (tx) => {
    await organizationCreate(tx, { name: 'An organization' })
    await projectCreate(tx, { id: project, name: 'A project' })
    await integrationInsert(tx, {
      ...place,
      id: integration,
      slug: 'github',
      provider: 'github',
      context: randomToken(24),
      clientId: 'a-client',
      clientSecret: Buffer.from('not an envelope'),
      scopes: ['repo'],
    })
    await connectionInsert(tx, { ...place, id: connection, integration, endUserId: 'user-1' })
    await credentialInsert(tx, { connection, seq: 1n, parentSeq: null, generation: 1, rtFingerprint: null, sealed, expiresAt: null })
    await refreshTokenClaim(tx, { fingerprint: randomBytes(32), connection, seq: 1n })
    await grantRenew(tx, connection, 1n)
    await connectionActivate(tx, connection, { generation: 1, status: 'active', grantedScopes: ['repo'], account: null })
  })
  return { org, project, environment: 'test', place, integration, connection }
}

/** A line to a server that can go dead and come back: to its clients the same as a server that is stopped and started. */
export interface Line {
  readonly url: Secret
  cut(): Promise<void>
  restore(): Promise<void>
}

export async function lineTo(url: Secret): Promise<Line> {
  const address = parseDatabaseUrl(url)
  const open = new Set<Socket>()
  const server = createServer((inbound) => {
    const outbound = address.host.startsWith('/')
      ? connect(`${address.host}/.s.PGSQL.${address.port}`)
      : connect(address.port, address.host)
    for (const [socket, other] of [
      [inbound, outbound],
      [outbound, inbound],
    ] as const) {
      open.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => open.delete(socket) && other.destroy())
      socket.pipe(other)
    }
  })
  const listen = (port: number): Promise<void> => new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))
  await listen(0)
  const { port } = server.address() as AddressInfo
  return {
    url: databaseUrl({ ...address, host: '127.0.0.1', port }),
    async cut() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of open) socket.destroy()
      await closed
    },
    restore: () => listen(port),
  }
}

async function withClient<T>(url: Secret, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url.reveal() })
  // A test may end its own connection on purpose; what it was asked then is what is looked at.
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}
