import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { sql } from 'kysely'
import type { KyselyPlugin } from 'kysely'
import { createLogger, MetricsRegistry, newId, usdOf } from '@sallyport/core'
import type { BudgetId, OrgId, UsageId } from '@sallyport/core'
import { createUseLog } from '../../src/audit/index.ts'
import {
  budgetDelete,
  budgetDraw,
  budgetInsert,
  budgetStates,
  endUserForget,
  endUserStillNamed,
  requestRecordList,
  usageForgetUser,
  usageInsertMany,
  usageList,
  usageSums,
} from '../../src/db/index.ts'
import type { ChargedUsage, Database, RequestRecordRow, TenantTx, UsageDimension, UsageRow } from '../../src/db/index.ts'
import { MOST_LOOKED_AT, usageFind, usageLooking } from '../../src/db/queries/usage.ts'
import { METRICS } from '../../src/metrics/index.ts'
import { freshDatabase, makeTenant, silent } from '../db/fresh-database.ts'
import type { FreshDatabase, Tenant } from '../db/fresh-database.ts'

let fresh: FreshDatabase
let database: Database
beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  database = await fresh.open()
})
afterAll(() => fresh.drop())

const DAY = new Date('2026-03-04T23:59:59.999Z')
const NEXT = new Date('2026-03-05T00:00:00.000Z')
const PERIOD = { from: '2026-01-01', to: '2026-12-31', limit: 1_000 } as const

function used({ org, project, environment }: Tenant, over: Partial<UsageRow> = {}): UsageRow {
  return {
    org,
    id: newId('use', (over.at ?? DAY).getTime()),
    request: newId('req'),
    at: DAY,
    project,
    environment,
    key: newId('key'),
    endUser: null,
    provider: 'openai',
    model: 'gpt-4.1',
    route: null,
    status: 200,
    error: null,
    source: 'measured',
    inputTokens: 100,
    cachedTokens: 40,
    writtenTokens: 0,
    outputTokens: 10,
    reasoningTokens: 5,
    costNano: 1_000,
    durationUs: 1_500,
    firstByteUs: 700,
    ...over,
  }
}

function record({ org, place }: Tenant, over: Partial<RequestRecordRow> = {}): RequestRecordRow {
  const call = { integrationSlug: null, connection: null, method: 'GET', path: '/', status: 200, error: null } as const
  const measured = { durationUs: 1, bytesIn: 0, bytesOut: 0 }
  return { org, id: newId('req'), at: new Date(), ...place, key: newId('key'), source: 'provider', ...call, ...measured, ...over }
}

const charged = (row: UsageRow, charges: ChargedUsage['charges'] = []): ChargedUsage => ({ row, charges, node: 'node-1' })
const store = (org: OrgId, rows: readonly ChargedUsage[]) => database.withTenant(org, (tx) => usageInsertMany(tx, rows))
const list = ({ org, place }: Tenant) => database.withTenant(org, (tx) => usageList(tx, place, {}, { limit: 1_000 }))
const sums = ({ org }: Tenant, by: readonly UsageDimension[], over: object = {}) =>
  database.withTenant(org, (tx) => usageSums(tx, { place: null, by, ...PERIOD, ...over }))

const waiting = () => fresh.asSuperuser("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")

