/**
 * Lists of very many rows, read to their end: what the server itself counts as read. How long it takes is no part of it, and stands for a million rows in
 * docs/benchmarks.md.
 */
import type { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { newId } from '@sallyport/core'
import type { ConnectionId, UsageId } from '@sallyport/core'
import { auditEventListFiltered, connectionInsert, connectionList, integrationInsert, openDatabase, usageList } from '../../src/db/index.ts'
import type { TenantTx } from '../../src/db/index.ts'
import { freshDatabase, makeTenant, silent } from './fresh-database.ts'
import type { FreshDatabase, Tenant } from './fresh-database.ts'

/** Full size: 1,000,000. */
const ROWS = Number(process.env['SALLYPORT_TEST_LIST_ROWS'] ?? 20_000)
const PAGE = 200
/** Connections of an integration beside the one that has nearly all of its environment. */
const FEW = 5

let fresh: FreshDatabase
let tenant: Tenant
let other: Tenant

/** An id by its number, in the order of the numbers. */
const ID = `('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid`
const connections = `insert into sallyport.connection (org_id, project_id, environment, integration_id, id, end_user_id, status)
  select $1, $2, 'test', $3, ${ID}, 'user-' || n, 'active' from generate_series(1, $4::int) n`
const usage = `insert into sallyport.usage_record (org_id, project_id, environment, id, request_id, at, key_id, provider, model, status, duration_us)
  select $1, $2, 'test', ${ID}, $3, now(), $3, 'openai', 'm', 200, 1 from generate_series(1, $4::int) n`
const events = `insert into sallyport.audit_event (org_id, seq, at, action, actor, target, detail, prev_hash, hash)
  select $1, n + 1000, now(), 'key.created', $2::text, $3::text, '{}', sha256(n::text::bytea), sha256(n::text::bytea) from generate_series(1, $4::int) n`

beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  const database = await fresh.open({ poolSize: 2 })
  // Another tenant's rows are as many, and between these.
  ;[tenant, other] = [await makeTenant(database), await makeTenant(database)]
  await database.withTenant(tenant.org, async (tx) => {
    const [id, of] = [newId('int'), { slug: 'few', context: 'few-'.repeat(8), clientId: 'c', clientSecret: Buffer.from('x') }]
    await integrationInsert(tx, { ...tenant.place, ...of, id, provider: 'github', scopes: [] })
    for (let n = 0; n < FEW; n++) await connectionInsert(tx, { ...tenant.place, id: newId('conn'), integration: id, endUserId: `few-${n}` })
  })
  await fresh.asAdmin(async (admin) => {
    for (const { org, project, integration } of [tenant, other]) {
      for (const statement of [connections, usage, events]) await admin.query(statement, [org, project, integration, ROWS])
    }
    await admin.query('analyze')
    await flushed(admin)
  })
}, 120_000 + ROWS)
afterAll(() => fresh?.drop())

/** What this session read and wrote is counted from now on. */
async function flushed(admin: Client): Promise<void> {
  await admin.query('select pg_stat_force_next_flush()')
  await admin.query('select 1')
}

interface Reads {
  readonly scans: number
  readonly rows: number
}

async function readsOf(table: string): Promise<Reads> {
  const statement = `select (coalesce(seq_scan, 0) + coalesce(idx_scan, 0))::int as scans, (seq_tup_read + coalesce(idx_tup_fetch, 0))::int as rows
    from pg_stat_all_tables where schemaname = 'sallyport' and relname = $1`
  return (await fresh.asSuperuser<{ scans: number; rows: number }>(statement, [table]))[0]!
}

type Reading = (tx: TenantTx, after: string | undefined) => Promise<readonly string[]>

/** Walks a list page by page, and gives how many pages there were, the rows seen, and what the server read for it. */
async function walk(table: string, read: Reading) {
  const before = await readsOf(table)
  // A session that ends says what it read.
  const database = await openDatabase({ url: fresh.url, logger: silent, poolSize: 1 })
  let [pages, seen, after] = [0, 0, undefined as string | undefined]
  for (;;) {
    const ids = await database.withTenant(tenant.org, (tx) => read(tx, after))
    pages += 1
    seen += ids.length
    after = ids.at(-1)
    if (ids.length < PAGE) break
  }
  await database.close()
  await expect.poll(async () => (await readsOf(table)).scans - before.scans, { timeout: 30_000 }).toBeGreaterThanOrEqual(pages)
  return { pages, seen, rows: (await readsOf(table)).rows - before.rows }
}

const ofIntegration =
  (integrationSlug: string): Reading =>
  async (tx, after) => {
    const page = { after: after as ConnectionId | undefined, limit: PAGE }
    return (await connectionList(tx, tenant.place, { integrationSlug }, page)).map(({ id }) => id)
  }

const lists: readonly (readonly [string, string, Reading])[] = [
  [
    'connections',
    'connection',
    async (tx, after) => {
      const page = { after: after as ConnectionId | undefined, limit: PAGE }
      return (await connectionList(tx, tenant.place, {}, page)).map(({ id }) => id)
    },
  ],
  ['one integration’s connections', 'connection', ofIntegration('github')],
  [
    'usage records',
    'usage_record',
    async (tx, after) => (await usageList(tx, tenant.place, {}, { after: after as UsageId | undefined, limit: PAGE })).map(({ id }) => id),
  ],
  [
    'audit events',
    'audit_event',
    async (tx, after) => {
      const page = { after: after === undefined ? undefined : BigInt(after), limit: PAGE }
      return (await auditEventListFiltered(tx, {}, page, 'descending')).map(({ seq }) => String(seq))
    },
  ],
]

describe('a list of very many rows', { timeout: 60_000 + ROWS }, () => {
  it.each(lists)(
    'D-19 of %s is read to its end with no row read again for each page: a deep page costs what the first does',
    async (_what, table, read) => {
      const { pages, seen, rows } = await walk(table, read)
      expect(seen).toBeGreaterThanOrEqual(ROWS)
      expect(pages).toBe(Math.floor(seen / PAGE) + 1)
      // Once as a rule. PostgreSQL may choose to sort what is left on a page or two, by what it last counted; a list that is paged by number reads each row
      // for every page before it, fifty times here.
      expect(rows).toBeLessThan(seen * 5)
    },
  )

  it('D-19 of an integration with few connections reads none of those that its environment has beside', async () => {
    const { pages, seen, rows } = await walk('connection', ofIntegration('few'))
    expect([pages, seen]).toEqual([1, FEW])
    expect(rows).toBeLessThan(PAGE)
  })
})
