/** What audit events say of people: sealed before it is hashed, opened for who may see it, and forgotten without a gap in the chain. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { formatId, ManualClock, newId, noMetrics, SallyportError } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import {
  appendAudit,
  auditEventHash,
  createUseLog,
  exportText,
  formOf,
  signingKeys,
  verifyExport,
  verifyOrganization,
} from '../../src/audit/index.ts'
import type { PersonalFacts } from '../../src/audit/index.ts'
import { auditEventList, auditEventListAscending, deletionInsert } from '../../src/db/index.ts'
import type { StoredAuditEvent } from '../../src/db/index.ts'
import { createKeeper, createPersonal, shredIn } from '../../src/vault/index.ts'
import { freshDatabase, makeTenant, silent } from '../db/fresh-database.ts'
import { auditWorld } from './world.ts'
import type { AuditWorld } from './world.ts'

let world: AuditWorld
beforeAll(async () => {
  world = await auditWorld(inject('postgresUrl'))
})
afterAll(() => world?.close())

const person = (): string => formatId('user', newId('user'))
const signedIn = (who: string) => ({ action: 'session.created', actor: who, target: who, detail: { issuer: 'local' } })

/** One event that says where `who` came from. */
async function tell(org: OrgId, who: string, facts: Record<string, string | null>): Promise<void> {
  const event = signedIn(who)
  await world.database.withTenant(org, async (tx) =>
    appendAudit(tx, { ...event, personal: await world.personal.seal(tx, event, { subject: who, facts }) }),
  )
}
const stored = (org: OrgId): Promise<StoredAuditEvent[]> =>
  world.database.withTenant(org, (tx) => auditEventListAscending(tx, { limit: 1_000 }))
/** What every event says of its person, oldest first. */
async function told(org: OrgId): Promise<(PersonalFacts | undefined)[]> {
  return world.database.withTenant(org, async (tx) => {
    const events = await auditEventListAscending(tx, { limit: 1_000 })
    const opened = await world.personal.open(tx, events)
    return events.map(({ seq }) => opened.get(seq))
  })
}
const forget = (org: OrgId, ...who: string[]) => world.database.withTenant(org, (tx) => world.personal.forget(tx, who))
const newOrg = async (): Promise<OrgId> => (await makeTenant(world.database)).org
const isWhole = async (org: OrgId): Promise<boolean> => (await verifyOrganization(world.database, org)).intact

