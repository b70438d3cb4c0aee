import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { Pool } from 'pg'
import { hasCode, newId } from '@sallyport/core'
import type { KeyId } from '@sallyport/core'
import {
  budgetDraw,
  budgetInsert,
  endUserForget,
  usageInsertMany,
  apiKeyInsert,
  auditSigningKeyPut,
  browserOriginsPut,
  bulkRevocationInsert,
  checkpointPut,
  checkpointStart,
  rateLimitPut,
  connectSessionInsert,
  connectionInsert,
  credentialInsert,
  creationBegin,
  deletionInsert,
  eventReceiptPut,
  eventSourceInsert,
  intentPut,
  auditSubjectForget,
  auditSubjectKeyInsert,
  invitationInsert,
  leaseTake,
  membershipPut,
  organizationCreateOnce,
  organizationCreate,
  organizationFind,
  projectList,
  modelRouteInsert,
  providerKeyInsert,
  revocationInsertMany,
  settingPut,
  signInPolicyPut,
  storedContentInsert,
} from '../../src/db/index.ts'
import type { Database, TenantTx } from '../../src/db/index.ts'
import { readModelKeys } from '../../src/db/queries/model-key.ts'
import { readProxyTarget } from '../../src/db/queries/proxy-target.ts'
import { withTenant } from '../../src/db/tenant.ts'
import { freshDatabase, makeTenant } from './fresh-database.ts'
import type { FreshDatabase, Tenant } from './fresh-database.ts'

let fresh: FreshDatabase
let database: Database
let a: Tenant
let b: Tenant

beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  database = await fresh.open()
  a = await makeTenant(database)
  b = await makeTenant(database)
  await fillTables(a)
})

afterAll(() => fresh.drop())

const PROVIDER_KEY = {
  provider: 'openai',
  name: 'default',
  settings: {},
  mask: '…',
  fingerprint: Buffer.alloc(16, 7),
  replaces: null,
  createdBy: 'system',
}
const USAGE = {
  at: new Date(),
  endUser: 'user-1',
  provider: 'openai',
  model: null,
  route: null,
  status: 200,
  error: null,
  source: null,
  inputTokens: null,
  cachedTokens: null,
  writtenTokens: null,
  outputTokens: null,
  reasoningTokens: null,
  costNano: null,
  durationUs: 1,
  firstByteUs: null,
} as const
const EVENT_SOURCE = { kind: 'github', issuers: [], audiences: [], keysUri: null, untyped: false } as const

