/** A database that the build before 0030 has filled, brought to this one with everything in it. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { formatId, newId, randomBytes } from '@sallyport/core'
import { appendAudit, verifyOrganization } from '../../src/audit/index.ts'
import { apiKeyFind, connectionFind, integrationFind, memberFind, migrate } from '../../src/db/index.ts'
import type { Database } from '../../src/db/index.ts'
import { readBootstrap, readMigrations } from '../../src/db/migrations.ts'
import { freshDatabase, silent } from './fresh-database.ts'
import type { FreshDatabase } from './fresh-database.ts'

const BEFORE = '0030'
const files = readMigrations()
const [older, newer] = [files.filter(({ name }) => name < BEFORE), files.filter(({ name }) => name >= BEFORE)]

const [org, project, person] = [newId('org'), newId('proj'), newId('user')]
const [integration, connection, revocation] = [newId('int'), newId('conn'), newId('conn')]
const [made, child, gone] = [newId('key'), newId('key'), newId('key')]
const session = randomBytes(32)
const SIGNED_IN = '2026-01-02 03:04:05.678+00'

let fresh: FreshDatabase
let database: Database
beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'), { migrated: false })
  await fresh.asSuperuser(readBootstrap())
  for (const { sql } of older) await fresh.asSuperuser(sql)
  await fresh.asSuperuser(`set role sallyport_owner;
    create table sallyport.migration (name text primary key, checksum text not null, applied_at timestamptz not null default now())`)
  for (const { name, checksum } of older) {
    await fresh.asSuperuser('insert into sallyport.migration (name, checksum) values ($1, $2)', [name, checksum])
  }
  await fill()
  const { applied } = await migrate({ url: fresh.adminUrl, appRole: fresh.login, logger: silent })
  expect(applied).toEqual(newer.map(({ name }) => name))
  database = await fresh.open()
})
afterAll(() => fresh.drop())

async function fill(): Promise<void> {
  await fresh.asSuperuser(`insert into sallyport.organization (id, name) values ('${org}', 'o');
    insert into sallyport.project (org_id, id, name) values ('${org}', '${project}', 'p');
    insert into sallyport.person (id, issuer, subject, name) values ('${person}', 'local', 's', 'Somebody');
    insert into sallyport.membership (org_id, person_id, role) values ('${org}', '${person}', 'OWNER');
    insert into sallyport.console_session (token_hash, person_id, created_at, expires_at, assurance)
      values ('\\x${session.toString('hex')}', '${person}', '${SIGNED_IN}', now() + interval '1 hour', 'aal2');
    insert into sallyport.integration (org_id, id, project_id, environment, slug, provider, context, client_id, client_secret)
      values ('${org}', '${integration}', '${project}', 'test', 'github', 'github', '${'c'.repeat(24)}', 'c', 'x');
    insert into sallyport.connection (org_id, id, project_id, environment, integration_id, end_user_id, status, generation, head_seq)
      values ('${org}', '${connection}', '${project}', 'test', '${integration}', 'u', 'active', 1, 1);
    insert into sallyport.credential_version (org_id, connection_id, seq, generation, sealed)
      values ('${org}', '${connection}', 1, 1, 'sealed');
    insert into sallyport.revocation (org_id, id, integration_id, connection_id, cause, state, settled_at)
      values ('${org}', '${revocation}', '${integration}', '${connection}', 'disconnected', 'done', now())`)
  const key = (id: string, createdBy: string, revoked: string) => `insert into sallyport.api_key
    (org_id, id, project_id, environment, name, secret_hmac, secret_argon2id, scopes, created_by, revoked_at)
    values ('${org}', '${id}', '${project}', 'test', 'k', '\\x${'00'.repeat(32)}', '$argon2id$', '{keys:read}', '${createdBy}', ${revoked})`
  await fresh.asSuperuser(key(made, formatId('user', person), 'null'))
  await fresh.asSuperuser(key(child, formatId('key', made), 'null'))
  await fresh.asSuperuser(key(gone, 'system', 'now()'))
  const events = JSON.stringify(
    [1, 2, 3].map((n) => ({ action: 'thing.changed', actor: 'system', target: `thing ${n}`, detail: `{"n":${n}}` })),
  )
  await fresh.asAdmin(async (client) => {
    await client.query(`select set_config('sallyport.org', $1, false)`, [org])
    await client.query('select sallyport.audit_append($1)', [events])
  })
}

describe('a database of the build before', () => {
  it('keeps its keys, with who made them, and takes them for keys of their project that any caller may use', async () => {
    const [first, second, third] = await Promise.all([made, child, gone].map((id) => database.lookups.keyLookup(id)))
    expect(first).toMatchObject({ org, project, makers: 0, allowedOrigins: [], expiresAt: null, revokedAt: null })
    expect(second).toMatchObject({ org, project, makers: 1, allowedOrigins: [], expiresAt: null, revokedAt: null })
    expect(third?.revokedAt).not.toBeNull()
    expect(await database.lookups.keyUseNote([{ key: made, ageS: 0 }])).toBe(1)
    const shown = await database.withTenant(org, (tx) => apiKeyFind(tx, { project, environment: 'test' }, made))
    expect(shown).toMatchObject({ succeeds: null, allowedOrigins: null, createdBy: formatId('user', person) })
    expect(shown?.lastUsedAt).not.toBeNull()
  })

  it('keeps its sessions, as signed in when they began and not when the database was changed', async () => {
    const found = await database.lookups.sessionLookup(session)
    expect(found).toMatchObject({ userId: person, signIn: { assurance: 'aal2', authenticatedAt: new Date(SIGNED_IN) } })
  })

  it('keeps its members, integrations and connections, whose calls pass through as they came', async () => {
    const at = { project, environment: 'test' } as const
    const [member, client, connected] = await database.withTenant(org, async (tx) => [
      await memberFind(tx, person),
      await integrationFind(tx, at, integration),
      await connectionFind(tx, at, connection),
    ])
    expect([member?.role, client?.callPolicy.retries, client?.callPolicy.cache, connected?.status]).toEqual(['OWNER', 0, false, 'active'])
  })

  it('keeps its log, which verifies as before and goes on', async () => {
    await database.withTenant(org, (tx) => appendAudit(tx, { action: 'thing.changed', actor: 'system', target: 'thing 4', detail: {} }))
    expect(await verifyOrganization(database, org)).toMatchObject({ intact: true, firstFault: null })
    const [counted] = await fresh.asSuperuser<{ n: string }>('select count(*) as n from sallyport.audit_event where org_id = $1', [org])
    expect(counted?.n).toBe('4')
  })

  it('has every policy that stood aside for a change back in force', async () => {
    const unforced = await fresh.asSuperuser<{ relname: string }>(`select relname from pg_class
      where relnamespace = 'sallyport'::regnamespace and relkind = 'r' and relrowsecurity and not relforcerowsecurity`)
    expect(unforced).toEqual([])
  })

  it('lets an organization take everything of it along, keys of the organization too', async () => {
    const row = `insert into sallyport.api_key (org_id, id, environment, name, secret_hmac, secret_argon2id, scopes, created_by)
      values ('${org}', '${newId('key')}', 'live', 'k', '\\x${'00'.repeat(32)}', '$argon2id$', '{keys:read}', 'system')`
    await fresh.asSuperuser(row)
    await fresh.asSuperuser(`delete from sallyport.organization where id = '${org}'`)
    const left = await fresh.asSuperuser<{ n: string }>(`select (select count(*) from sallyport.api_key)
      + (select count(*) from sallyport.api_key_use) + (select count(*) from sallyport.revocation) + (select count(*) from sallyport.connection) as n`)
    expect(left[0]?.n).toBe('0')
  })
})
