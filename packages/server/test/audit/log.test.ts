import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { newId } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { appendAudit, auditEventHash, verifyOrganization } from '../../src/audit/index.ts'
import type { AuditEvent } from '../../src/audit/index.ts'
import { auditEventFind, auditEventList, auditEventListAscending, organizationCreate, organizationFind } from '../../src/db/index.ts'
import type { Database } from '../../src/db/index.ts'
import { freshDatabase } from '../db/fresh-database.ts'
import type { FreshDatabase } from '../db/fresh-database.ts'

/** Processes that are killed. 200 of them prove it at length: SALLYPORT_AUDIT_KILLS=200. */
const KILLS = Number(process.env['SALLYPORT_AUDIT_KILLS'] ?? 6)
const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`audit kills seed ${seed}, ${KILLS} kills`)

let fresh: FreshDatabase
let database: Database
beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  database = await fresh.open()
})
afterAll(() => fresh.drop())

const NOTHING_SIGNED = { intact: true, checkpoints: 0n, vouched: null, firstFault: null }
const event = (n: number | string): AuditEvent => ({
  action: 'thing.changed',
  actor: 'system',
  target: `thing ${n}`,
  // Texts on which two spellings of JSON would differ, were there two.
  detail: { n, text: 'é "\\/\b\f\n\r\t\u0001\u001f\u007f\u2028😀', b: null, a: [1.5e300, -0, 1e21], ä: {} },
})
const append = (org: OrgId, ...events: AuditEvent[]) => database.withTenant(org, (tx) => appendAudit(tx, ...events))

const SCRIPT = fileURLToPath(new URL('appending-process.ts', import.meta.url))

/** Numbers from 0 below `below`: a linear congruential generator, the same everywhere. */
function draws(from: number): (below: number) => number {
  let state = from % 2 ** 31
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return Math.floor((state / 2 ** 31) * below)
  }
}

/** Kills a process as it has told of `count` events, which is a different place in what it does each time; what it told of. */
async function appendUntilKilled(org: OrgId, round: number, count: number): Promise<string[]> {
  const child = fork(SCRIPT, [org, String(round)], { env: { TEST_DATABASE_URL: fresh.url.reveal(), PATH: process.env['PATH'] } })
  const ended = once(child, 'exit')
  const heard: string[] = []
  child.on('message', (target: string) => {
    if (heard.push(target) === count) child.kill('SIGKILL')
  })
  await ended
  expect(child.signalCode).toBe('SIGKILL')
  return heard
}

async function targetsOf(org: OrgId): Promise<string[]> {
  const targets: string[] = []
  for (let after = 0n; ;) {
    const page = await database.withTenant(org, (tx) => auditEventListAscending(tx, { after, limit: 1_000 }))
    targets.push(...page.map(({ target }) => target))
    if (page.length < 1_000) return targets
    after = page.at(-1)!.seq
  }
}

