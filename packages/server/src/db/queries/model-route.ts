/** Owns the rows of named routes of model calls. Refuses to read a target into what is none. */
import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import type { ModelRouteId } from '@sallyport/core'
import type { Schema } from '../schema.ts'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'
import type { Page, Place } from './page.ts'

/** One model that a route may ask. */
export interface ModelTarget {
  readonly provider: string
  /** As the provider names it. */
  readonly model: string
  readonly keyName: string
  /** Its share of a weighted route's calls. */
  readonly weight: number
  /** How long its answer may take to begin; null: as long as the route has. */
  readonly firstByteTimeoutMs: number | null
}

/** Why the next target is asked. */
export type FallbackCause = 'rate_limited' | 'server_error' | 'timeout' | 'circuit_open'

/** What somebody wants of a route. */
export interface ModelRouteTerms {
  readonly name: string
  readonly strategy: 'ordered' | 'weighted'
  /** One or more. */
  readonly targets: readonly ModelTarget[]
  readonly fallbackOn: readonly FallbackCause[]
  /** Until an answer begins, over all targets. */
  readonly deadlineMs: number
}

export interface ModelRoute extends ModelRouteTerms {
  readonly id: ModelRouteId
  readonly createdBy: string
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** In one environment. A few more when several are made in the same moment: it bounds what is remembered, and nothing else. */
export const MODEL_ROUTES_MOST = 500

const COLUMNS = ['id', 'name', 'strategy', 'targets', 'fallback_on', 'deadline_ms', 'created_by', 'created_at', 'updated_at'] as const

/** @throws DatabaseError `conflict` when that place has a route of that name. */
export async function modelRouteInsert(
  tx: TenantTx,
  at: Place,
  made: ModelRouteTerms & Pick<ModelRoute, 'id' | 'createdBy'>,
): Promise<ModelRoute> {
  noteChange(tx, 'model_route', made.id)
  const row = await tx
    .insertInto('sallyport.model_route')
    .values({
      org_id: tx.org,
      id: made.id,
      project_id: at.project,
      environment: at.environment,
      ...columnsOf(made),
      created_by: made.createdBy,
    })
    .returning(COLUMNS)
    .executeTakeFirstOrThrow()
  return modelRoute(row)
}

/** Oldest first; index model_route_list. */
export async function modelRouteList(tx: TenantTx, at: Place, page: Page<ModelRouteId>): Promise<ModelRoute[]> {
  const rows = await inPlace(tx, at)
    .$if(page.after !== undefined, (query) => query.where('id', '>', page.after!))
    .orderBy('id')
    .limit(page.limit)
    .execute()
  return rows.map(modelRoute)
}

export async function modelRouteFind(tx: TenantTx, at: Place, id: ModelRouteId): Promise<ModelRoute | undefined> {
  const row = await inPlace(tx, at).where('id', '=', id).executeTakeFirst()
  return row && modelRoute(row)
}

/** Held until the transaction ends: who changes it and who takes it out stand in line. */
export async function modelRouteHold(tx: TenantTx, at: Place, id: ModelRouteId): Promise<ModelRoute | undefined> {
  const row = await inPlace(tx, at).where('id', '=', id).forUpdate().executeTakeFirst()
  return row && modelRoute(row)
}

/** How many a place has. */
export async function modelRouteCount(tx: TenantTx, at: Place): Promise<number> {
  const { count } = await tx
    .selectFrom('sallyport.model_route')
    .select((eb) => eb.fn.countAll<string>().as('count'))
    .where('org_id', '=', tx.org)
    .where('project_id', '=', at.project)
    .where('environment', '=', at.environment)
    .executeTakeFirstOrThrow()
  return Number(count)
}

/** Of one that the transaction holds. @throws DatabaseError `conflict` when its place has another of that name. */
export async function modelRouteChange(tx: TenantTx, id: ModelRouteId, to: ModelRouteTerms): Promise<ModelRoute> {
  noteChange(tx, 'model_route', id)
  const row = await tx
    .updateTable('sallyport.model_route')
    .set({ ...columnsOf(to), updated_at: sql<Date>`clock_timestamp()` })
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .returning(COLUMNS)
    .executeTakeFirstOrThrow()
  return modelRoute(row)
}

/** Of one that the transaction holds. */
export async function modelRouteRemove(tx: TenantTx, id: ModelRouteId): Promise<void> {
  noteChange(tx, 'model_route', id)
  await tx.deleteFrom('sallyport.model_route').where('org_id', '=', tx.org).where('id', '=', id).execute()
}

function inPlace(tx: TenantTx, at: Place) {
  return tx
    .selectFrom('sallyport.model_route')
    .select(COLUMNS)
    .where('org_id', '=', tx.org)
    .where('project_id', '=', at.project)
    .where('environment', '=', at.environment)
}

function columnsOf({ name, strategy, targets, fallbackOn, deadlineMs }: ModelRouteTerms) {
  const written = targets.map(({ provider, model, keyName, weight, firstByteTimeoutMs }) => ({
    provider,
    model,
    key_name: keyName,
    weight,
    first_byte_timeout_ms: firstByteTimeoutMs,
  }))
  return { name, strategy, targets: JSON.stringify(written), fallback_on: [...fallbackOn], deadline_ms: deadlineMs }
}

function modelRoute(row: Pick<Selectable<Schema['sallyport.model_route']>, (typeof COLUMNS)[number]>): ModelRoute {
  return {
    id: row.id,
    name: row.name,
    strategy: row.strategy,
    targets: readTargets(row.targets),
    fallbackOn: row.fallback_on as FallbackCause[],
    deadlineMs: row.deadline_ms,
    createdBy: row.created_by,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

/** What is none is left out: no call goes where nobody can say where that is. */
function readTargets(json: unknown): readonly ModelTarget[] {
  return (Array.isArray(json) ? json : []).flatMap((one: Readonly<Record<string, unknown>>) => {
    const { provider, model, key_name: keyName, weight, first_byte_timeout_ms: firstByte } = one
    if (typeof provider !== 'string' || typeof model !== 'string' || typeof keyName !== 'string' || typeof weight !== 'number') return []
    return [{ provider, model, keyName, weight, firstByteTimeoutMs: typeof firstByte === 'number' ? firstByte : null }]
  })
}
