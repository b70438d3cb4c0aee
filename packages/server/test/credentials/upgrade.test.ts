import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { newId } from '@sallyport/core'
import { freshDatabase } from '../db/fresh-database.ts'
import type { FreshDatabase } from '../db/fresh-database.ts'

const SQL = join(import.meta.dirname, '../../src/db')
const files = readdirSync(join(SQL, 'migrations')).toSorted()

let fresh: FreshDatabase
beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'), { migrated: false })
})
afterAll(() => fresh.drop())

const apply = (name: string) => fresh.asSuperuser(readFileSync(join(SQL, name), 'utf8'))

it('gives the versions of an older database the generation of their consent, and changes nothing else of them', async () => {
  const lineage = files.findIndex((file) => file.startsWith('0010_'))
  await apply('bootstrap.sql')
  for (const file of files.slice(0, lineage)) await apply(`migrations/${file}`)
  const [org, project, integration, once, thrice] = [newId('org'), newId('proj'), newId('int'), newId('conn'), newId('conn')]
  await fresh.asSuperuser(`insert into sallyport.organization (id, name) values ('${org}', 'o');
    insert into sallyport.project (org_id, id, name) values ('${org}', '${project}', 'p');
    insert into sallyport.integration (org_id, id, project_id, environment, slug, provider, context, client_id, client_secret)
      values ('${org}', '${integration}', '${project}', 'test', 'github', 'github', '${'c'.repeat(24)}', 'c', 'x');
    insert into sallyport.connection (org_id, id, project_id, environment, integration_id, end_user_id, status, generation, head_seq) values
      ('${org}', '${once}', '${project}', 'test', '${integration}', 'u', 'active', 1, 1),
      ('${org}', '${thrice}', '${project}', 'test', '${integration}', 'u', 'active', 3, 3);
    insert into sallyport.credential_version (org_id, connection_id, seq, sealed)
      values ('${org}', '${once}', 1, 'sealed'), ('${org}', '${thrice}', 1, 'sealed 1'), ('${org}', '${thrice}', 2, 'sealed 2'),
        ('${org}', '${thrice}', 3, 'sealed 3')`)
  for (const file of files.slice(lineage)) await apply(`migrations/${file}`)
  const rows = await fresh.asSuperuser<{ connection_id: string; seq: string; generation: number; sealed: Buffer; refreshable: boolean }>(
    'select connection_id, seq, generation, sealed, refreshable from sallyport.credential_version order by connection_id, seq',
  )
  expect(rows.filter((row) => row.connection_id === once)).toMatchObject([{ seq: '1', generation: 1, sealed: Buffer.from('sealed') }])
  expect(rows.filter((row) => row.connection_id === thrice).map(({ seq, generation }) => `${seq} of ${generation}`)).toEqual([
    '1 of 1',
    '2 of 2',
    '3 of 3',
  ])
  // The trigger and the forced policies that stood aside for it are back.
  await expect(fresh.asSuperuser(`update sallyport.credential_version set generation = 7`)).rejects.toMatchObject({ code: '23000' })
  const unforced = await fresh.asSuperuser(
    `select relname from pg_class where relnamespace = 'sallyport'::regnamespace and relname in ('connection', 'credential_version') and not relforcerowsecurity`,
  )
  expect(unforced).toEqual([])
})