/** Every table holds a row of A's before anybody tries to see it. */
async function fillTables(tenant: Tenant): Promise<void> {
  await fresh.asSuperuser(`insert into sallyport.root_key (id, check_value) values ('r1', 'x')`)
  const person = await database.lookups.personUpsert({ id: newId('user'), issuer: 'local', subject: 'owner', name: 'Owner' })
  await database.lookups.proofTake(Buffer.alloc(32, 3), 3600)
  await database.lookups.nodeBeat('a node', 60)
  await database.lookups.signInEnd(Buffer.alloc(32, 4), 3600)
  const logout = { tokenHash: Buffer.alloc(32, 5), keepS: 3600, issuer: 'local', issuerSession: Buffer.alloc(32, 6), lifeS: 3600 }
  await database.lookups.signInLogout({ ...logout, subject: null, id: newId('user') })
  await database.lookups.ownerLinkPut({ hash: Buffer.alloc(32, 1), person, ttlSeconds: 3_600 })
  await database.lookups.ownerLinkPut({ hash: Buffer.alloc(32, 2), person, ttlSeconds: 3_600 })
  await database.lookups.sessionOpen({ linkHash: Buffer.alloc(32, 2), sessionHash: Buffer.alloc(32, 3), ttlSeconds: 3_600 })
  const { org, place, integration, connection } = tenant
  const session = newId('cs')
  const used: KeyId[] = []
  await database.withTenant(org, async (tx) => {
    await membershipPut(tx, person, 'OWNER')
    await organizationCreateOnce(tx, { keyHash: Buffer.alloc(32, 7), requestHash: Buffer.alloc(32) })
    await deletionInsert(tx, { requestedBy: 'system', graceS: 3600, patienceS: 0 })
    await creationBegin(tx, { keyHash: Buffer.alloc(32, 9), requestHash: Buffer.alloc(32), attempt: randomUUID() }, 60)
    await settingPut(tx, 'audit_use_mode', 'batched', 'system')
    await auditSubjectKeyInsert(tx, { id: newId('dk'), subject: 'user_1', sealed: Buffer.from('not an envelope') })
    await auditSubjectForget(tx, ['user_2'])
    await invitationInsert(tx, {
      id: newId('inv'),
      email: 'a@example.com',
      role: 'VIEWER',
      tokenHash: Buffer.alloc(32, 8),
      invitedBy: person,
      lifeS: 60,
    })
    await tx
      .insertInto('sallyport.data_key')
      .values({ org_id: org, id: newId('dk'), root_key_id: 'r1', wrapped: Buffer.from('x'), status: 'previous' })
      .execute()
    await signInPolicyPut(tx, { ways: [{ issuer: 'https://issuer.test', provider: null }], breakGlass: false })
    used.push((await insertKey(tx, tenant, { connection })).id)
    await connectSessionInsert(tx, sessionOf(tenant, { id: session, integration, connection }))
    await tx
      .insertInto('sallyport.oauth_state')
      .values({
        org_id: org,
        state_hash: Buffer.alloc(32, 4),
        connect_session_id: session,
        context: 'c',
        browser_hash: Buffer.alloc(32, 5),
        verifier: Buffer.from('x'),
        expires_at: new Date(Date.now() + 60_000),
      })
      .execute()
    await intentPut(tx, connection, { id: randomUUID(), generation: 1, parentSeq: 1n, headSeq: 1n, attempt: 1, node: 'a node' })
    await leaseTake(tx, connection, 'a holder', 60_000)
    await revocationInsertMany(tx, [
      { id: newId('rev'), integration, connection, accountId: null, cause: 'disconnected', sealed: Buffer.from('x'), delaySeconds: 3600 },
    ])
    const source = newId('esrc')
    const secret = Buffer.from('x')
    await eventSourceInsert(tx, place, { ...EVENT_SOURCE, id: source, integration, context: 'c'.repeat(32), secret })
    await eventReceiptPut(tx, source, Buffer.alloc(32, 6))
    await endUserForget(tx, place, 'user-0')
    await storedContentInsert(tx, {
      id: randomUUID(),
      place,
      request: newId('req'),
      part: 'prompt',
      provider: 'openai',
      endUser: 'user-1',
      status: 200,
      bytes: 1,
      whole: true,
      sealed: Buffer.from('not an envelope'),
      days: 30,
    })
    await providerKeyInsert(tx, { ...PROVIDER_KEY, id: newId('pkey'), place, sealed: secret })
    await modelRouteInsert(tx, place, {
      id: newId('mroute'),
      name: 'a-route',
      strategy: 'ordered',
      targets: [{ provider: 'openai', model: 'a-model', keyName: 'default', weight: 1, firstByteTimeoutMs: null }],
      fallbackOn: [],
      deadlineMs: 60_000,
      createdBy: 'system',
    })
    const budget = newId('bud')
    const bounds = { amountNano: 1_000, period: 'total', enforcement: 'hard', unpriced: 'pass', createdBy: 'system' } as const
    await budgetInsert(tx, { ...bounds, id: budget, holder: 'organization', holderId: org })
    await budgetDraw(tx, { budget, node: 'a node', busyNano: 0, needNano: 100, ahead: false, seconds: 60 })
    await usageInsertMany(tx, [
      { row: { ...USAGE, org, id: newId('use'), request: newId('req'), key: newId('key'), ...place }, charges: [], node: 'a node' },
    ])
    await rateLimitPut(tx, { kind: 'project', id: place.project }, { perSecond: 5, burst: 5 })
    await browserOriginsPut(tx, place.project, ['https://app.test'])
    await bulkRevocationInsert(tx, { id: newId('bulk'), filter: {}, requestedBy: 'system', found: 0 })
    await tx
      .insertInto('sallyport.request_record')
      .values({
        org_id: org,
        id: newId('req'),
        at: new Date(),
        project_id: place.project,
        environment: place.environment,
        integration_slug: null,
        connection_id: null,
        key_id: newId('key'),
        method: 'GET',
        path: '/',
        status: 200,
        source: 'provider',
        error: null,
        duration_us: 1,
        bytes_in: 0,
        bytes_out: 0,
      })
      .execute()
    await tx
      .selectNoFrom((eb) =>
        eb
          .fn<string>('sallyport.audit_append', [eb.val(JSON.stringify([{ action: 'a', actor: 'b', target: 'c', detail: '{}' }]))])
          .as('done'),
      )
      .execute()
    await fillCheckpoint(tx)
  })
  expect(await database.lookups.keyUseNote(used.map((key) => ({ key, ageS: 0 })))).toBe(1)
}

/** Signed by nobody: the database can't tell. */
async function fillCheckpoint(tx: TenantTx): Promise<void> {
  await auditSigningKeyPut(tx, { id: 'a-signing-key', publicKey: Buffer.alloc(32, 1) }, null)
  const { head, now } = await checkpointStart(tx)
  const digests = { previous: Buffer.alloc(32), signature: Buffer.alloc(64) }
  expect(await checkpointPut(tx, { number: 1n, seq: head!.seq, hash: head!.hash, at: now, key: 'a-signing-key', ...digests })).toBe(true)
}