describe('what an event says of a person', () => {
  it('L-12 is nowhere in the log in the clear, is opened for who may see it, and is part of the chain', async () => {
    const org = await newOrg()
    const who = person()
    await tell(org, who, { email: 'somebody@example.test', address: '203.0.113.7', user_agent: null })
    await tell(org, who, { name: 'Ünï\0 "code"', user_agent: 'x'.repeat(5_000) })
    await tell(org, who, { email: null })
    const rows = await world.fresh.asSuperuser<{ row: string }>(
      "select e::text || (select coalesce(string_agg(k::text, ''), '') from sallyport.audit_subject_key k) as row from sallyport.audit_event e where org_id = $1",
      [org],
    )
    for (const { row } of rows) expect(row).not.toMatch(/somebody|203\.0\.113|x{16}/u)
    expect(await told(org)).toEqual([
      { email: 'somebody@example.test', address: '203.0.113.7' },
      { name: 'Ünï "code"', user_agent: 'x'.repeat(256) },
      undefined,
    ])
    expect((await stored(org)).map(({ form, personal }) => [form, personal === null])).toEqual([
      [2, false],
      [2, false],
      [1, true],
    ])
    expect(await isWhole(org)).toBe(true)
  })

  it('S69 is forgotten with that person, of nobody else, and the chain verifies as before', async () => {
    const org = await newOrg()
    const [gone, stays] = [person(), person()]
    for (const who of [gone, stays, gone]) await tell(org, who, { email: `${who}@example.test` })
    const before = await verifyOrganization(world.database, org)
    expect(await forget(org, gone)).toBe(1)
    expect(await forget(org, gone)).toBe(0)
    expect(await told(org)).toEqual([undefined, { email: `${stays}@example.test` }, undefined])
    expect(await verifyOrganization(world.database, org)).toEqual(before)
    // What is said of them from now on is under another key.
    await tell(org, gone, { email: 'again@example.test' })
    expect(await told(org)).toEqual([undefined, { email: `${stays}@example.test` }, undefined, { email: 'again@example.test' }])
    expect(await isWhole(org)).toBe(true)
  })

  it('S69 goes with the keys of the organization', async () => {
    const org = await newOrg()
    await tell(org, person(), { email: 'somebody@example.test' })
    await world.database.withTenant(org, (tx) => shredIn(tx, 'system'))
    expect(await told(org)).toEqual([undefined, undefined])
    expect(await isWhole(org)).toBe(true)
  })

  it('is under a key of its own in each organization, and of one maker when several begin at once', async () => {
    const [org, other] = [await newOrg(), await newOrg()]
    const who = person()
    await Promise.all(Array.from({ length: 6 }, (_, i) => tell(org, who, { address: `203.0.113.${i}` })))
    await tell(other, who, { address: '198.51.100.1' })
    expect((await told(org)).map((facts) => facts?.['address'] ?? '').toSorted()).toEqual([0, 1, 2, 3, 4, 5].map((i) => `203.0.113.${i}`))
    const keys = await world.fresh.asSuperuser('select from sallyport.audit_subject_key where subject = $1', [who])
    expect(keys).toHaveLength(2)
    await forget(org, who)
    expect(await told(other)).toEqual([{ address: '198.51.100.1' }])
  })

  it('L-12 opens under the next data key when that turns', async () => {
    const org = await newOrg()
    await tell(org, person(), { address: '203.0.113.7' })
    const { database, vault } = world
    const keeper = createKeeper({ database, vault, clock: new ManualClock(), logger: silent, metrics: noMetrics, rotateAfterDays: 0 })
    expect(await keeper.renew(org, 'system')).toBeDefined()
    const { left } = await keeper.sweep(org, 'system')
    expect([...left.values()]).toEqual([0])
    expect((await told(org))[0]).toEqual({ address: '203.0.113.7' })
    await keeper.close()
  })

  it('is not told where it was moved to, and a log in which it was moved or dropped is not whole', async () => {
    for (const change of [
      `update sallyport.audit_event a set personal = b.personal from sallyport.audit_event b where a.org_id = $1 and b.org_id = $1 and a.seq = 1 and b.seq = 2`,
      `update sallyport.audit_event set personal = null, form = 1 where org_id = $1 and seq = 1`,
    ]) {
      const org = await newOrg()
      for (const who of [person(), person()]) await tell(org, who, { email: `${who}@example.test` })
      await world.tamper(change, [org])
      expect((await told(org))[0]).toBeUndefined()
      expect((await verifyOrganization(world.database, org)).firstFault).toEqual({ seq: 1n, reason: 'content' })
    }
  })

  it('is said no more of an organization that is on its way out, and of none that there is not', async () => {
    const org = await newOrg()
    await world.database.withTenant(org, (tx) => deletionInsert(tx, { requestedBy: 'system', graceS: 600, patienceS: 60 }))
    await tell(org, person(), { email: 'late@example.test' })
    const nowhere = newId('org')
    await tell(nowhere, person(), { email: 'late@example.test' })
    expect((await stored(org)).map(({ personal }) => personal)).toEqual([null])
    expect((await stored(nowhere)).map(({ personal }) => personal)).toEqual([null])
  })

  it('is sealed with the group of uses it comes in, and what can not be sealed keeps no event back', async () => {
    const org = await newOrg()
    const { database, personal } = world
    const about = { subject: formatId('key', newId('key')), facts: { address: '203.0.113.9' } }
    const event = { action: 'key.refused', actor: about.subject, target: about.subject, detail: { times: 1 } }
    const log = createUseLog({ database, personal, logger: silent })
    void log.use(org, 'batched', event, about)
    await log.use(org, 'strict', event, about)
    await log.close()
    expect(await told(org)).toEqual([about.facts, about.facts])
    // As while whoever holds the root keys is away.
    const away = (): Promise<never> => Promise.reject(new SallyportError('key_source_unavailable', 'away'))
    const keyless = createPersonal({ vault: { seal: away, openIn: away }, logger: silent })
    const other = createUseLog({ database, personal: keyless, logger: silent })
    await other.use(org, 'strict', event, about)
    await other.close()
    expect(await told(org)).toEqual([about.facts, about.facts, undefined])
    expect(await isWhole(org)).toBe(true)
  })
})

