/** Owns what model calls used: a row a call, and days added up in the statement that stores them. Refuses text of any call: there is no column for it. */
import { sql } from 'kysely'
import type { RawBuilder, Selectable } from 'kysely'
import type { BudgetId, Environment, KeyId, OrgId, ProjectId, RequestId, UsageId } from '@sallyport/core'
import type { Schema } from '../schema.ts'
import type { TenantTx } from '../tenant.ts'
import type { Page, Place } from './page.ts'

export interface UsageRow {
  readonly org: OrgId
  readonly id: UsageId
  readonly request: RequestId
  readonly at: Date
  readonly project: ProjectId
  readonly environment: Environment
  readonly key: KeyId
  readonly endUser: string | null
  readonly provider: string
  readonly model: string | null
  /** The named route that chose the provider. */
  readonly route: string | null
  /** What the caller was answered; 0: nothing. */
  readonly status: number
  readonly error: string | null
  /** Null: nothing is known of the tokens. */
  readonly source: 'measured' | 'estimated' | null
  readonly inputTokens: number | null
  readonly cachedTokens: number | null
  readonly writtenTokens: number | null
  readonly outputTokens: number | null
  readonly reasoningTokens: number | null
  /** Null: not known. */
  readonly costNano: number | null
  /** Whole microseconds. */
  readonly durationUs: number
  readonly firstByteUs: number | null
}

/** What of a call's cost is taken out of which budget. */
export interface Charge {
  readonly budget: BudgetId
  /** The first day of the period that it was set aside in, `YYYY-MM-DD`. */
  readonly startsOn: string
  readonly nano: number
}

export interface ChargedUsage {
  readonly row: UsageRow
  readonly charges: readonly Charge[]
  /** Who holds what is charged until it is written. */
  readonly node: string
}

/**
 * Stores rows, adds them to their days, and takes what they cost out of budgets and of what the node holds of these, in one statement. Rows that are there
 * already change nothing: a group whose commit went unanswered may be sent again. Everything is locked in the order of its keys, and of a budget the period
 * before what nodes hold, as budget_draw does: the update reads from `spent`, or PostgreSQL would run it first.
 * Budgets are held first, so that none goes meanwhile: a period of one that is gone is refused, and with it everybody's rows. What was to be taken out of
 * such a one is taken out of nothing.
 */