describe('what model calls used', () => {
  it('stands in a row a call, as it was', async () => {
    const at = await makeTenant(database)
    const row = used(at, { endUser: 'user-9', route: 'fast', error: 'client_gone', source: 'estimated' })
    const unknown = used(at, {
      status: 0,
      model: null,
      source: null,
      inputTokens: null,
      cachedTokens: null,
      writtenTokens: null,
      outputTokens: null,
      reasoningTokens: null,
      costNano: null,
      firstByteUs: null,
    })
    await store(at.org, [charged(row), charged(unknown)])
    expect(await list(at)).toEqual([unknown, row].toSorted((a, b) => (a.id < b.id ? 1 : -1)))
  })

  it('is in its day once, however often its group is sent', async () => {
    const at = await makeTenant(database)
    const rows = [used(at), used(at, { at: NEXT }), used(at, { endUser: 'user-1' })].map((row) => charged(row))
    await store(at.org, rows)
    await store(at.org, rows)
    await store(at.org, [...rows, charged(used(at))])
    const days = await sums(at, ['day'])
    expect(days.map(({ of, calls }) => [of.day, calls])).toEqual([
      ['2026-03-05', 1],
      ['2026-03-04', 3],
    ])
    expect((await sums(at, ['end_user'])).map(({ of, calls }) => [of.end_user, calls])).toEqual([['user-1', 1]])
  })

  it('adds up the same by every dimension, and tells what was reckoned, what has no price and what failed', async () => {
    const at = await makeTenant(database)
    const rows = Array.from({ length: 60 }, (_, n) =>
      used(at, {
        model: ['a', 'b', 'c'][n % 3]!,
        at: n % 2 === 0 ? DAY : NEXT,
        source: n % 5 === 0 ? 'estimated' : 'measured',
        costNano: n % 4 === 0 ? null : n,
        status: n % 6 === 0 ? 500 : 200,
      }),
    )
    await store(
      at.org,
      rows.map((row) => charged(row)),
    )
    const whole = {
      calls: 60,
      failed: 10,
      estimated: 12,
      unpriced: 15,
      inputTokens: 6_000,
      costNano: BigInt(rows.reduce((sum, { costNano }) => sum + (costNano ?? 0), 0)),
    }
    expect((await sums(at, []))[0]).toMatchObject(whole)
    for (const by of ['day', 'project', 'environment', 'key', 'provider', 'model'] as const) {
      const parts = await sums(at, [by])
      expect(parts.reduce((sum, { costNano }) => sum + costNano, 0n)).toBe(whole.costNano)
      expect(parts.reduce((sum, { calls }) => sum + calls, 0)).toBe(60)
    }
    expect((await sums(at, ['model'], { model: 'b', from: '2026-03-05' }))[0]).toMatchObject({ calls: 10 })
    await expect(sums(at, ['key', 'end_user'])).rejects.toThrow('not added up together')
  })

  it('between two moments is read from there alone, to the millisecond', async () => {
    const at = await makeTenant(database)
    const rows = [-1, 0, 1, 2].map((ms) => used(at, { at: new Date(NEXT.getTime() + ms) }))
    await store(
      at.org,
      rows.map((row) => charged(row)),
    )
    const between = (from: Date | undefined, until: Date | undefined) =>
      database.withTenant(at.org, async (tx) =>
        (await usageList(tx, at.place, { from, until }, { limit: 10 })).map(({ id }) => id).toReversed(),
      )
    const ids = rows.map(({ id }) => id)
    expect(await between(NEXT, new Date(NEXT.getTime() + 2))).toEqual(ids.slice(1, 3))
    expect(await between(NEXT, undefined)).toEqual(ids.slice(1))
    expect(await between(undefined, NEXT)).toEqual(ids.slice(0, 1))
    expect(await between(new Date('0001-01-01T00:00:00Z'), new Date('9999-12-31T00:00:00Z'))).toEqual(ids)
  })

  describe('of one key, model or end user among many calls', () => {
    let at: Tenant
    const key = newId('key')
    const many = 20_000
    beforeAll(async () => {
      at = await makeTenant(database)
      // Ids in the order of time, as they are made; one in a thousand is of the key, another of the model, another of the end user.
      await fresh.asSuperuser(
        `insert into sallyport.usage_record (org_id, id, request_id, at, project_id, environment, key_id, end_user_id, provider, model, status, duration_us)
         select $1, (lpad(to_hex($6::bigint + n), 12, '0') || '7000800000' || lpad(to_hex(n), 10, '0'))::uuid, gen_random_uuid(),
           to_timestamp(($6::bigint + n) / 1000.0), $2, $3, case n % 1000 when 1 then $4::uuid else gen_random_uuid() end,
           case n % 1000 when 2 then 'ann' else 'user-' || n % 50 end, case n % 1000 when 3 then 'rare' else 'common' end,
           case n % 1000 when 4 then 'seldom' else 'often' end, 200, 1
         from generate_series(1, $5::bigint) n`,
        [at.org, at.project, at.environment, key, many, Date.now() - many],
      )
      await fresh.asSuperuser('analyze sallyport.usage_record')
    }, 60_000)

    it.each([
      ['usage_record_key', { key }],
      ['usage_record_model', { model: 'seldom' }],
      ['usage_record_end_user', { endUser: 'ann' }],
      // Of a key that nobody has, which is nowhere in what PostgreSQL knows of the table.
      ['usage_record_key', { key: newId('key') }],
    ])('is read from index %s alone: %j', async (index, filter) => {
      const plan = await database.withTenant(at.org, async (tx) => {
        const { found } = usageLooking(tx, at.place, filter, { limit: 51 }, MOST_LOOKED_AT)
        return JSON.stringify(await found.explain('json', sql`analyze, timing off`))
      })
      expect(plan).toContain(`"${index}"`)
      expect(plan).not.toContain('Rows Removed by Filter')
      expect(plan).not.toContain('"Sort"')
    })

    it.each([
      ['a provider', { provider: 'rare' }],
      ['a key and a model', { key, model: 'seldom' }],
      ['an end user, a provider and a model', { endUser: 'user-3', provider: 'rare', model: 'often' }],
    ])('is looked for in so many rows a page where no index has it all: %s', async (_what, filter) => {
      const most = 1_500
      const scanned: number[] = []
      const ids: string[] = []
      let after: UsageId | undefined
      do {
        const from: UsageId | undefined = after
        const page = { limit: 4, after: from }
        const { rows, lookedTo, plan } = await database.withTenant(at.org, async (tx) => {
          const found = await usageFind(tx, at.place, filter, page, most)
          // In the same transaction: it is told how to look.
          const looking = usageLooking(tx, at.place, filter, page, most)
          return { ...found, plan: JSON.stringify(await looking.found.explain('json', sql`analyze, timing off`)) }
        })
        scanned.push(...[...plan.matchAll(/"Actual Rows": ?(\d+)/gu)].map(([, count]) => Number(count)))
        expect(plan).not.toMatch(/"Seq Scan"|"Sort"/u)
        ids.push(...rows.map(({ id }) => id))
        after = rows.length === 4 ? rows.at(-1)!.id : lookedTo
      } while (after !== undefined)
      expect(Math.max(...scanned)).toBeLessThanOrEqual(most)
      const all = await database.withTenant(at.org, (tx) => usageList(tx, at.place, {}, { limit: many + 1 }))
      const picked = all.filter((row) => Object.entries(filter).every(([name, value]) => row[name as 'key'] === value))
      expect(ids).toEqual(picked.map(({ id }) => id))
    })
  })

  it('is shown once though others come while a page is looked for', async () => {
    const at = await makeTenant(database)
    const row = (n: number, provider: string) => charged(used(at, { id: newId('use', n), provider }))
    await store(at.org, [row(1, 'rare'), row(2, 'common'), row(3, 'rare'), row(4, 'common')])
    let isFirst = true
    const meanwhile: KyselyPlugin = {
      transformQuery: ({ node }) => node,
      async transformResult({ result }) {
        if (isFirst && result.rows.length > 0) {
          isFirst = false
          await store(at.org, [row(5, 'common'), row(6, 'common')])
        }
        return result
      },
    }
    const page = (after: UsageId | undefined, plugin?: KyselyPlugin) =>
      database.withTenant(at.org, (tx) => {
        const asked = plugin === undefined ? tx : (Object.assign(tx.withPlugin(plugin), { org: tx.org }) as unknown as typeof tx)
        return usageFind(asked, at.place, { provider: 'rare' }, { limit: 10, after }, 4)
      })
    const shown = await page(undefined, meanwhile)
    expect([shown.rows.length, isFirst]).toEqual([2, false])
    const next = await page(shown.lookedTo)
    expect(next.rows).toEqual([])
  })

  it('of another organization is not there', async () => {
    const [mine, other] = [await makeTenant(database), await makeTenant(database)]
    await store(mine.org, [charged(used(mine))])
    expect(await list(other)).toEqual([])
    expect((await sums(other, []))[0]).toMatchObject({ calls: 0 })
    await expect(store(other.org, [charged(used(mine))])).rejects.toThrow('another organization')
  })

  it('forgets an end user: the name goes out of rows, and their days go', async () => {
    const at = await makeTenant(database)
    await store(at.org, [...Array.from({ length: 5 }, () => charged(used(at, { endUser: 'ann' }))), charged(used(at, { endUser: 'bob' }))])
    const forget = () => database.withTenant(at.org, (tx) => usageForgetUser(tx, at.place, 'ann', 2))
    expect([await forget(), await forget(), await forget(), await forget()]).toEqual([2, 2, 1, 0])
    expect((await list(at)).map(({ endUser }) => endUser).filter((name) => name !== null)).toEqual(['bob'])
    expect((await sums(at, ['end_user'])).map(({ of }) => of.end_user)).toEqual(['bob'])
    // What they used stays used.
    expect((await sums(at, []))[0]).toMatchObject({ calls: 6 })
  })

  it('of a call that an erasure overtakes bears no name, and that of a later call does', async () => {
    const at = await makeTenant(database)
    await database.withTenant(at.org, (tx) => endUserForget(tx, at.place, 'ann'))
    await fresh.asSuperuser("update sallyport.end_user_forgotten set forgotten_at = now() - interval '1 hour' where org_id = $1", [at.org])
    const log = createUseLog({ database, personal: { seal: async () => undefined }, logger: silent })
    const HOUR_US = 3_600_000_000
    for (const endUser of ['ann', 'bob'])
      for (const hours of [30, 2, 0.5]) log.usage(charged(used(at, { endUser, durationUs: hours * HOUR_US })), () => undefined)
    await log.close()
    const names = (await list(at)).flatMap(({ endUser, durationUs }) => (endUser === null ? [] : [`${endUser} ${durationUs / HOUR_US}`]))
    expect(new Set(names)).toEqual(new Set(['ann 0.5', 'bob 0.5', 'bob 2']))
    const days = (await sums(at, ['end_user'])).map(({ of, calls }) => `${of.end_user} ${calls}`)
    expect(new Set(days)).toEqual(new Set(['ann 1', 'bob 2']))
  })

  it('leaves the name of whoever was forgotten nowhere two days later, though nobody else of the organization ever is', async () => {
    const at = await makeTenant(database)
    const remembered = async (): Promise<string[]> =>
      (
        await fresh.asSuperuser<{ name: string }>('select end_user_id as name from sallyport.end_user_forgotten where org_id = $1', [
          at.org,
        ])
      ).map(({ name }) => name)
    const ages = (hours: number): Promise<unknown> =>
      fresh.asSuperuser(
        'update sallyport.end_user_forgotten set forgotten_at = forgotten_at - make_interval(hours => $2) where org_id = $1',
        [at.org, hours],
      )
    await database.withTenant(at.org, (tx) => endUserForget(tx, at.place, 'ann'))
    await ages(25)
    await database.withTenant(at.org, (tx) => endUserForget(tx, at.place, 'bob'))
    await database.lookups.endUserForgottenSweep(10_000)
    expect(new Set(await remembered())).toEqual(new Set(['ann', 'bob']))
    await ages(24)
    await database.lookups.endUserForgottenSweep(10_000)
    expect(await remembered()).toEqual(['bob'])
  })

  it.each(['written', 'forgotten'])('bears no name once its end user is forgotten while it is written: first, it is %s', async (first) => {
    const at = await makeTenant(database)
    const log = createUseLog({ database, personal: { seal: async () => undefined }, logger: silent })
    const row = used(at, { endUser: 'ann', durationUs: 60_000_000 })
    const erase = async (): Promise<unknown> => {
      await database.withTenant(at.org, (tx) => endUserForget(tx, at.place, 'ann'))
      return database.withTenant(at.org, (tx) => usageForgetUser(tx, at.place, 'ann', 10))
    }
    let second: Promise<unknown> | undefined
    await database.withTenant(at.org, async (tx) => {
      if (first === 'written') {
        expect(await endUserStillNamed(tx, [{ at: at.place, endUser: 'ann', ageMs: 60_000 }])).toEqual([true])
        await usageInsertMany(tx, [charged(row)])
        second = erase()
      } else {
        await endUserForget(tx, at.place, 'ann')
        log.usage(charged(row), () => undefined)
        second = log.flush()
      }
      second.catch(() => undefined)
      await expect.poll(waiting, { timeout: 20_000 }).not.toHaveLength(0)
    })
    await second
    await log.close()
    expect((await list(at)).map(({ id, endUser }) => [id, endUser])).toEqual([[row.id, null]])
    expect(await sums(at, ['end_user'])).toEqual([])
  })

  it('is swept when it is old enough, rows before days', async () => {
    const at = await makeTenant(database)
    const now = Date.now()
    const aged = (days: number) => charged(used(at, { at: new Date(now - days * 86_400_000), endUser: 'x' }))
    await store(at.org, [aged(1), aged(40), aged(400)])
    await database.lookups.usageSweep({ records: 30, days: 300 }, 10_000)
    expect(await list(at)).toHaveLength(1)
    const from = new Date(now - 500 * 86_400_000).toISOString().slice(0, 10)
    expect(await sums(at, ['day'], { from, to: '2999-01-01' })).toHaveLength(2)
    expect(await sums(at, ['end_user', 'day'], { from, to: '2999-01-01' })).toHaveLength(2)
  })

  it('takes what calls cost out of budgets, once, and out of what the node holds', async () => {
    const at = await makeTenant(database)
    const id: BudgetId = newId('bud')
    await database.withTenant(at.org, (tx) =>
      budgetInsert(tx, {
        id,
        holder: 'organization',
        holderId: at.org,
        amountNano: 10_000,
        period: 'total',
        enforcement: 'hard',
        unpriced: 'refuse',
        createdBy: 'system',
      }),
    )
    const charges = [{ budget: id, startsOn: '1970-01-01', nano: 700 }]
    const rows = [charged(used(at), charges), charged(used(at), charges), charged(used(at), [{ ...charges[0]!, budget: newId('bud') }])]
    await store(at.org, rows)
    await store(at.org, rows)
    const states = await database.withTenant(at.org, (tx) => budgetStates(tx, [id]))
    expect(states.get(id)).toMatchObject({ spentNano: 1_400, heldNano: 0 })
  })

  it('waits for a turn with a budget that is under way before it touches what its node holds', async () => {
    const at = await makeTenant(database)
    const budget: BudgetId = newId('bud')
    const terms = { amountNano: 10_000, period: 'total', enforcement: 'hard', unpriced: 'refuse' } as const
    await database.withTenant(at.org, (tx) =>
      budgetInsert(tx, { ...terms, id: budget, holder: 'organization', holderId: at.org, createdBy: 'system' }),
    )
    const ask = { budget, node: 'node-1', busyNano: 700, needNano: 0, ahead: false, seconds: 60 }
    await database.withTenant(at.org, (tx) => budgetDraw(tx, ask))
    let written: Promise<void> | undefined
    await database.withTenant(at.org, async (tx) => {
      await sql`select from sallyport.budget_period where org_id = ${at.org} for update`.execute(tx)
      written = store(at.org, [charged(used(at), [{ budget, startsOn: '1970-01-01', nano: 700 }])])
      await expect
        .poll(() => fresh.asSuperuser("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"))
        .not.toHaveLength(0)
      // Whoever has its turn takes both in this order; otherwise the two would wait for each other.
      await budgetDraw(tx, ask)
    })
    await written
    const states = await database.withTenant(at.org, (tx) => budgetStates(tx, [budget]))
    expect(states.get(budget)).toMatchObject({ spentNano: 700, heldNano: 0 })
  })

  it.each([false, true])('is kept when a budget that it is charged to goes meanwhile (spent of before: %s)', async (spentOf) => {
    const at = await makeTenant(database)
    const [goes, stays]: BudgetId[] = [newId('bud'), newId('bud')]
    const terms = { amountNano: 10_000, enforcement: 'hard', unpriced: 'refuse', holder: 'organization', createdBy: 'system' } as const
    const charges = [goes!, stays!].map((budget) => ({ budget, startsOn: '1970-01-01', nano: 700 }))
    await database.withTenant(at.org, async (tx) => {
      await budgetInsert(tx, { ...terms, id: goes!, holderId: at.org, period: 'total' })
      await budgetInsert(tx, { ...terms, id: stays!, holderId: at.org, period: 'day' })
    })
    if (spentOf) await store(at.org, [charged(used(at), charges)])
    const row = used(at)
    let written: Promise<void> | undefined
    await database.withTenant(at.org, async (tx) => {
      await budgetDelete(tx, goes!)
      written = store(at.org, [charged(row, charges)])
      written.catch(() => undefined)
      await expect
        .poll(() => fresh.asSuperuser("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"), {
          timeout: 20_000,
        })
        .not.toHaveLength(0)
    })
    await written
    expect((await list(at)).map(({ id }) => id)).toContain(row.id)
    const spent = await fresh.asSuperuser(`select budget_id, spent_nano from sallyport.budget_period where org_id = '${at.org}'`)
    expect(spent).toEqual([{ budget_id: stays, spent_nano: spentOf ? '1400' : '700' }])
  })

  it.each(['draws', 'takes it away'])(
    'is drawn from, or gone, when a budget is taken away during a turn with it: first, somebody %s',
    async (first) => {
      const at = await makeTenant(database)
      const budget: BudgetId = newId('bud')
      const terms = { amountNano: 10_000, period: 'total', enforcement: 'hard', unpriced: 'refuse' } as const
      const ask = { budget, node: 'node-1', busyNano: 0, needNano: 10, ahead: true, seconds: 60 }
      await database.withTenant(at.org, (tx) =>
        budgetInsert(tx, { ...terms, id: budget, holder: 'organization', holderId: at.org, createdBy: 'system' }),
      )
      const draw = (tx: TenantTx) => budgetDraw(tx, ask)
      const take = (tx: TenantTx) => budgetDelete(tx, budget)
      let second: Promise<unknown> | undefined
      const answer = await database.withTenant(at.org, async (tx) => {
        const given = await (first === 'draws' ? draw(tx) : take(tx))
        second = database.withTenant<unknown>(at.org, first === 'draws' ? take : draw)
        second.catch(() => undefined)
        await expect.poll(waiting, { timeout: 20_000 }).not.toHaveLength(0)
        return given
      })
      if (first === 'draws') expect([answer, await second]).toEqual([expect.objectContaining({ freeNano: 312 }), true])
      else expect([answer, await second]).toEqual([true, undefined])
      expect(await fresh.asSuperuser(`select from sallyport.budget_lease where org_id = '${at.org}'`)).toEqual([])
    },
  )

  it('adds up to as much as can be said where it is absurd, and keeps being added up', async () => {
    const at = await makeTenant(database)
    const budget: BudgetId = newId('bud')
    const terms = { amountNano: 10_000, period: 'total', enforcement: 'hard', unpriced: 'refuse' } as const
    await database.withTenant(at.org, (tx) =>
      budgetInsert(tx, { ...terms, id: budget, holder: 'organization', holderId: at.org, createdBy: 'system' }),
    )
    const absurd = () => used(at, { key, endUser: 'ann', costNano: Number.MAX_SAFE_INTEGER, inputTokens: Number.MAX_SAFE_INTEGER })
    const key = newId('key')
    const charges = [{ budget, startsOn: '1970-01-01', nano: Number.MAX_SAFE_INTEGER }]
    for (let n = 0; n < 3; n++)
      await store(
        at.org,
        Array.from({ length: 500 }, () => charged(absurd(), charges)),
      )
    await store(at.org, [charged(used(at, { key }), charges)])
    expect((await sums(at, ['end_user']))[0]).toMatchObject({ calls: 1_500, costNano: 9_000_000_000_000_000_000n })
    expect((await sums(at, []))[0]).toMatchObject({ calls: 1_501, costNano: 9_000_000_000_000_000_000n })
    expect(usdOf((await sums(at, []))[0]!.costNano)).toBe('9000000000')
    const ask = { budget, node: 'node-1', busyNano: 9e18, needNano: 9e18, ahead: true, seconds: 60 }
    for (const node of ['node-1', 'node-2', 'node-3'])
      expect(await database.withTenant(at.org, (tx) => budgetDraw(tx, { ...ask, node }))).toMatchObject({ freeNano: 0, leftNano: 0 })
    const states = await database.withTenant(at.org, (tx) => budgetStates(tx, [budget]))
    expect(states.get(budget)).toMatchObject({ spentNano: 9e18, heldNano: 27e18 })
  })

  it('is written in the groups of the log of uses, and is waited for at its end', async () => {
    const at = await makeTenant(database)
    let transactions = 0
    const log = createUseLog({
      database: { withTenant: (org, fn) => ((transactions += 1), database.withTenant(org, fn)) },
      personal: { seal: async () => undefined },
      logger: silent,
    })
    let settled = 0
    for (let n = 0; n < 300; n++) log.usage(charged(used(at)), () => (settled += 1))
    expect(log.buffered).toBe(300)
    await log.close()
    expect(settled).toBe(300)
    expect(transactions).toBeLessThan(5)
    expect((await sums(at, []))[0]).toMatchObject({ calls: 300 })
  })

  it('that PostgreSQL refuses says less, or is dropped, and keeps nothing else from being written', async () => {
    const at = await makeTenant(database)
    const budget: BudgetId = newId('bud')
    const terms = { amountNano: 10_000, period: 'total', enforcement: 'hard', unpriced: 'refuse' } as const
    await database.withTenant(at.org, (tx) =>
      budgetInsert(tx, { ...terms, id: budget, holder: 'organization', holderId: at.org, createdBy: 'system' }),
    )
    const [metrics, lines] = [new MetricsRegistry(METRICS), [] as string[]]
    const logger = createLogger({ level: 'error', format: 'json', write: (text) => lines.push(text) })
    const log = createUseLog({ database, personal: { seal: async () => undefined }, logger, metrics })
    let settled = 0
    const use = (over: Partial<UsageRow>) =>
      log.usage(charged(used(at, over), [{ budget, startsOn: '1970-01-01', nano: 10 }]), (charges) => {
        for (const { nano } of charges) settled += nano
      })
    for (let n = 0; n < 100; n++) {
      // Tokens whose source is not known: the table takes no such row. Nor, whatever else is left out, a status that is no number of its own.
      use(n % 40 === 7 ? { source: null, endUser: 'ann' } : n === 60 ? { status: 3_000_000_000 } : {})
      log.request(record(at, n === 30 ? { source: 'nobody' as 'gateway' } : {}))
    }
    void log.use(at.org, 'batched', { action: 'credential.used', actor: 'system', target: 'x', detail: {} })
    await log.flush()
    await log.close()
    expect(settled).toBe(1_000)
    const rows = await list(at)
    expect([rows.length, rows.filter(({ source }) => source === null).length]).toEqual([99, 3])
    expect(rows.every(({ endUser }) => endUser === null)).toBe(true)
    expect(await database.withTenant(at.org, (tx) => requestRecordList(tx, at.place, { limit: 1_000 }))).toHaveLength(99)
    // Whose row has no place at all: what it cost is counted, and told.
    const states = await database.withTenant(at.org, (tx) => budgetStates(tx, [budget]))
    expect(states.get(budget)).toMatchObject({ spentNano: 990 })
    expect(metrics.render()).toContain('sallyport_budget_uncharged_nanodollars_total 10\n')
    for (const kind of ['request', 'usage'])
      expect(metrics.render()).toContain(`sallyport_records_dropped_total{kind="${kind}",outcome="refused"} 1\n`)
    expect(lines.join()).toContain('could not be taken out of its budgets')
  })

  it('beyond what may be held is dropped and counted, and what it cost is taken out of budgets all the same', async () => {
    const at = await makeTenant(database)
    const budget: BudgetId = newId('bud')
    const terms = { amountNano: 10_000, period: 'total', enforcement: 'hard', unpriced: 'refuse' } as const
    await database.withTenant(at.org, (tx) =>
      budgetInsert(tx, { ...terms, id: budget, holder: 'organization', holderId: at.org, createdBy: 'system' }),
    )
    const other = await makeTenant(database)
    const { promise: back, resolve: comeBack } = Promise.withResolvers<void>()
    const metrics = new MetricsRegistry(METRICS)
    const log = createUseLog({
      database: { withTenant: async (org, fn) => (await back, database.withTenant(org, fn)) },
      personal: { seal: async () => undefined },
      logger: silent,
      metrics,
      maxBuffered: 8,
    })
    let settled = 0
    const use = (of: Tenant, charges: ChargedUsage['charges']) =>
      log.usage(charged(used(of), charges), (all) => {
        for (const { nano } of all) settled += nano
      })
    // All the room is taken by another's: one row that is to be paid for is held all the same.
    for (let n = 0; n < 20; n++) log.request(record(other))
    for (let n = 0; n < 3; n++) use(other, [])
    for (let n = 0; n < 200; n++) use(at, [{ budget, startsOn: '1970-01-01', nano: n % 2 === 0 ? 10 : 20 }])
    expect(log.buffered).toBeLessThan(10)
    comeBack()
    await log.close()
    const states = await database.withTenant(at.org, (tx) => budgetStates(tx, [budget]))
    expect([states.get(budget)?.spentNano, settled]).toEqual([3_000, 3_000])
    const [rows, dropped] = [await list(at), metrics.render().match(/kind="usage",outcome="full"\} (\d+)/u)?.[1]]
    expect(rows.length + (await list(other)).length + Number(dropped)).toBe(203)
    expect(metrics.render()).not.toMatch(/uncharged_nanodollars_total [1-9]/u)
  })

  it('of many groups at once, on several nodes, adds up', async () => {
    const at = await makeTenant(database)
    const group = (n: number) =>
      Array.from({ length: 20 }, (_, m) => charged(used(at, { model: `m${(n * 7 + m * 3) % 10}`, endUser: `u${m % 4}` })))
    const logs = Array.from({ length: 3 }, () => createUseLog({ database, personal: { seal: async () => undefined }, logger: silent }))
    for (let n = 0; n < 15; n++) for (const one of group(n)) logs[n % 3]!.usage(one, () => undefined)
    await Promise.all(logs.map((log) => log.close()))
    expect((await sums(at, []))[0]).toMatchObject({ calls: 300, inputTokens: 30_000 })
    expect((await sums(at, ['end_user'])).reduce((sum, { calls }) => sum + calls, 0)).toBe(300)
  })
})
