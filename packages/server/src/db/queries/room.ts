/** Owns how many of something an organization has. Refuses to count further than is asked: what there is above the bound changes nothing. */
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { TenantTx } from '../tenant.ts'

/** What is counted. `members`: with those who are invited and may still come. `connections`, `providerKeys`: those that have not ended. */
export type Counted = 'connections' | 'integrations' | 'members' | 'projects' | 'providerKeys'

/** Each a branch or two that ends at the bound, by an index of the organization's own; connections by connection_living. */
const BRANCHES: Readonly<Record<Counted, readonly RawBuilder<unknown>[]>> = {
  connections: [sql`sallyport.connection where status <> 'revoked'`],
  integrations: [sql`sallyport.integration where true`],
  members: [
    sql`sallyport.membership where true`,
    sql`sallyport.invitation where accepted_at is null and revoked_at is null and expires_at > clock_timestamp()`,
  ],
  projects: [sql`sallyport.project where true`],
  providerKeys: [sql`sallyport.provider_key where sealed is not null`],
}

/** How many there are in the organization of the transaction, `most` where there are more. */
export async function countUpTo(tx: TenantTx, what: Counted, most: number): Promise<number> {
  const branches = BRANCHES[what].map((from) => sql`(select 1 from ${from} and org_id = ${tx.org} limit ${most})`)
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from (${sql.join(branches, sql` union all `)}) as found`.execute(tx)
  return Math.min(rows[0]!.count, most)
}