export async function usageInsertMany(tx: TenantTx, usages: readonly ChargedUsage[]): Promise<void> {
  const rows = usages.map(({ row, charges, node }) => {
    if (row.org !== tx.org) throw new TypeError('use of another organization')
    return { ...stored(row), node, charges: charges.map(({ budget, startsOn, nano }) => ({ budget, starts_on: startsOn, nano })) }
  })
  await sql`
    with given as materialized (
      select r.*, x.node, x.charges from jsonb_array_elements(${JSON.stringify(rows)}::jsonb) with ordinality as g (value, nr)
      cross join lateral jsonb_populate_record(null::sallyport.usage_record, g.value) r
      cross join lateral jsonb_to_record(g.value) as x (node text, charges jsonb)
    ), fresh as (
      insert into sallyport.usage_record
      select org_id, id, request_id, at, project_id, environment, key_id, end_user_id, provider, model, route, status, error, source,
        input_tokens, cached_tokens, written_tokens, output_tokens, reasoning_tokens, cost_nano, duration_us, first_byte_us
      from given on conflict (org_id, id) do nothing
      returning *
    ), added as (
      select org_id, (at at time zone 'UTC')::date as day, project_id, environment, key_id, end_user_id, provider, coalesce(model, '') as model,
        count(*) as calls, count(*) filter (where status < 200 or status > 399) as failed,
        count(*) filter (where source = 'estimated') as estimated,
        count(*) filter (where source is not null and cost_nano is null) as unpriced,
        coalesce(sum(input_tokens), 0) as input_tokens, coalesce(sum(cached_tokens), 0) as cached_tokens,
        coalesce(sum(written_tokens), 0) as written_tokens, coalesce(sum(output_tokens), 0) as output_tokens,
        coalesce(sum(reasoning_tokens), 0) as reasoning_tokens, coalesce(sum(cost_nano), 0) as cost_nano
      from fresh group by 1, 2, 3, 4, 5, 6, 7, 8
    ), days as (
      insert into sallyport.usage_day as d
      select org_id, day, project_id, environment, key_id, provider, model, ${SUMS}
      from added group by 1, 2, 3, 4, 5, 6, 7 order by 1, 2, 3, 4, 5, 6, 7
      on conflict (org_id, day, project_id, environment, key_id, provider, model) do update set ${MORE}
    ), user_days as (
      insert into sallyport.usage_user_day as d
      select org_id, project_id, environment, end_user_id, day, provider, model, ${SUMS}
      from added where end_user_id is not null group by 1, 2, 3, 4, 5, 6, 7 order by 1, 2, 3, 4, 5, 6, 7
      on conflict (org_id, project_id, environment, end_user_id, day, provider, model) do update set ${MORE}
    ), asked as materialized (
      select c.budget, c.starts_on, g.node, c.nano
      from fresh f join given g on g.id = f.id
      cross join lateral jsonb_to_recordset(g.charges) as c (budget uuid, starts_on date, nano bigint)
    ), held as materialized (
      select b.id from sallyport.budget b where b.org_id = ${tx.org} and b.id in (select budget from asked) order by b.id for key share
    ), charged as materialized (
      select h.id as budget_id, a.starts_on, a.node, ${most(sql`sum(a.nano)`)} as nano from asked a join held h on h.id = a.budget group by 1, 2, 3
    ), spent as (
      insert into sallyport.budget_period as p (org_id, budget_id, starts_on, spent_nano)
      select ${tx.org}::uuid, budget_id, starts_on, ${most(sql`sum(nano)`)} from charged group by 1, 2, 3 order by 2, 3
      on conflict (org_id, budget_id, starts_on) do update set spent_nano = ${most(sql`p.spent_nano::numeric + excluded.spent_nano`)}
      returning budget_id, starts_on
    )
    update sallyport.budget_lease l set held_nano = greatest(0, l.held_nano - c.nano)
    from charged c join spent s on s.budget_id = c.budget_id and s.starts_on = c.starts_on
    where l.org_id = ${tx.org} and l.budget_id = c.budget_id and l.starts_on = c.starts_on and l.node = c.node`.execute(tx)
}

const COUNTERS = [
  'calls',
  'failed',
  'estimated',
  'unpriced',
  'input_tokens',
  'cached_tokens',
  'written_tokens',
  'output_tokens',
  'reasoning_tokens',
  'cost_nano',
] as const
const SUMS = sql.join(COUNTERS.map((name) => most(sql`sum(${sql.ref(name)})`)))
const MORE = sql.join(
  COUNTERS.map((name) => sql`${sql.ref(name)} = ${most(sql`${sql.ref(`d.${name}`)}::numeric + ${sql.ref(`excluded.${name}`)}`)}`),
)

/** Of a sum as much as its column takes: one that is absurd must not keep everybody's rows of its day from being written. */
function most(sum: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`least(${sum}, 9000000000000000000)::bigint`
}

function stored(row: UsageRow) {
  return {
    org_id: row.org,
    id: row.id,
    request_id: row.request,
    at: row.at,
    project_id: row.project,
    environment: row.environment,
    key_id: row.key,
    end_user_id: row.endUser,
    provider: row.provider,
    model: row.model,
    route: row.route,
    status: row.status,
    error: row.error,
    source: row.source,
    input_tokens: row.inputTokens,
    cached_tokens: row.cachedTokens,
    written_tokens: row.writtenTokens,
    output_tokens: row.outputTokens,
    reasoning_tokens: row.reasoningTokens,
    cost_nano: row.costNano,
    duration_us: row.durationUs,
    first_byte_us: row.firstByteUs,
  }
}