describe('what waits to be said of somebody who is forgotten meanwhile', () => {
  const about = (subject: string) => ({ subject, facts: { address: '203.0.113.9' } })
  const refused = (who: string) => ({ action: 'key.refused', actor: who, target: who, detail: { times: 1 } })
  const keysOf = (who: string) => world.fresh.asSuperuser('select from sallyport.audit_subject_key where subject = $1', [who])
  /** Nobody goes on before `open` is called. */
  function gate(): { readonly passed: Promise<void>; open(): void } {
    const { promise, resolve } = Promise.withResolvers<void>()
    return { passed: promise, open: () => resolve() }
  }
  const somebodyWaits = async (): Promise<boolean> => {
    const sql = `select from pg_locks l join pg_database d on d.oid = l.database where d.datname = current_database() and not l.granted`
    return (await world.fresh.asSuperuser(sql)).length > 0
  }

  it.each([true, false])('S69 stays unsaid, and the chain verifies; they had a key before: %s', async (hadKey) => {
    const org = await newOrg()
    const [gone, stays] = [person(), person()]
    if (hadKey) await tell(org, gone, { address: '198.51.100.1' })
    const [away, clock] = [gate(), new ManualClock()]
    const { database } = world
    const log = createUseLog({
      database: { withTenant: (of, use) => away.passed.then(() => database.withTenant(of, use)) },
      personal: world.personal,
      logger: silent,
      clock,
    })
    for (const who of [gone, stays]) void log.use(org, 'batched', refused(who), about(who))
    await forget(org, gone)
    clock.advance(60_000)
    // What is known of them from now on is another matter.
    void log.use(org, 'batched', { ...refused(gone), action: 'key.used' }, about(gone))
    away.open()
    await log.close()
    const events = (await stored(org)).map(({ action }, at) => [action, at] as const).filter(([action]) => action.startsWith('key.'))
    const facts = await told(org)
    expect(events.map(([action, at]) => [action, facts[at]])).toEqual([
      ['key.refused', undefined],
      ['key.refused', { address: '203.0.113.9' }],
      ['key.used', { address: '203.0.113.9' }],
    ])
    expect(await isWhole(org)).toBe(true)
  })

  it('S69 stays unsaid when the forgetting is not committed yet', async () => {
    const org = await newOrg()
    const who = person()
    const [began, committing] = [gate(), gate()]
    const forgetting = world.database.withTenant(org, async (tx) => {
      await world.personal.forget(tx, [who])
      began.open()
      await committing.passed
    })
    await began.passed
    const known = { ...about(who), ageMs: 60_000 }
    const sealing = world.database.withTenant(org, (tx) => world.personal.seal(tx, signedIn(who), known))
    await expect.poll(somebodyWaits).toBe(true)
    committing.open()
    await forgetting
    expect([await sealing, await keysOf(who)]).toEqual([undefined, []])
  })

  it('S69 is unreadable when it was being said as the forgetting came', async () => {
    const org = await newOrg()
    const who = person()
    const [began, committing] = [gate(), gate()]
    const event = signedIn(who)
    const telling = world.database.withTenant(org, async (tx) => {
      const personal = await world.personal.seal(tx, event, about(who))
      began.open()
      await committing.passed
      await appendAudit(tx, { ...event, personal })
    })
    await began.passed
    const forgetting = forget(org, who)
    await expect.poll(somebodyWaits).toBe(true)
    committing.open()
    await telling
    expect(await forgetting).toBe(1)
    expect([await told(org), await keysOf(who)]).toEqual([[undefined], []])
    expect(await isWhole(org)).toBe(true)
  })

  it('is not said after an hour, which is less than it is remembered who was forgotten', async () => {
    const org = await newOrg()
    const clock = new ManualClock()
    const away = gate()
    const { database, personal } = world
    const withTenant: typeof database.withTenant = (of, use) => away.passed.then(() => database.withTenant(of, use))
    const log = createUseLog({ database: { withTenant }, personal, logger: silent, clock })
    const who = person()
    void log.use(org, 'batched', refused(who), about(who))
    clock.advance(3_600_001)
    void log.use(org, 'batched', refused(who), about(who))
    away.open()
    await log.close()
    expect(await told(org)).toEqual([undefined, { address: '203.0.113.9' }])
    await forget(org, who)
    await world.fresh.asSuperuser(`update sallyport.audit_subject_forgotten set forgotten_at = forgotten_at - interval '25 hours'`)
    await forget(org, person())
    expect(await world.fresh.asSuperuser('select from sallyport.audit_subject_forgotten where subject = $1', [who])).toEqual([])
  })

  it('of the same new people in another order on another node keeps no node from saying it', async () => {
    const org = await newOrg()
    const [first, second] = [person(), person()].toSorted() as [string, string]
    const { database, personal } = world
    const between = gate()
    const began = gate()
    let sealed = 0
    const halting = {
      seal: async (...said: Parameters<typeof personal.seal>) => {
        const done = await personal.seal(...said)
        if (++sealed === 1) {
          began.open()
          await between.passed
        }
        return done
      },
    }
    const [one, other] = [
      createUseLog({ database, personal: halting, logger: silent }),
      createUseLog({ database, personal, logger: silent }),
    ]
    // A group of one goes first, so that the next two are a group.
    const saying = (log: typeof one, ...who: string[]) => who.map((each) => log.use(org, 'strict', refused(each), about(each)))
    const at = (log: typeof one, ...who: string[]) => Promise.all([log.use(org, 'strict', refused(who[0]!)), ...saying(log, ...who)])
    const telling = at(one, first, second)
    await began.passed
    const tellingElsewhere = at(other, second, first)
    await expect.poll(somebodyWaits).toBe(true)
    between.open()
    await Promise.all([telling, tellingElsewhere])
    await Promise.all([one.close(), other.close()])
    expect((await told(org)).filter((facts) => facts !== undefined)).toHaveLength(4)
  })
})