function insertKey(tx: TenantTx, at: Tenant, over: Partial<Parameters<typeof apiKeyInsert>[1]>) {
  return apiKeyInsert(tx, {
    ...at.place,
    id: newId('key'),
    name: 'A key',
    secretHmac: Buffer.alloc(32),
    secretArgon2id: '$argon2id$not-a-hash',
    scopes: ['proxy:call'],
    connection: null,
    createdBy: 'system',
    expiresAt: null,
    ...over,
  })
}

function sessionOf(at: Tenant, over: Partial<Parameters<typeof connectSessionInsert>[1]>): Parameters<typeof connectSessionInsert>[1] {
  return {
    ...at.place,
    id: newId('cs'),
    integration: at.integration,
    connection: null,
    reconnect: false,
    endUserId: 'user-1',
    linkHash: Buffer.from(crypto.getRandomValues(new Uint8Array(32))),
    returnTo: null,
    startedBy: 'system',
    consoleSessionHash: null,
    ttlSeconds: 600,
    ...over,
  }
}

/** Tables that carry no organization, with the reason why no tenant needs keeping out of them. */
const NO_TENANT: Readonly<Record<string, string>> = {
  audit_signing_key: 'public keys of the installation; the gateway may read, and adds by a function',
  migration: 'names and checksums of this build; the gateway may only read it',
  root_key: 'ids and check values of the installation; the gateway may read and remove, and adds by a function',
  system_secret: 'sealed under a root key, of the installation; the gateway may add and read',
}
/** Behind row security with no policy for the gateway at all: only lookup functions see them. */
const FUNCTIONS_ONLY = [
  'console_session',
  'dpop_proof',
  'ended_sign_in',
  'logout_token',
  'node',
  'organization_creation',
  'owner_link',
  'person',
]
/** A column of each, to be changed. */
const COLUMN_OF: Readonly<Record<string, string>> = {
  dpop_proof: 'hash',
  ended_sign_in: 'issuer_session',
  logout_token: 'token_hash',
  node: 'id',
  organization_creation: 'request_hash',
  person: 'name',
}

async function unguardedTables(): Promise<string[]> {
  const rows = await fresh.asSuperuser<{ name: string }>(`
    select relname as name from pg_class
    where relnamespace = 'sallyport'::regnamespace and relkind in ('r', 'p') and not (relrowsecurity and relforcerowsecurity) order by 1`)
  return rows.map(({ name }) => name)
}

describe('the catalogue', () => {
  it('T-20 forces row security with a policy on every table that is not listed with a reason', async () => {
    const tables = await fresh.asSuperuser<{ name: string; policies: number; foreign: number }>(`
      select c.relname as name,
        (select count(*)::int from pg_policy p where p.polrelid = c.oid and p.polroles @> array['sallyport_app'::regrole::oid]) as policies,
        (select count(*)::int from pg_policy p where p.polrelid = c.oid and not p.polroles <@ array['sallyport_app', 'sallyport_lookup', 'sallyport_audit']::regrole[]::oid[]) as foreign
      from pg_class c where c.relnamespace = 'sallyport'::regnamespace and c.relkind in ('r', 'p') order by 1`)
    expect(tables.length).toBeGreaterThan(15)
    expect(await unguardedTables()).toEqual(Object.keys(NO_TENANT).toSorted())
    const withoutPolicy = tables.filter(({ name, policies }) => policies === 0 && !(name in NO_TENANT)).map(({ name }) => name)
    expect(withoutPolicy).toEqual(FUNCTIONS_ONLY)
    expect(tables.filter((table) => table.foreign > 0)).toEqual([])
  })

  it('T-20 would name a table that somebody adds without row security', async () => {
    await fresh.asSuperuser('create table sallyport.forgotten (org_id uuid)')
    try {
      expect(await unguardedTables()).toContain('forgotten')
    } finally {
      await fresh.asSuperuser('drop table sallyport.forgotten')
    }
  })

  it('T-20 holds no view, materialized view, sequence or foreign table that row security would not cover', async () => {
    const others = await fresh.asSuperuser(
      `select relname, relkind from pg_class where relnamespace = 'sallyport'::regnamespace and relkind not in ('r', 'p', 'i', 'I', 't', 'c')`,
    )
    expect(others).toEqual([])
  })

  it('T-20 fixes the search path of every function and lets PUBLIC execute none', async () => {
    const functions = await fresh.asSuperuser<{ name: string; definer: boolean; path: string | null; open: boolean; owner: string }>(`
      select p.proname as name, p.prosecdef as definer, p.proconfig::text as path, pg_get_userbyid(p.proowner) as owner,
        p.proacl is null or exists (select from aclexplode(p.proacl) a where a.grantee = 0) as open
      from pg_proc p where p.pronamespace = 'sallyport'::regnamespace`)
    expect(functions.length).toBeGreaterThan(10)
    expect(functions.filter(({ open }) => open).map(({ name }) => name)).toEqual([])
    expect(functions.filter(({ path }) => !(path ?? '').includes('search_path=pg_catalog')).map(({ name }) => name)).toEqual([])
    const definers = functions.filter(({ definer }) => definer)
    expect(definers.filter(({ path }) => !path!.includes('pg_catalog, pg_temp')).map(({ name }) => name)).toEqual([])
    expect(new Set(definers.map(({ owner }) => owner))).toEqual(new Set(['sallyport_lookup', 'sallyport_audit']))
  })

  it('T-20 gives the gateway no right to truncate, reference or add triggers, and no schema to create in', async () => {
    const rights = await fresh.asSuperuser(`
      select table_name, privilege_type from information_schema.role_table_grants
      where grantee = 'sallyport_app' and privilege_type not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')`)
    expect(rights).toEqual([])
    const schemas = await fresh.asSuperuser(
      `select nspname from pg_namespace where has_schema_privilege('${fresh.login.name}', oid, 'CREATE') and nspname !~ '^pg_(toast_)?temp'`,
    )
    expect(schemas).toEqual([])
  })
})