/** Moments from the first on, and before the last; absent: all. */
export interface UsageSpan {
  readonly from?: Date | undefined
  readonly until?: Date | undefined
}

/** What rows are picked by; absent: all. */
export interface UsageFilter extends UsageSpan {
  readonly key?: KeyId | undefined
  readonly endUser?: string | undefined
  readonly provider?: string | undefined
  readonly model?: string | undefined
}

const LAST_MS = 2 ** 48 - 1

/** A row's id begins with the millisecond of its `at`: the index ends where a filter does, and what lies before and after is not read. */
function firstIdOf(at: Date): UsageId {
  const moment = Math.min(Math.max(at.getTime(), 0), LAST_MS).toString(16).padStart(12, '0')
  return `${moment.slice(0, 8)}-${moment.slice(8)}-0000-0000-000000000000` as UsageId
}

/** Newest first, by id, which begins with its time. Of a place, index usage_record_list; of the organization, its primary key. */
export async function usageList(tx: TenantTx, at: Place | undefined, span: UsageSpan, page: Page<UsageId>): Promise<UsageRow[]> {
  const rows = await usageWithin(tx, at, span, page).selectAll().limit(page.limit).execute()
  return rows.map(usageRow)
}

function usageWithin(tx: TenantTx, at: Place | undefined, { from, until }: UsageSpan, { after }: Pick<Page<UsageId>, 'after'>) {
  return tx
    .selectFrom('sallyport.usage_record')
    .where('org_id', '=', tx.org)
    .$if(at !== undefined, (query) => query.where('project_id', '=', at!.project).where('environment', '=', at!.environment))
    .$if(from !== undefined, (query) => query.where('at', '>=', from!).where('id', '>=', firstIdOf(from!)))
    .$if(until !== undefined, (query) => query.where('at', '<', until!).where('id', '<', firstIdOf(until!)))
    .$if(after !== undefined, (query) => query.where('id', '<', after!))
    .orderBy('id', 'desc')
}

/** Each has an index, in this order; what a row must be beside the first is looked for row by row. */
const FILTERS = { end_user_id: 'endUser', key_id: 'key', model: 'model', provider: 'provider' } as const
type FilterColumn = keyof typeof FILTERS
/** Rows that one page is looked for in. */
export const MOST_LOOKED_AT = 50_000

/** A page of the rows that a filter picks. */
export interface FoundUsage {
  readonly rows: UsageRow[]
  /** Where looking ended before the page was full: there may be more from there on. */
  readonly lookedTo: UsageId | undefined
}

/**
 * As usageList, of the rows that `filter` picks. By one of end user, key and model from its index; by more than one, or by provider, in at most `most` rows a
 * page, however many there are and few of them it picks.
 */
export async function usageFind(
  tx: TenantTx,
  at: Place,
  filter: UsageFilter,
  page: Page<UsageId>,
  most = MOST_LOOKED_AT,
): Promise<FoundUsage> {
  const looking = usageLooking(tx, at, filter, page, most)
  // Where rows are thought to lie far apart, all of them would be read and sorted rather than `most` from the index.
  if (looking.end !== undefined) await sql`set local enable_sort = off`.execute(tx)
  const rows = await looking.found.execute()
  const end = rows.length < page.limit ? (await looking.end?.executeTakeFirst())?.id : undefined
  // Rows that came between the two statements move the end among those that were looked at: what is shown is not to come again.
  const last = rows.at(-1)?.id
  return { rows: rows.map(usageRow), lookedTo: end !== undefined && last !== undefined && last < end ? last : end }
}

