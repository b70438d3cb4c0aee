/** Owns the rows of origins whose pages may call with a project's keys. */
import { sql } from 'kysely'
import type { ProjectId } from '@sallyport/core'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'

/** Empty for a project that has none. */
export async function browserOriginsFind(tx: TenantTx, project: ProjectId): Promise<readonly string[]> {
  const row = await tx
    .selectFrom('sallyport.browser_access')
    .select('origins')
    .where('org_id', '=', tx.org)
    .where('id', '=', project)
    .executeTakeFirst()
  return row?.origins ?? []
}

/** @param origins exact, without repeats; empty to close it. @throws DatabaseError `conflict` when there is no such project. */
export async function browserOriginsPut(tx: TenantTx, project: ProjectId, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) {
    await tx.deleteFrom('sallyport.browser_access').where('org_id', '=', tx.org).where('id', '=', project).execute()
  } else {
    await tx
      .insertInto('sallyport.browser_access')
      .values({ org_id: tx.org, id: project, origins: [...origins] })
      .onConflict((conflict) =>
        conflict.columns(['org_id', 'id']).doUpdateSet({ origins: [...origins], changed_at: sql<Date>`clock_timestamp()` }),
      )
      .execute()
  }
  noteChange(tx, 'browser_access', project)
}
