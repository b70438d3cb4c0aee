/** Owns making and dropping test databases on a given server. Refuses to drop one that it did not name. */
import { Client } from 'pg'

const NAME = /^sallyport_test_[0-9a-f]{16}$/

export interface TestDatabase {
  readonly name: string
  /** `adminUrl` with this database in place of its own. */
  readonly url: string
}

/**
 * Makes an empty database, or a copy of `template` (a database's name). A copy takes about 30 ms, and fails while anyone is connected to the template:
 * end every pool on it first.
 */
export async function createDatabase(adminUrl: string, template = 'template0'): Promise<TestDatabase> {
  const name = `sallyport_test_${Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('hex')}`
  await withClient(adminUrl, (client) => client.query(`CREATE DATABASE ${name} TEMPLATE ${client.escapeIdentifier(template)}`))
  return { name, url: databaseUrl(adminUrl, name) }
}

/** Cuts its connections and drops it. Dropping one that is gone already is no error. */
export async function dropDatabase(adminUrl: string, name: string): Promise<void> {
  if (!NAME.test(name)) throw new Error(`${name} is not a database of this suite`)
  await withClient(adminUrl, (client) => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))
}

/** `server_version_num` of the server, such as 180004. */
export async function serverVersionNumber(adminUrl: string): Promise<number> {
  const result = await withClient(adminUrl, (client) => client.query<{ server_version_num: string }>('SHOW server_version_num'))
  return Number(result.rows[0]?.server_version_num)
}

function databaseUrl(adminUrl: string, name: string): string {
  const url = new URL(adminUrl)
  url.pathname = `/${name}`
  return url.href
}

async function withClient<T>(adminUrl: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: adminUrl })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}