/** The statements of usageFind: what is found, and the last row that is looked at, where there are so many. */
export function usageLooking(tx: TenantTx, at: Place, filter: UsageFilter, page: Page<UsageId>, most: number) {
  const named = (Object.keys(FILTERS) as FilterColumn[]).filter((column) => filter[FILTERS[column]] !== undefined)
  const first = named.find((column) => column !== 'provider')
  const rest = named.filter((column) => column !== first)
  const is = (column: FilterColumn) => sql<boolean>`${sql.ref(column)} = ${filter[FILTERS[column]]}`
  const within = usageWithin(tx, at, filter, page).$if(first !== undefined, (query) => query.where(is(first!)))
  if (rest.length === 0) return { found: within.selectAll().limit(page.limit), end: undefined }
  // A bound within the other is what keeps PostgreSQL from looking on, and from choosing another way.
  const looked = tx.selectFrom(within.selectAll().limit(most).as('looked')).selectAll()
  const picked = rest.reduce((query, column) => query.where(is(column)), looked)
  const numbered = within.select(['id', sql<number>`row_number() over (order by id desc)`.as('nr')])
  return {
    found: picked.orderBy('id', 'desc').limit(page.limit),
    end: tx.selectFrom(numbered.limit(most).as('looked')).select('id').where('nr', '=', most),
  }
}

function usageRow(row: Selectable<Schema['sallyport.usage_record']>): UsageRow {
  const number = (value: string | null) => (value === null ? null : Number(value))
  return {
    org: row.org_id,
    id: row.id,
    request: row.request_id,
    at: row.at,
    project: row.project_id,
    environment: row.environment,
    key: row.key_id,
    endUser: row.end_user_id,
    provider: row.provider,
    model: row.model,
    route: row.route,
    status: row.status,
    error: row.error,
    source: row.source,
    inputTokens: number(row.input_tokens),
    cachedTokens: number(row.cached_tokens),
    writtenTokens: number(row.written_tokens),
    outputTokens: number(row.output_tokens),
    reasoningTokens: number(row.reasoning_tokens),
    costNano: number(row.cost_nano),
    durationUs: Number(row.duration_us),
    firstByteUs: number(row.first_byte_us),
  }
}

/** What days are added up by. */
export const USAGE_DIMENSIONS = ['day', 'project', 'environment', 'key', 'end_user', 'provider', 'model'] as const
export type UsageDimension = (typeof USAGE_DIMENSIONS)[number]

export interface UsageSum {
  /** Only those that were asked for. */
  readonly of: Readonly<Partial<Record<UsageDimension, string>>>
  readonly calls: number
  readonly failed: number
  /** Calls whose tokens were reckoned, and those that have tokens but no known cost. */
  readonly estimated: number
  readonly unpriced: number
  readonly inputTokens: number
  readonly cachedTokens: number
  readonly writtenTokens: number
  readonly outputTokens: number
  readonly reasoningTokens: number
  readonly costNano: bigint
}

/** Days are whole ones of UTC, the last included. `place`: null for the organization. */
export interface UsageQuestion {
  readonly place: { readonly project: ProjectId; readonly environment?: Environment | undefined } | null
  readonly from: string
  readonly to: string
  readonly by: readonly UsageDimension[]
  readonly key?: KeyId | undefined
  readonly endUser?: string | undefined
  readonly provider?: string | undefined
  readonly model?: string | undefined
  /** At most so many sums. */
  readonly limit: number
}

const COLUMNS: Readonly<Record<UsageDimension, string>> = {
  day: 'day',
  project: 'project_id',
  environment: 'environment',
  key: 'key_id',
  end_user: 'end_user_id',
  provider: 'provider',
  model: 'model',
}

/**
 * What was used, added up from days, the dearest first; by day, the latest first. End users have days of their own, in which keys aren't told apart.
 * @throws TypeError for end users and keys in one question
 */
