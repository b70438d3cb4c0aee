/** Owns the rows of budgets, of what is spent of them, and of what nodes hold. Refuses to give out more than is there: nodes take turns. */
import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import type { BudgetId, KeyId, OrgId, ProjectId } from '@sallyport/core'
import type { BudgetEnforcement, BudgetHolderKind, BudgetPeriod, BudgetUnpriced, Schema } from '../schema.ts'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'
import type { Page } from './page.ts'

export interface Budget {
  readonly id: BudgetId
  readonly holder: BudgetHolderKind
  /** The organization itself, a project, or a key. */
  readonly holderId: OrgId | ProjectId | KeyId
  /** Nano-dollars. */
  readonly amountNano: number
  readonly period: BudgetPeriod
  readonly enforcement: BudgetEnforcement
  readonly unpriced: BudgetUnpriced
  readonly createdBy: string
  readonly createdAt: Date
  readonly changedAt: Date
}

export type NewBudget = Omit<Budget, 'createdAt' | 'changedAt'>

/** The period under way. */
export interface BudgetState {
  readonly startsOn: string
  readonly spentNano: number
  /** Held by nodes for calls that are under way or may begin. */
  readonly heldNano: number
}

/** @throws DatabaseError `conflict` when that holder has one of that period, or there is no such holder */
export async function budgetInsert(tx: TenantTx, budget: NewBudget): Promise<Budget> {
  const row = await tx
    .insertInto('sallyport.budget')
    .values({
      org_id: tx.org,
      id: budget.id,
      holder: budget.holder,
      holder_id: budget.holderId,
      amount_nano: budget.amountNano,
      period: budget.period,
      enforcement: budget.enforcement,
      unpriced: budget.unpriced,
      created_by: budget.createdBy,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  noteChange(tx, 'budget', budget.id)
  return budgetOf(row)
}

/** By id; primary key. */
export async function budgetList(tx: TenantTx, page: Page<BudgetId>): Promise<Budget[]> {
  const rows = await tx
    .selectFrom('sallyport.budget')
    .selectAll()
    .where('org_id', '=', tx.org)
    .$if(page.after !== undefined, (query) => query.where('id', '>', page.after!))
    .orderBy('id')
    .limit(page.limit)
    .execute()
  return rows.map(budgetOf)
}

export async function budgetFind(tx: TenantTx, id: BudgetId): Promise<Budget | undefined> {
  const row = await tx.selectFrom('sallyport.budget').selectAll().where('org_id', '=', tx.org).where('id', '=', id).executeTakeFirst()
  return row && budgetOf(row)
}

/** The same, held: who changes it next sees what this transaction made of it. Whoever spends of it goes on. */
export async function budgetHold(tx: TenantTx, id: BudgetId): Promise<Budget | undefined> {
  const row = await tx
    .selectFrom('sallyport.budget')
    .selectAll()
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .forNoKeyUpdate()
    .executeTakeFirst()
  return row && budgetOf(row)
}

/** All that bound whoever is one of `holders`; index budget_one. */
export async function budgetFindOf(tx: TenantTx, holders: readonly string[]): Promise<Budget[]> {
  const rows = await tx
    .selectFrom('sallyport.budget')
    .selectAll()
    .where('org_id', '=', tx.org)
    .where('holder_id', 'in', [...holders] as Budget['holderId'][])
    .orderBy('id')
    .execute()
  return rows.map(budgetOf)
}

export async function budgetUpdate(
  tx: TenantTx,
  id: BudgetId,
  { amountNano, enforcement, unpriced }: Pick<Budget, 'amountNano' | 'enforcement' | 'unpriced'>,
): Promise<Budget | undefined> {
  const row = await tx
    .updateTable('sallyport.budget')
    .set({ amount_nano: amountNano, enforcement, unpriced, changed_at: sql<Date>`clock_timestamp()` })
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst()
  noteChange(tx, 'budget', id)
  return row && budgetOf(row)
}

export async function budgetDelete(tx: TenantTx, id: BudgetId): Promise<boolean> {
  const { numDeletedRows } = await tx.deleteFrom('sallyport.budget').where('org_id', '=', tx.org).where('id', '=', id).executeTakeFirst()
  noteChange(tx, 'budget', id)
  return numDeletedRows > 0n
}

/** How the periods under way stand; one that nothing was spent in yet stands at nothing. */
export async function budgetStates(tx: TenantTx, ids: readonly BudgetId[]): Promise<ReadonlyMap<BudgetId, BudgetState>> {
  if (ids.length === 0) return new Map()
  const { rows } = await sql<{ id: BudgetId; starts_on: string; spent: string; held: string }>`
    select b.id, s.starts_on::text as starts_on, coalesce(p.spent_nano, 0)::text as spent,
      coalesce((select sum(l.held_nano) from sallyport.budget_lease l
        where l.org_id = b.org_id and l.budget_id = b.id and l.starts_on = s.starts_on and l.expires_at > clock_timestamp()), 0)::text as held
    from sallyport.budget b
    cross join lateral (select case b.period when 'total' then date '1970-01-01'
      else date_trunc(b.period, clock_timestamp() at time zone 'UTC')::date end as starts_on) s
    left join sallyport.budget_period p on p.org_id = b.org_id and p.budget_id = b.id and p.starts_on = s.starts_on
    where b.org_id = ${tx.org} and b.id = any (${[...ids]}::uuid[])`.execute(tx)
  return new Map(
    rows.map(({ id, starts_on, spent, held }) => [id, { startsOn: starts_on, spentNano: Number(spent), heldNano: Number(held) }]),
  )
}

/** What one node says of itself, and asks for. */
export interface BudgetAsk {
  readonly budget: BudgetId
  readonly node: string
  /** Under way, or spent and not written yet. */
  readonly busyNano: number
  /** What the call that waits needs; 0: none waits. */
  readonly needNano: number
  /** Whether it wants some beforehand. */
  readonly ahead: boolean
  readonly seconds: number
}

export interface BudgetDraw {
  readonly startsOn: string
  /** Undefined: the period has no end. */
  readonly endsInMs: number | undefined
  /** What the node may begin from now on. It stands for what it could begin before. */
  readonly freeNano: number
  readonly leftNano: number
  readonly spentNano: number
  /** That it was used up is on record. */
  readonly told: boolean
}

/** One node's turn; see budget_draw in 0044_budgets.sql. Undefined when there is no such budget. */
export async function budgetDraw(
  tx: TenantTx,
  { budget, node, busyNano, needNano, ahead, seconds }: BudgetAsk,
): Promise<BudgetDraw | undefined> {
  const { rows } = await sql<{
    starts_on: string
    ends_in_ms: string | null
    free: string
    left_nano: string
    spent_nano: string
    told: boolean
  }>`
    select starts_on::text as starts_on, ends_in_ms, free, left_nano, spent_nano, told
    from sallyport.budget_draw(${budget}::uuid, ${node}, ${busyNano}::bigint, ${needNano}::bigint, ${ahead}, ${seconds})`.execute(tx)
  const [row] = rows
  return (
    row && {
      startsOn: row.starts_on,
      endsInMs: row.ends_in_ms === null ? undefined : Number(row.ends_in_ms),
      freeNano: Number(row.free),
      leftNano: Number(row.left_nano),
      spentNano: Number(row.spent_nano),
      told: row.told,
    }
  )
}

/** Claims the telling that a period is used up, for whoever comes first. False: it was told. */
export async function budgetTell(tx: TenantTx, budget: BudgetId, startsOn: string): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update sallyport.budget_period set told_at = clock_timestamp()
    where org_id = ${tx.org} and budget_id = ${budget} and starts_on = ${startsOn}::date and told_at is null`.execute(tx)
  return (numAffectedRows ?? 0n) > 0n
}

function budgetOf(row: Selectable<Schema['sallyport.budget']>): Budget {
  return {
    id: row.id,
    holder: row.holder,
    holderId: row.holder_id,
    amountNano: Number(row.amount_nano),
    period: row.period,
    enforcement: row.enforcement,
    unpriced: row.unpriced,
    createdBy: row.created_by,
    createdAt: row.created_at,
    changedAt: row.changed_at,
  }
}
