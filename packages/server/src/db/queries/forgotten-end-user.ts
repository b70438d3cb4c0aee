/**
 * Owns which end users were forgotten when, so that what was called for them before is not written with their name after. Refuses to be asked without a
 * turn: whoever writes names and whoever forgets one come one after the other.
 */
import { sql } from 'kysely'
import type { TenantTx } from '../tenant.ts'
import type { Place } from './page.ts'

/** What is older is written without a name, in milliseconds. It is remembered for twice as long who was forgotten (`endUserForgottenSweep`). */
const MAX_AGE_MS = 86_400_000

/** What was said of an end user: `ageMs` ago, before this transaction. */
export interface Named {
  readonly at: Place
  readonly endUser: string
  readonly ageMs: number
}

/**
 * From its commit on nothing that was known of them by now is written any more. Everything that is being written with a name is there by then, and can be
 * found. To be called first in a transaction that does little else: nobody's names are written meanwhile.
 */
export async function endUserForget(tx: TenantTx, at: Place, endUser: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(${turnOf(tx)})`.execute(tx)
  await sql`
    insert into sallyport.end_user_forgotten (org_id, project_id, environment, end_user_id)
    values (${tx.org}, ${at.project}, ${at.environment}, ${endUser})
    on conflict (org_id, project_id, environment, end_user_id) do update set forgotten_at = clock_timestamp()`.execute(tx)
}

/**
 * Which of `names` may be written, in this transaction: those that nobody forgot since. Nobody is forgotten until the transaction ends. Index: the primary
 * key.
 */
export async function endUserStillNamed(tx: TenantTx, names: readonly Named[]): Promise<readonly boolean[]> {
  if (names.length === 0) return []
  // Apart from the question, which sees what was there when it was asked.
  await sql`select pg_advisory_xact_lock_shared(${turnOf(tx)})`.execute(tx)
  const asked = names.map(({ at, endUser, ageMs }) => ({ project: at.project, environment: at.environment, name: endUser, age: ageMs }))
  const { rows } = await sql<{ named: boolean }>`
    select n.age < ${MAX_AGE_MS} and not exists (
      select from sallyport.end_user_forgotten f
      where f.org_id = ${tx.org} and f.project_id = n.project and f.environment = n.environment and f.end_user_id = n.name
        and f.forgotten_at >= now() - make_interval(secs => n.age / 1000)) as named
    from rows from (jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as (project uuid, environment text, name text, age double precision))
      with ordinality as n (project, environment, name, age, nr)
    order by n.nr`.execute(tx)
  return rows.map(({ named }) => named)
}

function turnOf(tx: TenantTx) {
  return sql`hashtextextended(${`sallyport/end-users/${tx.org}`}, 0)`
}