export async function usageSums(tx: TenantTx, question: UsageQuestion): Promise<UsageSum[]> {
  const { place, by, from, to, key, endUser, provider, model, limit } = question
  const ofUsers = endUser !== undefined || by.includes('end_user')
  if (ofUsers && (key !== undefined || by.includes('key'))) throw new TypeError('end users and keys are not added up together')
  const table = sql.table(ofUsers ? 'sallyport.usage_user_day' : 'sallyport.usage_day')
  const columns = by.map((dimension) => sql.ref(COLUMNS[dimension]))
  const where: RawBuilder<unknown>[] = [sql`org_id = ${tx.org}`, sql`day between ${from}::date and ${to}::date`]
  if (place !== null) where.push(sql`project_id = ${place.project}`)
  if (place?.environment !== undefined) where.push(sql`environment = ${place.environment}`)
  if (key !== undefined) where.push(sql`key_id = ${key}`)
  if (endUser !== undefined) where.push(sql`end_user_id = ${endUser}`)
  if (provider !== undefined) where.push(sql`provider = ${provider}`)
  if (model !== undefined) where.push(sql`model = ${model}`)
  const named = by.map((dimension) => sql`${sql.ref(COLUMNS[dimension])}::text as ${sql.ref(`of_${dimension}`)}`)
  const totals = COUNTERS.map((name) => sql`coalesce(sum(${sql.ref(name)}), 0)::text as ${sql.ref(name)}`)
  const order = by.includes('day')
    ? sql`${sql.ref('of_day')} desc, sum(cost_nano) desc, sum(calls) desc`
    : sql`sum(cost_nano) desc, sum(calls) desc`
  const { rows } = await sql<Record<string, string>>`
    select ${sql.join([...named, ...totals])} from ${table} where ${sql.join(where, sql` and `)}
    ${columns.length > 0 ? sql`group by ${sql.join(columns)}` : sql``}
    order by ${order}${columns.length > 0 ? sql`, ${sql.join(columns)}` : sql``} limit ${limit}`.execute(tx)
  return rows.map((row) => sumOf(row, by))
}

function sumOf(row: Record<string, string>, by: readonly UsageDimension[]): UsageSum {
  const number = (name: (typeof COUNTERS)[number]) => Number(row[name])
  return {
    of: Object.fromEntries(by.map((dimension) => [dimension, row[`of_${dimension}`]!])),
    calls: number('calls'),
    failed: number('failed'),
    estimated: number('estimated'),
    unpriced: number('unpriced'),
    inputTokens: number('input_tokens'),
    cachedTokens: number('cached_tokens'),
    writtenTokens: number('written_tokens'),
    outputTokens: number('output_tokens'),
    reasoningTokens: number('reasoning_tokens'),
    costNano: BigInt(row['cost_nano']!),
  }
}

/**
 * Takes an end user's name out of the next `limit` rows of a place, and once there are none, their days away; index usage_record_user. How many rows were
 * found: `limit` when there may be more.
 */
export async function usageForgetUser(tx: TenantTx, at: Place, endUser: string, limit: number): Promise<number> {
  const { rows } = await sql<{ found: string }>`
    with found as materialized (
      select r.id from sallyport.usage_record r
      where r.org_id = ${tx.org} and r.project_id = ${at.project} and r.environment = ${at.environment} and r.end_user_id = ${endUser}
      order by r.id limit ${limit}
    ), nobody as (
      update sallyport.usage_record r set end_user_id = null from found where r.org_id = ${tx.org} and r.id = found.id
    )
    select count(*) as found from found`.execute(tx)
  const found = Number(rows[0]?.found)
  if (found === limit) return found
  const { numDeletedRows } = await tx
    .deleteFrom('sallyport.usage_user_day')
    .where('org_id', '=', tx.org)
    .where('project_id', '=', at.project)
    .where('environment', '=', at.environment)
    .where('end_user_id', '=', endUser)
    .executeTakeFirst()
  // Days outlive their rows: somebody of whom only days are left was known too.
  return found === 0 && numDeletedRows > 0n ? 1 : found
}