describe('the gateway login', () => {
  async function everyTable(): Promise<string[]> {
    const rows = await fresh.asSuperuser<{ name: string }>(
      `select relname as name from pg_class where relnamespace = 'sallyport'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f') order by 1`,
    )
    return rows.map(({ name }) => name).filter((name) => !(name in NO_TENANT))
  }

  /** Columns that an insert names: all but those that the database makes of others. */
  async function givenColumns(table: string): Promise<string[]> {
    const rows = await fresh.asSuperuser<{ name: string }>(
      `select attname as name from pg_attribute where attrelid = ('sallyport.' || $1)::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
      [table],
    )
    return rows.map(({ name }) => name)
  }

  it('T-20 is tried against tables that all hold rows', async () => {
    for (const table of await everyTable()) {
      const [row] = await fresh.asSuperuser<{ n: number }>(`select count(*)::int as n from sallyport.${table}`)
      expect(row!.n, table).toBeGreaterThan(0)
    }
  })

  it.each([
    ['no tenant', () => ''],
    ['an unset tenant', () => undefined],
    ["a stranger's tenant", () => newId('org') as string],
    ["B's tenant", () => b.org as string],
  ])("T-20 with %s sees, changes and deletes none of A's rows, by any statement", async (_name, setting) => {
    await fresh.asGateway(async (client) => {
      const tenant = setting()
      if (tenant !== undefined) await client.query(`select set_config('sallyport.org', $1, false)`, [tenant])
      for (const table of await everyTable()) {
        const column = table === 'organization' ? 'id' : 'org_id'
        const carriesOrg = !FUNCTIONS_ONLY.includes(table)
        const ofA = carriesOrg ? `${column} = '${a.org}'` : 'true'
        const given = (await givenColumns(table)).join()
        const changed = carriesOrg ? column : (COLUMN_OF[table] ?? 'token_hash')
        for (const statement of [
          `select * from sallyport.${table} where ${ofA}`,
          `update sallyport.${table} set ${changed} = ${changed} where ${ofA} returning 1`,
          `delete from sallyport.${table} where ${ofA} returning 1`,
          `select * from sallyport.${table} where ${ofA} for update`,
          `insert into sallyport.${table} (${given}) select ${given} from sallyport.${table} where ${ofA} returning 1`,
        ]) {
          const outcome = await client.query(statement).then(
            ({ rows }) => rows.length,
            (error: { code?: string }) => error.code,
          )
          expect([0, '42501'], `${statement}: ${outcome}`).toContain(outcome)
        }
        const copied = await client.query(`copy sallyport.${table} to program 'cat'`).then(
          () => 'copied',
          (error: { code?: string }) => error.code,
        )
        expect(copied, table).toBe('42501')
      }
    })
  })

  it("T-20 can't put a row into another organization", async () => {
    await fresh.asGateway(async (client) => {
      await client.query(`select set_config('sallyport.org', $1, false)`, [b.org])
      await expect(
        client.query(`insert into sallyport.project (org_id, id, name) values ($1, $2, 'mine')`, [a.org, newId('proj')]),
      ).rejects.toMatchObject({ code: '42501' })
      await expect(client.query(`update sallyport.project set org_id = $1`, [a.org])).rejects.toMatchObject({ code: '42501' })
    })
  })

  it("T-20 can't become another role, or set policies or triggers aside", async () => {
    await fresh.asGateway(async (client) => {
      for (const statement of [
        'set role sallyport_owner',
        'set role sallyport_audit',
        'set role sallyport_lookup',
        "set session_replication_role = 'replica'",
        'alter table sallyport.project disable row level security',
        'drop policy tenant on sallyport.project',
        'create policy mine on sallyport.project using (true)',
        'truncate sallyport.project',
        'create function sallyport.mine() returns int language sql as $$ select 1 $$',
        'grant select on sallyport.person to public',
      ]) {
        await expect(client.query(statement), statement).rejects.toMatchObject({ code: '42501' })
      }
      // Asking for row security to be off turns a filtered read into an error, never into more rows.
      await client.query('set row_security = off')
      await expect(client.query('select * from sallyport.project')).rejects.toMatchObject({ code: '42501' })
    })
  })
})

/**
 * What each function of the schema may do, of those that the gateway may execute. One that is added and not named here fails the run: whoever adds it says
 * which kind it is, and is held to that.
 *
 * - `tenant`: works in the organization of the transaction, whatever it is given
 * - `secret`: finds one row by something that cannot be guessed, and nothing by anything else
 * - `pure`: looks at no table
 * - `installation`: works across organizations, or belongs to none; the reason says what keeps it harmless
 */
const FUNCTIONS: Readonly<Record<string, 'tenant' | 'secret' | 'pure' | { readonly installation: string }>> = {
  audit_append: 'tenant',
  audit_checkpoint_put: 'tenant',
  members: 'tenant',
  organization_end: 'tenant',
  organization_purge: 'tenant',
  model_key: 'tenant',
  budget_draw: 'tenant',
  proxy_target: 'tenant',
  connect_session_lookup: 'secret',
  event_source_lookup: 'secret',
  invitation_lookup: 'secret',
  oauth_state_consume: 'secret',
  session_close: 'secret',
  session_lookup: 'secret',
  session_open: 'secret',
  current_org: 'pure',
  email_domain: 'pure',
  envelope_data_key: 'pure',
  envelope_key_name: 'pure',
  key_named: 'pure',
  audit_checkpoint_due: { installation: 'gives ids alone' },
  audit_signing_key_put: { installation: 'public keys of the installation' },
  browser_origin_known: { installation: 'says yes or no, and not whose' },
  bulk_revocation_claim: { installation: 'gives ids alone, and moves the time of the next claim' },
  data_key_census: { installation: 'gives counts alone' },
  data_key_work: { installation: 'gives ids alone' },
  end_user_forgotten_sweep: { installation: 'removes what is over by its time alone' },
  event_receipt_sweep: { installation: 'removes what is over by its time alone' },
  idempotency_sweep: { installation: 'removes what is over by its time alone' },
  stored_content_sweep: { installation: 'removes what is over by its time alone' },
  provider_key_sweep: { installation: 'forgets what is over by its time alone' },
  idle_credentials: { installation: 'gives ids alone' },
  interrupted_refreshes: { installation: 'gives ids alone' },
  key_lookup: {
    installation: 'a key is found by its id before its organization is known; of its secret there are two keyed or slow hashes',
  },
  key_lookups: { installation: 'the same of many, each by its id' },
  key_use_note: { installation: 'writes times alone' },
  node_beat: { installation: 'nodes of the installation' },
  node_leave: { installation: 'nodes of the installation' },
  organization_creation_once: { installation: 'who makes an organization is in none yet; under a key that is hashed with its caller' },
  organizations_owned: { installation: 'gives counts alone' },
  organization_deletion_claim: { installation: 'gives ids alone, and moves the time of the next claim' },
  organization_page: { installation: 'gives ids alone' },
  owner_link_put: { installation: 'a person belongs to no organization' },
  person_sign_in: { installation: 'a person belongs to no organization' },
  person_sign_out: { installation: 'a person belongs to no organization' },
  person_standing: { installation: 'a person belongs to no organization' },
  person_upsert: { installation: 'a person belongs to no organization' },
  proof_sweep: { installation: 'removes what is over by its time alone' },
  proof_take: { installation: 'hashes of no organization' },
  revocation_claim: { installation: 'gives ids alone, and moves the time of the next claim' },
  revocation_sweep: { installation: 'removes what is over by its time alone' },
  root_key_add: { installation: 'root keys of the installation' },
  root_key_use: { installation: 'root keys of the installation' },
  session_open_as: { installation: 'a person belongs to no organization' },
  sign_in_end: { installation: 'a person belongs to no organization' },
  sign_in_logout: { installation: 'a person belongs to no organization' },
  sweep_expired: { installation: 'removes what is over by its time alone' },
  usage_sweep: { installation: 'removes what is over by its time alone' },
  unconfirmed_connections: { installation: 'gives ids alone' },
}
/** Results of what works across organizations: nothing of theirs can be written in these. */
const ID_OR_COUNT =
  /^(?:(?:TABLE\((?:\w+ (?:uuid|integer|bigint|boolean|timestamp with time zone)(?:, )?)+\))|(?:SETOF )?uuid|bigint|boolean|void)$/u

interface SqlFunction {
  readonly name: string
  readonly call: string
  readonly types: readonly string[]
  readonly names: readonly string[]
  readonly result: string
}

describe('the functions of the database', () => {
  async function executable(): Promise<SqlFunction[]> {
    return fresh.asSuperuser<SqlFunction>(`
      select p.proname as name, 'sallyport.' || quote_ident(p.proname) as call, pg_get_function_result(p.oid) as result,
        array(select format_type(t, null) from unnest(p.proargtypes::oid[]) with ordinality as a (t, n) order by n) as types,
        coalesce(p.proargnames[1:p.pronargs], '{}') as names
      from pg_proc p where p.pronamespace = 'sallyport'::regnamespace and has_function_privilege('${fresh.login.name}', p.oid, 'execute')
      order by 1`)
  }

  interface Values {
    readonly ids: readonly string[]
    readonly texts: readonly string[]
  }
  let values: Values
  let print: string
  beforeAll(async () => {
    values = await valuesOfA()
    print = await fingerprintQuery()
  })

  /** Every id of A's that a column holds, and texts by which its rows are known; but for what alone opens something, which nobody else has. */
  async function valuesOfA(): Promise<Values> {
    const columns = await fresh.asSuperuser<{ of: string; name: string; type: string }>(`
      select c.relname as of, t.attname as name, format_type(t.atttypid, null) as type from pg_attribute t join pg_class c on c.oid = t.attrelid
      where c.relnamespace = 'sallyport'::regnamespace and c.relkind = 'r' and t.attnum > 0 and not t.attisdropped
        and exists (select from pg_attribute o where o.attrelid = c.oid and o.attname = 'org_id') and format_type(t.atttypid, null) in ('uuid', 'text')
        and t.attname <> 'context'`)
    const found = new Map<string, Set<string>>([
      ['uuid', new Set<string>([a.org])],
      ['text', new Set<string>()],
    ])
    for (const { of, name, type } of columns) {
      const rows = await fresh.asSuperuser<{ value: string }>(
        `select distinct ${name}::text as value from sallyport.${of} where org_id = $1 and ${name} is not null`,
        [a.org],
      )
      for (const { value } of rows) found.get(type)!.add(value)
    }
    return { ids: [...found.get('uuid')!], texts: [...found.get('text')!] }
  }

  /** Everything of A's, and of what belongs to nobody and is seen by functions alone. */
  async function fingerprintQuery(): Promise<string> {
    const tables = await fresh.asSuperuser<{ name: string; own: string | null }>(`
      select c.relname as name, (select t.attname from pg_attribute t where t.attrelid = c.oid and not t.attisdropped
          and (t.attname = 'org_id' or (c.relname = 'organization' and t.attname = 'id'))) as own
      from pg_class c where c.relnamespace = 'sallyport'::regnamespace and c.relkind = 'r' order by 1`)
    const parts = tables.map(
      ({ name, own }) =>
        `(select string_agg(t::text, ',' order by t::text) from sallyport.${name} t where ${own === null ? 'true' : `${own} = '${a.org}'`})`,
    )
    return `select md5(concat_ws('|', ${parts.map((part) => `coalesce(${part}, '')`).join()})) as print`
  }

  /** An argument of each type that is A's, or that a stranger would try; `turn` picks another value each time. */
  function argument(type: string, name: string, turn: number, tenant: string): unknown {
    const { ids, texts } = values
    const id = ids[turn % ids.length]!
    if (name === 'the_org') return tenant
    if (type === 'uuid') return id
    if (type === 'uuid[]') return ids
    if (type === 'text') return texts[turn % texts.length]!
    if (type === 'text[]') return texts.slice(0, 5)
    if (type === 'jsonb') return JSON.stringify([{ action: 'a', actor: 'b', target: 'c', detail: '{}', org: a.org, org_id: a.org, seq: 1 }])
    if (type === 'bytea') return randomBytes(32)
    if (type === 'boolean') return true
    if (type.startsWith('timestamp')) return new Date()
    if (type === 'integer[]') return ids.map(() => 0)
    return 1000
  }

  it('T-20 are all known by what they may do, so that none that is added goes unnoticed', async () => {
    const names = (await executable()).map(({ name }) => name)
    expect(names.toSorted()).toEqual(Object.keys(FUNCTIONS).toSorted())
  })

  it('T-20 that give ids or counts alone can give nothing else', async () => {
    const told = (await executable()).filter(({ name }) => {
      const kind = FUNCTIONS[name]
      return typeof kind === 'object' && /^gives|^says|^removes|^writes/u.test(kind.installation)
    })
    expect(told.length).toBeGreaterThan(10)
    expect(told.filter(({ result }) => !ID_OR_COUNT.test(result)).map(({ name, result }) => `${name}: ${result}`)).toEqual([])
  })

  it.each([
    ['no tenant', () => ''],
    ["a stranger's tenant", () => newId('org') as string],
    ["B's tenant", () => b.org as string],
  ])("T-20 with %s and A's ids for arguments give and change nothing of A's", async (_name, setting) => {
    expect([values.ids.length > 10, values.texts.length > 10]).toEqual([true, true])
    const held = (await executable()).filter(({ name }) => FUNCTIONS[name] === 'tenant' || FUNCTIONS[name] === 'secret')
    const tenant = setting()
    const { name: login } = fresh.login
    await fresh.asAdmin(async (client) => {
      const printed = async (): Promise<string> => (await client.query<{ print: string }>(print)).rows[0]!.print
      const before = await printed()
      for (const { name, call, types, names } of held) {
        await client.query('begin')
        await client.query(`select set_config('sallyport.org', $1, true)`, [tenant])
        await client.query(`set local session authorization ${client.escapeIdentifier(login)}`)
        for (let turn = 0; turn < Math.max(values.ids.length, values.texts.length); turn++) {
          const args = types.map((type, at) => argument(type, names[at] ?? '', turn, tenant === '' ? newId('org') : tenant))
          const slots = types.map((type, at) => `$${at + 1}::${type}`).join()
          await client.query('savepoint here')
          const outcome = await client.query(`select * from ${call}(${slots})`, args).then(
            ({ rows }) => JSON.stringify(rows),
            (error: { code?: string; message: string }) => {
              // Refused by what it was given or by a right; never by a mistake in this test.
              expect(error.code, `${name}: ${error.message}`).toMatch(/^(?:23...|22...|42501|P0001)$/u)
              return ''
            },
          )
          await client.query(outcome === '' ? 'rollback to here' : 'release here')
          const given = new Set(args.flat().map(String))
          const told = values.ids.filter((id) => outcome.includes(id) && !given.has(id))
          expect(told, `${name} told of A's rows: ${outcome}`).toEqual([])
          if (FUNCTIONS[name] === 'secret') expect(['', '[]', `[{"${name}":false}]`], name).toContain(outcome)
        }
        await client.query('reset session authorization')
        expect(await printed(), `${name} changed A's rows`).toBe(before)
        await client.query('rollback')
      }
    })
  })
})

