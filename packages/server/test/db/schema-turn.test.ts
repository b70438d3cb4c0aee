/** Two versions on one database: the older leaves before the newer changes anything, and writes nothing afterwards. */
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { newId, sha256 } from '@sallyport/core'
import { migrate, openDatabase, organizationCreate, organizationFind } from '../../src/db/index.ts'
import type { Database, DatabaseOptions } from '../../src/db/index.ts'
import { readMigrations } from '../../src/db/migrations.ts'
import type { Migration } from '../../src/db/migrations.ts'
import { isSchemaWanted } from '../../src/db/schema-turn.ts'
import { freshDatabase, lineTo, silent } from './fresh-database.ts'
import type { FreshDatabase } from './fresh-database.ts'

/** What the version after this one brings. */
const NEWER = 'set role sallyport_owner; create table sallyport.of_the_next_version (n int); reset role;'
const newer: readonly Migration[] = [
  ...readMigrations(),
  { name: '9999_of_the_next_version', sql: NEWER, checksum: sha256(NEWER).toString('hex') },
]

let fresh: FreshDatabase
beforeEach(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
})
afterEach(() => fresh.drop())

/** For the test to close: when a node goes is what is looked at. */
const open = (over: Partial<DatabaseOptions> = {}): Promise<Database> => openDatabase({ url: fresh.url, logger: silent, ...over })

const migrateNewer = (leaveMs?: number) =>
  migrate({ url: fresh.adminUrl, logger: silent, migrations: newer, ...(leaveMs === undefined ? {} : { leaveMs }) })

async function hasNewer(): Promise<boolean> {
  const rows = await fresh.asSuperuser(`select from pg_tables where schemaname = 'sallyport' and tablename = 'of_the_next_version'`)
  return rows.length === 1
}

/** Who waits for this schema. Other files' databases are on the same server, and have migrations of their own. */
const waiting = (): Promise<{ pid: number }[]> =>
  fresh.asSuperuser(
    `select l.pid from pg_locks l join pg_database d on d.oid = l.database
     where d.datname = current_database() and l.locktype = 'advisory' and not l.granted and l.classid = 1`,
  )

/** Resolves once somebody does. */
const somebodyWaits = (): Promise<void> => expect.poll(waiting).toHaveLength(1)

async function writes(database: Database): Promise<boolean> {
  const org = newId('org')
  await database.withTenant(org, (tx) => organizationCreate(tx, { name: 'o' }))
  return (await database.withTenant(org, organizationFind)) !== undefined
}

describe('a newer version that migrates', () => {
  it('is waited for by nothing of the older: its nodes are told to end, finish what they have, and only then does the schema change', async () => {
    const [first, second] = [await open(), await open()]
    const migrating = migrateNewer()
    const told = await Promise.all([first.superseded, second.superseded])
    expect(told.map(({ code }) => code)).toEqual(['database_migrating', 'database_migrating'])
    expect(await writes(first)).toBe(true)
    await first.close()
    expect(await writes(second)).toBe(true)
    expect(await hasNewer()).toBe(false)
    await second.close()
    expect((await migrating).applied).toEqual(['9999_of_the_next_version'])
    expect(await hasNewer()).toBe(true)
  })

  it('lets no node of the older begin, neither while it waits nor afterwards', async () => {
    const node = await open()
    const migrating = migrateNewer()
    await somebodyWaits()
    await expect(open()).rejects.toMatchObject({ code: 'database_migrating' })
    await node.close()
    await migrating
    await expect(open()).rejects.toMatchObject({ code: 'database_migration_unknown' })
  })

  it('changes nothing where a node does not end in time, and says so', async () => {
    const node = await open()
    await expect(migrateNewer(50)).rejects.toMatchObject({
      code: 'database_in_use',
      message: expect.stringContaining('1 process(es)') as string,
    })
    expect(await hasNewer()).toBe(false)
    // It can be tried again, and others of this version begin meanwhile.
    await (await open()).close()
    await node.close()
    expect((await migrateNewer()).applied).toHaveLength(1)
  })

  it('waits for nodes for as long as it was told, however little time its login gives a statement', async () => {
    const node = await open()
    const [{ login, name }] = (await fresh.asAdmin((client) =>
      client.query('select quote_ident(current_user) as login, quote_ident(current_database()) as name').then(({ rows }) => rows),
    )) as [{ login: string; name: string }]
    await fresh.asSuperuser(`alter role ${login} in database ${name} set statement_timeout = '1s'`)
    await expect(migrateNewer(2_000)).rejects.toMatchObject({ code: 'database_in_use' })
    await node.close()
    expect((await migrateNewer()).applied).toHaveLength(1)
  })

  it('ends a node that heard nothing because its line was cut, as soon as it hears again', async () => {
    const line = await lineTo(fresh.url)
    const node = await open({ sessionUrl: line.url })
    await line.cut()
    await migrateNewer()
    await line.restore()
    expect(await node.superseded).toMatchObject({ code: 'database_migration_unknown' })
    await node.close()
    await line.cut()
  })
})

describe('a migration that finds nothing to do', () => {
  it('asks nobody to end', async () => {
    const node = await open()
    expect((await migrate({ url: fresh.adminUrl, logger: silent, leaveMs: 50 })).applied).toEqual([])
    expect(await fresh.asGateway(isSchemaWanted)).toBe(false)
    expect(await writes(node)).toBe(true)
    await node.close()
  })
})

describe('a login that could not migrate', () => {
  it('makes no node leave, whatever lock it waits for', async () => {
    const node = await open()
    const wantedBy = (as: 'asAdmin' | 'asGateway'): Promise<boolean> =>
      fresh[as](async (client) => {
        const taken = client.query('select pg_advisory_lock(7255000002)').then(
          () => 'taken',
          () => 'given up',
        )
        await somebodyWaits()
        const wanted = await fresh.asGateway(isSchemaWanted)
        const [{ pid }] = (await waiting()) as [{ pid: number }]
        await fresh.asSuperuser('select pg_cancel_backend($1)', [pid])
        expect(await taken).toBe('given up')
        return wanted
      })
    expect(await wantedBy('asGateway')).toBe(false)
    expect(await wantedBy('asAdmin')).toBe(true)
    await node.close()
  })
  it('is no migration to a node that comes, or comes back, while it has the lock', async () => {
    const besideHolder = (as: 'asAdmin' | 'asGateway'): Promise<unknown> =>
      fresh[as](async (client) => {
        await client.query('select pg_advisory_lock(7255000002)')
        return open().catch((error: unknown) => error)
      })
    expect(await besideHolder('asGateway')).toMatchObject({ code: 'database_unavailable' })
    expect(await besideHolder('asAdmin')).toMatchObject({ code: 'database_migrating' })
  })
})
