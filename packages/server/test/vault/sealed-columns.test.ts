import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { generateKeyBytes, ManualClock, newId, RootKeyring, Secret } from '@sallyport/core'
import { ROOT_SEALED_COLUMNS, SEALED_COLUMNS } from '../../src/vault/sealed-columns.ts'
import { createVault, credentialPlace } from '../../src/vault/index.ts'
import { freshDatabase, makeTenant, silent } from '../db/fresh-database.ts'
import type { FreshDatabase } from '../db/fresh-database.ts'

/** Every other column of bytes, and why nothing in it is sealed. */
const NOT_SEALED: Readonly<Record<string, string>> = {
  'console_session.token_hash': 'SHA-256 of a random token',
  'owner_link.token_hash': 'SHA-256 of a random token',
  'api_key.secret_hmac': 'peppered HMAC of a random secret',
  'credential_version.rt_fingerprint': 'keyed fingerprint',
  'refresh_token_holder.fingerprint': 'keyed fingerprint',
  'connect_session.link_hash': 'SHA-256 of a random token',
  'connect_session.console_session_hash': 'SHA-256 of a random token',
  'connect_session.completion_hash': 'SHA-256 of a random code',
  'event_receipt.event_hash': "SHA-256 of the sender's id of an event",
  'oauth_state.state_hash': 'SHA-256 of a random token',
  'oauth_state.browser_hash': 'SHA-256 of a random token',
  'dpop_proof.hash': 'SHA-256 of a proof that was used',
  'console_session.issuer_session': "SHA-256 of an issuer's name of a session",
  'ended_sign_in.issuer_session': "SHA-256 of an issuer's name of a session",
  'invitation.token_hash': 'SHA-256 of a random token',
  'idempotent_creation.key_hash': 'keyed hash',
  'idempotent_creation.request_hash': 'keyed hash',
  'organization_creation.key_hash': 'keyed hash',
  'organization_creation.request_hash': 'keyed hash',
  'logout_token.token_hash': 'SHA-256 of a token that was used',
  'provider_key.fingerprint': 'keyed fingerprint',
  'audit_checkpoint.hash': 'a hash of the audit chain',
  'audit_checkpoint.previous': 'a hash of the audit chain',
  'audit_checkpoint.signature': 'a signature, for everybody to verify',
  'audit_signing_key.public_key': 'a public key',
  'audit_head.hash': 'a hash of the audit chain',
  'audit_event.prev_hash': 'a hash of the audit chain',
  'audit_event.hash': 'a hash of the audit chain',
}

let fresh: FreshDatabase
beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
})
afterAll(() => fresh.drop())

const nameOf = ({ table, column }: { table: string; column: string }) => `${table}.${column}`

async function bytesOfCatalogue(): Promise<string[]> {
  const rows = await fresh.asSuperuser<{ name: string }>(`
    select c.relname || '.' || a.attname as name from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relnamespace = 'sallyport'::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
      and a.atttypid in ('bytea'::regtype, 'bytea[]'::regtype)`)
  return rows.map(({ name }) => name).toSorted()
}

/** Foreign keys to the table of keys, as `table.column`: what the database itself counts as use of a key. */
async function tiedColumns(keys: 'data_key' | 'root_key'): Promise<string[]> {
  const rows = await fresh.asSuperuser<{ name: string }>(
    `select c.relname || '.' || a.attname as name
     from pg_constraint k join pg_class c on c.oid = k.conrelid
       join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[cardinality(k.conkey)]
     where k.contype = 'f' and k.confrelid = ('sallyport.' || $1)::regclass`,
    [keys],
  )
  return rows.map(({ name }) => name).toSorted()
}

const listed = () => [...[...SEALED_COLUMNS, ...ROOT_SEALED_COLUMNS].map(nameOf), ...Object.keys(NOT_SEALED)].toSorted()

describe('the list of everything sealed', () => {
  it('names every column of bytes in the database, as sealed or with the reason why not', async () => {
    expect(await bytesOfCatalogue()).toEqual(listed())
  })

  it('bites: a table that somebody adds with bytes in it is not on the list', async () => {
    await fresh.asSuperuser('create table sallyport.forgotten (org_id uuid primary key, sealed bytea not null)')
    const found = await bytesOfCatalogue()
    await fresh.asSuperuser('drop table sallyport.forgotten')
    expect(found.filter((name) => !listed().includes(name))).toEqual(['forgotten.sealed'])
  })

  it('is tied to the keys by the database, column by column', async () => {
    expect(await tiedColumns('data_key')).toEqual(SEALED_COLUMNS.map((column) => `${nameOf(column)}_under`).toSorted())
    expect(await tiedColumns('root_key')).toEqual(['data_key.root_key_id', 'system_secret.sealed_under'])
  })

  it('gives each row the place that it says: table, column and purpose', () => {
    const row = { connection_id: newId('conn'), seq: '7', id: newId('int'), state_hash: '\\x00', connect_session_id: newId('cs') }
    for (const column of SEALED_COLUMNS) {
      const { table, column: name, purpose } = column
      expect(column.place(row)).toMatchObject({ table, column: name, purpose })
    }
  })
})

describe('the database', () => {
  it('reads the key of an envelope as the gateway does, and none from other bytes', async () => {
    const database = await fresh.open()
    const vault = createVault({
      database,
      keyring: RootKeyring.parse(new Secret(`r1:${generateKeyBytes().toString('hex')}`)),
      clock: new ManualClock(),
      logger: silent,
    })
    await vault.checkRootKeys()
    const { org, connection } = await makeTenant(database)
    const sealed = await database.withTenant(org, (tx) => vault.seal(tx, credentialPlace(connection, 2n), new Secret('not a token')))
    const nameIn = async (bytes: Buffer) =>
      (await fresh.asSuperuser<{ name: string | null }>('select sallyport.envelope_data_key($1)::text as name', [bytes]))[0]!.name
    const [key] = await fresh.asSuperuser<{ id: string }>('select id::text as id from sallyport.data_key where org_id = $1', [org])
    expect(await nameIn(sealed)).toBe(key!.id)
    for (const other of [Buffer.alloc(0), sealed.subarray(0, 5), sealed.subarray(1), Buffer.from('SPE\u0001@'.padEnd(80))]) {
      expect(await nameIn(other)).toBeNull()
    }
    const wrapped = Buffer.from(`SPW\u0001\u0005kms-1ciphertext`)
    const rows = await fresh.asSuperuser('select sallyport.envelope_key_name($1) as name', [wrapped])
    expect(rows).toEqual([{ name: 'kms-1' }])
    vault.close()
  })
})