describe('withTenant', () => {
  it('shows an organization its own rows and nothing of another', async () => {
    const seen = await database.withTenant(a.org, (tx) => projectList(tx, { limit: 10 }))
    expect(seen.map(({ id }) => id)).toEqual([a.project])
    const stranger = await database.withTenant(newId('org'), async (tx) => [
      await organizationFind(tx),
      await projectList(tx, { limit: 10 }),
    ])
    expect(stranger).toEqual([undefined, []])
  })

  // The risk: the next user of a pooled connection, who names no tenant, is taken for the last one.
  it('leaves no tenant behind on the connection it used, however it ended', async () => {
    const pool = new Pool({ connectionString: fresh.url.reveal(), max: 1 })
    const left = async () => (await pool.query<{ org: string | null }>(`select current_setting('sallyport.org', true) as org`)).rows[0]!.org
    await withTenant(pool, a.org, organizationFind, () => undefined)
    expect(await left()).toBe('')
    await expect(
      withTenant(
        pool,
        a.org,
        () => Promise.reject(new Error('no')),
        () => undefined,
      ),
    ).rejects.toThrow('no')
    expect(await left()).toBe('')
    await readProxyTarget(pool, { org: a.org, ...a.place, slug: 'github', connection: a.connection })
    expect(await left()).toBe('')
    await readModelKeys(pool, { org: a.org, ...a.place, provider: 'openai', name: 'default' })
    expect(await left()).toBe('')
    expect((await pool.query('select * from sallyport.connection')).rows).toEqual([])
    await pool.end()
  })

  it.each([
    new Error('after the insert'),
    // The risk: another service's failure taken for the database's.
    Object.assign(new Error('connection terminated elsewhere'), { code: 'ECONNRESET' }),
  ])('rolls back everything when its function throws, and hands its error on as it is: %s', async (failure) => {
    const org = newId('org')
    const attempt = database.withTenant(org, async (tx) => {
      await organizationCreate(tx, { name: 'Never' })
      throw failure
    })
    await expect(attempt).rejects.toBe(failure)
    expect(await database.withTenant(org, organizationFind)).toBeUndefined()
  })

  // The risk: a swallowed error turns COMMIT into ROLLBACK without a word, and the caller tells its client that all went well.
  it('refuses to call a transaction done in which a failed statement was ignored', async () => {
    const attempt = database.withTenant(a.org, async (tx) => {
      await organizationCreate(tx, { name: 'Twice' }).catch(() => undefined)
    })
    await expect(attempt).rejects.toMatchObject({ code: 'database_query_failed' })
  })

  // The risk: a transaction kept by mistake would run on a connection that serves another tenant by then.
  it('is dead after its end', async () => {
    let kept: TenantTx | undefined
    await database.withTenant(a.org, async (tx) => void (kept = tx))
    await expect(organizationFind(kept!)).rejects.toThrow('after its end')
  })

  it('holds no other transaction, and takes nothing but an organization id', async () => {
    await expect(database.withTenant(a.org, (tx) => tx.transaction().execute(organizationFind as never))).rejects.toThrow('holds no other')
    await expect(database.withTenant("x'; drop table sallyport.project; --" as typeof a.org, organizationFind)).rejects.toThrow(TypeError)
  })

  it('says conflict for a taken identity, without a value of the row', async () => {
    const canary = `canary-${newId('req')}`
    const attempt = database.withTenant(a.org, async (tx) => {
      await tx.insertInto('sallyport.project').values({ org_id: a.org, id: a.project, name: canary }).execute()
    })
    const error = await attempt.catch((reason: unknown) => reason)
    expect(hasCode(error, 'conflict')).toBe(true)
    expect(JSON.stringify([String(error), { ...(error as object) }])).not.toContain(canary)
    expect((error as Error).cause).toBeUndefined()
  })
})

