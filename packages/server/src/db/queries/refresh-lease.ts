/** Owns the rows by which one node at a time begins a refresh, where sessions can't be held. Ends are told by the database's clock. */
import { sql } from 'kysely'
import type { ConnectionId } from '@sallyport/core'
import type { TenantTx } from '../tenant.ts'

/** False while another holds it whose end has not come, and when the connection is gone. */
export async function leaseTake(tx: TenantTx, connection: ConnectionId, holder: string, ttlMs: number): Promise<boolean> {
  const { numAffectedRows } = await sql`
    insert into sallyport.refresh_lease as l (org_id, connection_id, holder, expires_at)
      select c.org_id, c.id, ${holder}, ${endAfter(ttlMs)} from sallyport.connection c where c.org_id = ${tx.org} and c.id = ${connection}
    on conflict (org_id, connection_id) do update set holder = excluded.holder, expires_at = excluded.expires_at
      where l.expires_at <= clock_timestamp()`.execute(tx)
  return numAffectedRows === 1n
}

/** False when another has taken it since. */
export async function leaseRenew(tx: TenantTx, connection: ConnectionId, holder: string, ttlMs: number): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update sallyport.refresh_lease set expires_at = ${endAfter(ttlMs)}
    where org_id = ${tx.org} and connection_id = ${connection} and holder = ${holder}`.execute(tx)
  return numAffectedRows === 1n
}

export async function leaseDrop(tx: TenantTx, connection: ConnectionId, holder: string): Promise<void> {
  await tx
    .deleteFrom('sallyport.refresh_lease')
    .where('org_id', '=', tx.org)
    .where('connection_id', '=', connection)
    .where('holder', '=', holder)
    .execute()
}

function endAfter(ttlMs: number) {
  return sql<Date>`clock_timestamp() + make_interval(secs => ${ttlMs / 1000}::double precision)`
}