describe('an export with personal facts', () => {
  async function exported(org: OrgId): Promise<string[]> {
    const node = world.node()
    const end = await node.checkpoint(org)
    let text = ''
    const wanted = { org, through: end!.seq, filter: {}, keys: await node.keys(), opener: world.personal, end: node.exportEnd.bind(node) }
    for await (const piece of exportText(world.database, { ...wanted, format: 'jsonl' }, () => undefined)) text += piece
    await node.close()
    return text.slice(0, -1).split('\n')
  }
  async function verdict(lines: readonly string[]): Promise<boolean> {
    const reading = (async function* () {
      yield* lines
    })()
    const [key] = await signingKeys(world)
    return (await verifyExport(reading, [key!.publicKey])).intact
  }

  it('N4 has them opened, is proven with them, and without those that were forgotten', async () => {
    const org = await newOrg()
    const [gone, stays] = [person(), person()]
    for (const who of [gone, stays]) await tell(org, who, { email: `${who}@example.test` })
    const before = await exported(org)
    expect(before.filter((line) => line.includes('"type":"opened"'))).toHaveLength(2)
    expect(await verdict(before)).toBe(true)
    await forget(org, gone)
    const after = await exported(org)
    expect(after.filter((line) => line.includes('"type":"opened"'))).toEqual([
      `{"type":"opened","seq":"2","facts":{"email":"${stays}@example.test"}}`,
    ])
    expect(await verdict(after)).toBe(true)
  })

  it('G6 is found out when one of them was changed, dropped, doubled or slipped in', async () => {
    const org = await newOrg()
    for (const who of [person(), person()]) await tell(org, who, { email: 'somebody@example.test' })
    const lines = await exported(org)
    const at = lines.findIndex((line) => line.includes('"type":"opened"'))
    for (const tampered of [
      lines.with(at, lines[at]!.replace('somebody', 'another')),
      lines.toSpliced(at, 1),
      lines.toSpliced(at, 0, lines[at]!),
      lines.toSpliced(1, 0, lines[at]!),
    ]) {
      expect(await verdict(tampered)).toBe(false)
    }
    expect(await verdict(lines)).toBe(true)
  })

  it('has them as a column of CSV', async () => {
    const org = await newOrg()
    await tell(org, person(), { address: '203.0.113.7' })
    let text = ''
    const end = (): Promise<string> => Promise.reject(new Error('CSV has no end'))
    const wanted = { org, through: 9n, filter: {}, format: 'csv' as const, keys: [], opener: world.personal, end }
    for await (const piece of exportText(world.database, wanted, () => undefined)) text += piece
    expect(text).toContain('"{""address"":""203.0.113.7""}"')
  })
})