describe('a key of an organization', () => {
  it('T-12 lies in one that is there, goes with it, and is bound to no connection', async () => {
    const orphan = database.withTenant(newId('org'), (tx) => insertKey(tx, b, { project: null }))
    await expect(orphan).rejects.toMatchObject({ code: 'conflict', sqlState: '23503' })
    const bound = database.withTenant(b.org, (tx) => insertKey(tx, b, { project: null, connection: b.connection }))
    await expect(bound).rejects.toMatchObject({ sqlState: '23514' })
    const gone = newId('org')
    const { id } = await database.withTenant(gone, async (tx) => {
      await organizationCreate(tx, { name: 'To be gone' })
      return insertKey(tx, b, { project: null })
    })
    expect(await database.lookups.keyLookup(id)).toMatchObject({ org: gone, project: null })
    await fresh.asSuperuser('delete from sallyport.organization where id = $1', [gone])
    expect(await fresh.asSuperuser('select id from sallyport.api_key where id = $1', [id])).toEqual([])
  })
})

describe('composite keys', () => {
  it.each<[string, (tx: TenantTx) => Promise<unknown>]>([
    ["a key into A's project", (tx) => insertKey(tx, a, {})],
    ["a key bound to A's connection", (tx) => insertKey(tx, b, { connection: a.connection })],
    [
      "a connection of A's integration",
      (tx) => connectionInsert(tx, { ...b.place, id: newId('conn'), integration: a.integration, endUserId: 'u' }),
    ],
    [
      "a connection into A's project",
      (tx) => connectionInsert(tx, { ...a.place, id: newId('conn'), integration: b.integration, endUserId: 'u' }),
    ],
    [
      "a credential of A's connection",
      (tx) =>
        credentialInsert(tx, {
          connection: a.connection,
          seq: 9n,
          parentSeq: null,
          generation: 1,
          rtFingerprint: null,
          sealed: Buffer.from('x'),
          expiresAt: null,
        }),
    ],
    [
      "a refresh of A's connection",
      (tx) => intentPut(tx, a.connection, { id: randomUUID(), generation: 1, parentSeq: 1n, headSeq: 1n, attempt: 1, node: 'a node' }),
    ],
    ["a connect session for A's integration", (tx) => connectSessionInsert(tx, sessionOf(b, { integration: a.integration }))],
    ["a connect session for A's connection", (tx) => connectSessionInsert(tx, sessionOf(b, { connection: a.connection }))],
    [
      'a connection into the other environment',
      (tx) =>
        connectionInsert(tx, { project: b.project, environment: 'live', id: newId('conn'), integration: b.integration, endUserId: 'u' }),
    ],
    ['a key of the other environment bound to a connection', (tx) => insertKey(tx, b, { environment: 'live', connection: b.connection })],
  ])('T-12 refuse %s', async (_name, attempt) => {
    await expect(database.withTenant(b.org, attempt)).rejects.toMatchObject({ code: 'conflict', sqlState: '23503' })
  })
})