describe('the log', () => {
  it('is a chain from the first event, whatever the texts', async () => {
    const org = newId('org')
    expect(await verifyOrganization(database, org)).toEqual({ ...NOTHING_SIGNED, events: 0n, head: null })
    await append(org, event(1), event('\\u0041 é'))
    await append(org, event(3))
    const [last] = await database.withTenant(org, (tx) => auditEventList(tx, { limit: 1 }))
    expect(await verifyOrganization(database, org)).toEqual({ ...NOTHING_SIGNED, events: 3n, head: last!.hash })
    expect(JSON.parse(last!.detail)).toEqual({ ...event(3).detail, a: [1.5e300, 0, 1e21] })
    expect(last!.at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
    const older = await database.withTenant(org, (tx) => auditEventList(tx, { after: last!.seq, limit: 5 }))
    expect(older.map(({ seq }) => seq)).toEqual([2n, 1n])
  })

  it('A-01 refuses the gateway every way to write but its function', async () => {
    const org = newId('org')
    await append(org, event(1))
    await fresh.asGateway(async (client) => {
      await client.query(`select set_config('sallyport.org', $1, false)`, [org])
      for (const table of ['audit_event', 'audit_head']) {
        for (const statement of [
          `insert into sallyport.${table} select * from sallyport.${table}`,
          `update sallyport.${table} set org_id = org_id`,
          `delete from sallyport.${table}`,
          `truncate sallyport.${table}`,
          `alter table sallyport.${table} add column x int`,
          `alter table sallyport.${table} disable trigger all`,
          `drop table sallyport.${table}`,
          `select * from sallyport.${table} for update`,
          `create rule quiet as on insert to sallyport.${table} do instead nothing`,
        ]) {
          await expect(client.query(statement), statement).rejects.toMatchObject({ code: '42501' })
        }
      }
      await expect(client.query(`set session_replication_role = 'replica'`)).rejects.toMatchObject({ code: '42501' })
      await expect(client.query('drop function sallyport.audit_append(jsonb)')).rejects.toMatchObject({ code: '42501' })
    })
  })

  it('A-01 refuses even a superuser to change, delete or truncate by an ordinary statement', async () => {
    await append(newId('org'), event(1))
    for (const statement of [
      'update sallyport.audit_event set action = action',
      'delete from sallyport.audit_event',
      'truncate sallyport.audit_event',
      'delete from sallyport.audit_head',
    ]) {
      await expect(fresh.asSuperuser(statement), statement).rejects.toMatchObject({ code: '42501' })
    }
  })

  it('A-02 takes organization, number, hashes and time from the database, whatever an event claims', async () => {
    const [org, other] = [newId('org'), newId('org')]
    const claims = { org, org_id: org, seq: '99', at: '1999-01-01', hash: 'ff', prev_hash: 'ff' }
    await fresh.asGateway(async (client) => {
      const text = JSON.stringify([{ action: 'a', actor: 'b', target: 'c', detail: '{}', ...claims }])
      await expect(client.query('select * from sallyport.audit_append($1)', [text])).rejects.toMatchObject({ code: '42501' })
      await client.query(`select set_config('sallyport.org', $1, false)`, [other])
      await client.query('select * from sallyport.audit_append($1)', [text])
      for (const detail of ['[]', '"text"', 'null', 'not json', null]) {
        const bad = JSON.stringify([{ action: 'a', actor: 'b', target: 'c', detail }])
        await expect(client.query('select * from sallyport.audit_append($1)', [bad]), String(detail)).rejects.toThrow()
      }
    })
    expect(await database.withTenant(org, (tx) => auditEventList(tx, { limit: 5 }))).toEqual([])
    const [found, ...rest] = await database.withTenant(other, (tx) => auditEventList(tx, { limit: 5 }))
    expect(rest).toEqual([])
    expect(found).toMatchObject({ seq: 1n, prevHash: Buffer.alloc(32) })
    expect(Math.abs(Date.parse(found!.at) - Date.now())).toBeLessThan(3_600_000)
    expect((await verifyOrganization(database, other)).intact).toBe(true)
  })

  it('A-03 has no gap and no fork after 1,000 concurrent appends to three organizations', async () => {
    const orgs = [newId('org'), newId('org'), newId('org')]
    await Promise.all(Array.from({ length: 1_000 }, (_, i) => append(orgs[i % 3]!, event(i))))
    const verified = await Promise.all(orgs.map((org) => verifyOrganization(database, org)))
    expect(verified.map(({ intact, events }) => [intact, events])).toEqual([
      [true, 334n],
      [true, 333n],
      [true, 333n],
    ])
  })

  it(
    'A-03 holds every acknowledged append of processes killed at any moment, and no half one',
    { timeout: 60_000 + KILLS * 10_000 },
    async () => {
      const org = newId('org')
      const drawn = draws(seed)
      const acknowledged: string[] = []
      for (let round = 0; round < KILLS; round++) acknowledged.push(...(await appendUntilKilled(org, round, 1 + drawn(60))))
      expect(await verifyOrganization(database, org)).toMatchObject({ intact: true, firstFault: null })
      const stored = await targetsOf(org)
      expect(new Set(stored).size).toBe(stored.length)
      const found = new Set(stored)
      expect(acknowledged.filter((target) => !found.has(target))).toEqual([])
      expect(acknowledged.length).toBeGreaterThanOrEqual(KILLS)
      // Appended in pairs: a pair is there as a whole or not at all.
      const halves = stored.filter((target) => target.startsWith('pair/')).map((target) => target.slice(0, -1))
      expect(halves.filter((pair) => !found.has(`${pair}a`) || !found.has(`${pair}b`))).toEqual([])
      if (KILLS > 50) console.info(`${KILLS} kills: ${acknowledged.length} events acknowledged, ${stored.length} stored`)
    },
  )

  it('A-04 remains when its organization is deleted', async () => {
    const org = newId('org')
    await database.withTenant(org, async (tx) => {
      await organizationCreate(tx, { name: 'Soon gone' })
      await appendAudit(tx, event(1))
    })
    await fresh.asSuperuser('delete from sallyport.organization where id = $1', [org])
    expect(await database.withTenant(org, organizationFind)).toBeUndefined()
    expect(await verifyOrganization(database, org)).toMatchObject({ intact: true, events: 1n })
  })

  it('A-07 refuses the change when its event is refused', async () => {
    const org = newId('org')
    await fresh.asSuperuser('revoke execute on function sallyport.audit_append(jsonb) from sallyport_app')
    try {
      const change = database.withTenant(org, async (tx) => {
        await organizationCreate(tx, { name: 'Never' })
        await appendAudit(tx, event(1))
      })
      await expect(change).rejects.toMatchObject({ code: 'database_query_failed' })
    } finally {
      await fresh.asSuperuser('grant execute on function sallyport.audit_append(jsonb) to sallyport_app')
    }
    const malformed = database.withTenant(org, async (tx) => {
      await organizationCreate(tx, { name: 'Never' })
      await appendAudit(tx, { ...event(1), detail: { bad: '\ud800' } })
    })
    await expect(malformed).rejects.toThrow(TypeError)
    expect(await database.withTenant(org, organizationFind)).toBeUndefined()
  })
})

describe('verifying', () => {
  /** As somebody who owns the server: triggers off, then on again. */
  const tamper = async (sql: string, values: unknown[]): Promise<void> => {
    await fresh.asSuperuser(`alter table sallyport.audit_event disable trigger all`)
    try {
      await fresh.asSuperuser(sql, values)
    } finally {
      await fresh.asSuperuser(`alter table sallyport.audit_event enable trigger all`)
    }
  }
  const where = 'where org_id = $1 and seq = $2'
  const edits: [string, string][] = [
    ['another action', `update sallyport.audit_event set action = action || 'x' ${where}`],
    ['another actor', `update sallyport.audit_event set actor = 'user_x' ${where}`],
    ['another target', `update sallyport.audit_event set target = 'other' ${where}`],
    ['another detail', `update sallyport.audit_event set detail = '{}' ${where}`],
    ['a detail of the same meaning', `update sallyport.audit_event set detail = ' ' || detail ${where}`],
    ['a time one microsecond later', `update sallyport.audit_event set at = at + interval '1 microsecond' ${where}`],
    ['another hash', `update sallyport.audit_event set hash = sha256('x') ${where}`],
    ['another previous hash', `update sallyport.audit_event set prev_hash = sha256('x') ${where}`],
    ['a deleted event', `delete from sallyport.audit_event ${where}`],
    ['a moved event', `update sallyport.audit_event set seq = seq + 1000 ${where}`],
    ['an event of another organization', `update sallyport.audit_event set org_id = gen_random_uuid() ${where}`],
  ]

  it.each(edits)('finds %s, in the first, a middle and the last event', async (_name, sql) => {
    for (const seq of [1, 3, 5]) {
      const org = newId('org')
      await append(org, ...[1, 2, 3, 4, 5].map(event))
      expect((await verifyOrganization(database, org)).intact).toBe(true)
      await tamper(sql, [org, seq])
      const verified = await verifyOrganization(database, org)
      expect(verified.intact).toBe(false)
      expect(Number(verified.firstFault!.seq)).toBeGreaterThanOrEqual(seq)
      expect(verified.events).toBeLessThanOrEqual(BigInt(seq))
    }
  })

  // The risk: whoever rewrites an event can also compute the hash it should have.
  it('finds an event that was rewritten with a hash of its own, by the next event or by the counter', async () => {
    for (const seq of [1n, 2n, 3n]) {
      const org = newId('org')
      await append(org, event(1), event(2), event(3))
      const before = await database.withTenant(org, (tx) => auditEventFind(tx, seq))
      const after = { ...before!, actor: 'user_x' }
      const rewrite = `update sallyport.audit_event set actor = $3, hash = $4 ${where}`
      await tamper(rewrite, [org, seq, after.actor, auditEventHash(after)])
      const fault = seq === 3n ? { seq, reason: 'head' } : { seq: seq + 1n, reason: 'link' }
      expect((await verifyOrganization(database, org)).firstFault).toEqual(fault)
    }
  })

  it('finds a cut tail, an event slipped in behind the end, and a lost counter', async () => {
    const make = async () => {
      const org = newId('org')
      await append(org, event(1), event(2), event(3))
      return org
    }
    const cut = await make()
    await tamper('delete from sallyport.audit_event where org_id = $1 and seq > 1', [cut])
    expect((await verifyOrganization(database, cut)).firstFault).toEqual({ seq: 3n, reason: 'head' })
    const slipped = await make()
    await tamper(
      `insert into sallyport.audit_event select org_id, 4, at, action, actor, target, detail, hash, sha256('x') from sallyport.audit_event where org_id = $1 and seq = 3`,
      [slipped],
    )
    expect((await verifyOrganization(database, slipped)).firstFault).toEqual({ seq: 4n, reason: 'content' })
    const headless = await make()
    await fresh.asSuperuser('alter table sallyport.audit_head disable trigger all')
    await fresh.asSuperuser('delete from sallyport.audit_head where org_id = $1', [headless])
    await fresh.asSuperuser('alter table sallyport.audit_head enable trigger all')
    expect((await verifyOrganization(database, headless)).firstFault).toMatchObject({ reason: 'head' })
  })
})