it('leaves the events of an older database as they were hashed, and goes on behind them', async () => {
  const folder = join(import.meta.dirname, '../../src/db')
  const files = readdirSync(join(folder, 'migrations')).toSorted()
  const from = files.findIndex((file) => file.startsWith('0036_'))
  const older = await freshDatabase(inject('postgresUrl'), { migrated: false })
  try {
    const apply = (name: string) => older.asSuperuser(readFileSync(join(folder, name), 'utf8'))
    await apply('bootstrap.sql')
    for (const file of files.slice(0, from)) await apply(`migrations/${file}`)
    const org = newId('org')
    const append = (event: object) =>
      older.asSuperuser(`select set_config('sallyport.org', $1, true), sallyport.audit_append($2)`, [org, JSON.stringify([event])])
    const said = { action: 'thing.changed', actor: 'system', target: 'é "', detail: '{}' }
    await append(said)
    for (const file of files.slice(from)) await apply(`migrations/${file}`)
    await append({ ...said, personal: 'c2VhbGVk' })
    await expect(append({ ...said, personal: 'c2Vh"bGVk' })).rejects.toMatchObject({ code: '23514' })
    const rows = await older.asSuperuser<StoredAuditEvent & { prev_hash: Buffer }>(
      `select *, org_id as org, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at from sallyport.audit_event order by seq`,
    )
    expect(rows.map(({ form }) => form)).toEqual([1, 2])
    for (const row of rows) {
      expect(row.form).toBe(formOf(row.personal))
      expect(auditEventHash({ ...row, prevHash: row.prev_hash })).toEqual(row.hash)
    }
    expect(rows[1]!.prev_hash).toEqual(rows[0]!.hash)
  } finally {
    await older.drop()
  }
})

it('A-01 T-20 lets the gateway read, make, reseal and destroy those keys, of its own organization and in no other way', async () => {
  const [org, other] = [await newOrg(), await newOrg()]
  for (const at of [org, other]) await tell(at, person(), { email: 'somebody@example.test' })
  await world.fresh.asGateway(async (client) => {
    await client.query(`select set_config('sallyport.org', $1, false)`, [org])
    const { rows } = await client.query('select org_id from sallyport.audit_subject_key')
    expect(rows).toEqual([{ org_id: org }])
    for (const statement of [
      `update sallyport.audit_subject_key set subject = 'user_x'`,
      `update sallyport.audit_subject_key set org_id = '${other}'`,
      'truncate sallyport.audit_subject_key',
    ]) {
      await expect(client.query(statement), statement).rejects.toMatchObject({ code: '42501' })
    }
    await expect(client.query(`update sallyport.audit_subject_key set sealed = '\\x00'`)).rejects.toMatchObject({ code: '23000' })
  })
  expect(await world.database.withTenant(org, (tx) => auditEventList(tx, { limit: 1 }))).toHaveLength(1)
})
