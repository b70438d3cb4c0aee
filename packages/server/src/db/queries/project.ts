/** Owns the rows of projects. */
import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import type { ProjectId } from '@sallyport/core'
import type { Schema } from '../schema.ts'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'
import type { Page } from './page.ts'

export interface Project {
  readonly id: ProjectId
  readonly name: string
  readonly returnOrigins: readonly string[]
  readonly createdAt: Date
  /** Since when its keys are refused and nothing is made in it; null: it is in use. */
  readonly archivedAt: Date | null
}

/** @throws DatabaseError `conflict` when the id exists. */
export async function projectCreate(
  tx: TenantTx,
  made: { id: ProjectId; name: string; returnOrigins?: readonly string[] },
): Promise<Project> {
  const row = await tx
    .insertInto('sallyport.project')
    .values({ org_id: tx.org, id: made.id, name: made.name, return_origins: [...(made.returnOrigins ?? [])] })
    .returningAll()
    .executeTakeFirstOrThrow()
  return project(row)
}

export async function projectFind(tx: TenantTx, id: ProjectId): Promise<Project | undefined> {
  const row = await tx.selectFrom('sallyport.project').selectAll().where('org_id', '=', tx.org).where('id', '=', id).executeTakeFirst()
  return row && project(row)
}

/** Oldest first. */
export async function projectList(tx: TenantTx, page: Page<ProjectId>): Promise<Project[]> {
  const rows = await tx
    .selectFrom('sallyport.project')
    .selectAll()
    .where('org_id', '=', tx.org)
    .$if(page.after !== undefined, (query) => query.where('id', '>', page.after!))
    .orderBy('id')
    .limit(page.limit)
    .execute()
  return rows.map(project)
}

/** Changes what is given; undefined when there is no such project. */
export async function projectUpdate(
  tx: TenantTx,
  id: ProjectId,
  change: { name?: string | undefined; returnOrigins?: readonly string[] | undefined },
): Promise<Project | undefined> {
  if (change.name === undefined && change.returnOrigins === undefined) return projectFind(tx, id)
  const row = await tx
    .updateTable('sallyport.project')
    .$if(change.name !== undefined, (query) => query.set({ name: change.name! }))
    .$if(change.returnOrigins !== undefined, (query) => query.set({ return_origins: [...change.returnOrigins!] }))
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst()
  return row && project(row)
}

/** Puts it to rest, or back into use. Undefined when there is no such project or it is so already. */
export async function projectSetArchived(tx: TenantTx, id: ProjectId, archived: boolean): Promise<Project | undefined> {
  const row = await tx
    .updateTable('sallyport.project')
    .set({ archived_at: archived ? sql<Date>`clock_timestamp()` : null })
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .where('archived_at', archived ? 'is' : 'is not', null)
    .returningAll()
    .executeTakeFirst()
  if (row !== undefined) noteChange(tx, 'project', id)
  return row && project(row)
}

function project(row: Selectable<Schema['sallyport.project']>): Project {
  return { id: row.id, name: row.name, returnOrigins: row.return_origins, createdAt: row.created_at, archivedAt: row.archived_at }
}
