import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { Secret } from '@sallyport/core'
import { databaseUrl, migrate, openDatabase, parseDatabaseUrl } from '../../src/db/index.ts'
import { readMigrations } from '../../src/db/migrations.ts'
import { freshDatabase, silent } from './fresh-database.ts'
import type { FreshDatabase } from './fresh-database.ts'

const names = readMigrations().map(({ name }) => name)
const makeOwner = `
  do $$ begin create role sallyport_owner nologin; exception when duplicate_object or unique_violation then null; end $$;
  create schema sallyport authorization sallyport_owner`

let fresh: FreshDatabase
beforeEach(async () => {
  fresh = await freshDatabase(inject('postgresUrl'), { migrated: false })
})
afterEach(() => fresh.drop())

const migrateFresh = () => migrate({ url: fresh.adminUrl, appRole: fresh.login, logger: silent })
const rolesOf = (name: string) => fresh.asSuperuser<{ rolpassword: string }>('select rolpassword from pg_authid where rolname = $1', [name])

/** What the process applied. Rejects when it ends without an answer, or badly after one. */
async function answerOf(child: ChildProcess): Promise<string[]> {
  const exit = once(child, 'exit')
  const silence = exit.then(([code]) => Promise.reject(new Error(`ended with ${code}`)))
  const [applied] = (await Promise.race([once(child, 'message'), silence])) as [string[]]
  expect(await exit).toEqual([0, null])
  return applied
}

describe('migrate', () => {
  it('is done once by ten processes that start at once', async () => {
    const env = { TEST_DATABASE_URL: fresh.adminUrl.reveal(), TEST_LOGIN: fresh.login.name, TEST_PASSWORD: fresh.login.password.reveal() }
    const script = fileURLToPath(new URL('migrating-process.ts', import.meta.url))
    const children = Array.from({ length: 10 }, () => fork(script, { env: { ...env, PATH: process.env['PATH'] } }))
    // Loading takes each of them longer than migrating does: told one by one they would not meet.
    await Promise.all(children.map((child) => once(child, 'message')))
    const answers = Promise.all(children.map(answerOf))
    for (const child of children) child.send('go')
    const applied = await answers
    expect(applied.filter((list) => list.length > 0)).toEqual([names])
    await fresh.open()
  })

  it('finds nothing to do the second time, and still makes the login good', async () => {
    expect((await migrateFresh()).applied).toEqual(names)
    expect((await migrateFresh()).applied).toEqual([])
    await fresh.open()
  })

  it('refuses a migration that was applied in another form, and changes nothing', async () => {
    await migrateFresh()
    await fresh.asSuperuser(`update sallyport.migration set checksum = repeat('0', 64) where name = $1`, [names[1]])
    await expect(migrateFresh()).rejects.toMatchObject({ code: 'database_migration_changed' })
    await expect(fresh.open()).rejects.toMatchObject({ code: 'database_migration_changed' })
  })

  it.each([`9999_from_the_future`, `0003_another_branch`])(
    'refuses a database that has %s, which this build does not know',
    async (name) => {
      await migrateFresh()
      await fresh.asSuperuser(`insert into sallyport.migration (name, checksum) values ($1, repeat('0', 64))`, [name])
      await expect(migrateFresh()).rejects.toMatchObject({
        code: expect.stringMatching(/^database_migration_(unknown|changed)$/) as string,
      })
      await expect(fresh.open()).rejects.toMatchObject({ code: expect.stringMatching(/^database_migration_(unknown|changed)$/) as string })
    },
  )

  it('keeps nothing of a migration that fails, and goes on from there once the cause is gone', async () => {
    await fresh.asSuperuser(makeOwner)
    await fresh.asSuperuser('create table sallyport.credential_version (in_the_way int)')
    await expect(migrateFresh()).rejects.toMatchObject({ code: 'database_migration_failed', sqlState: '42P07' })
    const left = await fresh.asSuperuser<{ name: string }>('select name from sallyport.migration')
    expect(left.map(({ name }) => name)).toEqual(names.slice(0, 1))
    const tables = await fresh.asSuperuser(`select from pg_tables where schemaname = 'sallyport' and tablename = 'integration'`)
    expect(tables).toEqual([])
    await fresh.asSuperuser('drop table sallyport.credential_version')
    expect((await migrateFresh()).applied).toEqual(names.slice(1))
  })

  it('works for a login that is no superuser but may create roles and schemas', async () => {
    const name = `${fresh.login.name}_migrator`
    await fresh.asSuperuser(`create role ${name} login createrole password 'a-password-for-a-test'`)
    try {
      const admin = parseDatabaseUrl(fresh.adminUrl)
      await fresh.asSuperuser(`grant create on database ${admin.database} to ${name}`)
      const [roles] = await fresh.asSuperuser<{ there: boolean; version: number }>(
        `select exists (select from pg_roles where rolname = 'sallyport_owner') as there, current_setting('server_version_num')::int as version`,
      )
      // From 16 on, roles that another login made are its to give; on a shared server they may be another test's superuser's.
      if (roles!.there && roles!.version >= 160_000) {
        await fresh.asSuperuser(`grant sallyport_owner, sallyport_audit, sallyport_lookup, sallyport_app to ${name} with admin option`)
      }
      const url = databaseUrl({ ...admin, user: name, password: new Secret('a-password-for-a-test') })
      expect((await migrate({ url, appRole: fresh.login, logger: silent })).applied).toEqual(names)
      await (await openDatabase({ url: fresh.url, logger: silent })).close()
    } finally {
      await fresh.asSuperuser(`drop owned by ${name} cascade`)
      await fresh.asSuperuser(`drop role if exists ${fresh.login.name}`)
      await fresh.asSuperuser(`drop role ${name}`)
    }
  })

  // The risk: a password in a statement stands in the server's log for whoever reads logs.
  it('L-08 sends the server the verifier of a password, never the password', async () => {
    await migrateFresh()
    const [role] = await rolesOf(fresh.login.name)
    expect(role!.rolpassword).toMatch(/^SCRAM-SHA-256\$4096:/)
    expect(role!.rolpassword).not.toContain(fresh.login.password.reveal())
  })
})
