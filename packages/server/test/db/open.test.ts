import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { Secret } from '@sallyport/core'
import { databaseUrl, openDatabase, parseDatabaseUrl } from '../../src/db/index.ts'
import { freshDatabase, silent } from './fresh-database.ts'
import type { FreshDatabase } from './fresh-database.ts'

let fresh: FreshDatabase
/** Statements that undo what the running test did to the login it shares with the others. */
let undo: string[] = []
beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
})
afterEach(async () => {
  for (const statement of undo.splice(0)) await fresh.asSuperuser(statement)
  // Every refusal here is for its own reason: the login itself is good.
  await (await openDatabase({ url: fresh.url, logger: silent })).close()
})
afterAll(() => fresh.drop())

const spoil = async (statement: string, undoing: string): Promise<void> => {
  await fresh.asSuperuser(statement)
  undo.push(undoing)
}

describe('openDatabase', () => {
  it.each(['superuser', 'bypassrls', 'createrole', 'replication'])('X-05 refuses a login that is %s', async (power) => {
    await spoil(`alter role ${fresh.login.name} ${power}`, `alter role ${fresh.login.name} no${power}`)
    await expect(fresh.open()).rejects.toMatchObject({ code: 'database_role_unsafe' })
  })

  it.each(['sallyport_owner', 'sallyport_audit', 'sallyport_lookup', 'pg_execute_server_program', 'pg_write_server_files'])(
    'X-05 refuses a login that may become %s, even one that does not inherit from it',
    async (role) => {
      await spoil(`alter role ${fresh.login.name} noinherit`, `alter role ${fresh.login.name} inherit`)
      await spoil(`grant ${role} to ${fresh.login.name}`, `revoke ${role} from ${fresh.login.name}`)
      await expect(fresh.open()).rejects.toMatchObject({ code: 'database_role_unsafe' })
    },
  )

  it.each([
    ['table', 'table sallyport.project', 'sallyport_owner'],
    ['function', 'function sallyport.key_lookup(uuid)', 'sallyport_lookup'],
  ])('X-05 refuses the owner of a %s', async (kind, object, owner) => {
    await spoil(`alter ${object} owner to ${fresh.login.name}`, `alter ${object} owner to ${owner}`)
    await expect(fresh.open()).rejects.toMatchObject({
      code: 'database_role_unsafe',
      message: expect.stringContaining(`owns ${kind}s`) as string,
    })
  })

  it('X-05 refuses the owner of the database', async () => {
    const { database } = parseDatabaseUrl(fresh.adminUrl)
    await spoil(`alter database ${database} owner to ${fresh.login.name}`, `alter database ${database} owner to current_user`)
    await expect(fresh.open()).rejects.toMatchObject({ code: 'database_role_unsafe' })
  })

  it('X-05 refuses the superuser that migrates', async () => {
    await expect(openDatabase({ url: fresh.adminUrl, logger: silent })).rejects.toMatchObject({ code: 'database_role_unsafe' })
  })

  it('says that a database was never migrated, or not by all of this build', async () => {
    const bare = await freshDatabase(inject('postgresUrl'), { migrated: false })
    await bare.asSuperuser(`create role ${bare.login.name} login password '${bare.login.password.reveal()}'`)
    await expect(bare.open()).rejects.toMatchObject({ code: 'database_not_migrated' })
    await bare.drop()
    await spoil(
      'create table public.kept as select * from sallyport.migration',
      'insert into sallyport.migration select * from public.kept on conflict do nothing',
    )
    await fresh.asSuperuser('delete from sallyport.migration where name = (select max(name) from sallyport.migration)')
    await expect(fresh.open()).rejects.toMatchObject({ code: 'database_not_migrated' })
  })

  it('says database_unavailable, and no part of the address, for a wrong password, database or port', async () => {
    const right = parseDatabaseUrl(fresh.url)
    const wrong = [
      { ...right, password: new Secret('not-the-password-at-all') },
      { ...right, database: 'no_such_database' },
      { ...right, host: '127.0.0.1', port: 1 },
    ]
    for (const address of wrong) {
      const error = await openDatabase({ url: databaseUrl(address), logger: silent }).catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'database_unavailable' })
      expect(inspect(error)).not.toContain(address.password.reveal())
    }
  })
})
