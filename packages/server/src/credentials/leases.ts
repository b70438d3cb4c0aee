/**
 * Owns leases as rows of the tenants' tables, where the way to the database forbids sessions (a pooler that hands them out by the
 * transaction). Refuses keys that name no credential. A killed holder keeps others out for the lease's time, a second and a half.
 */
import { isUuid, leaseKey, RenewedLeases, SallyportError, TokenError } from '@sallyport/core'
import type { ConnectionId, LeaseKeeper, OrgId } from '@sallyport/core'
import { leaseDrop, leaseRenew, leaseTake } from '../db/index.ts'
import type { Database, TenantTx } from '../db/index.ts'

export function createRowLeases(database: Pick<Database, 'withTenant'>): LeaseKeeper {
  const within = async <T>(key: string, work: (tx: TenantTx, connection: ConnectionId) => Promise<T>): Promise<T> => {
    const { org, connection } = credentialOf(key)
    try {
      return await database.withTenant(org, (tx) => work(tx, connection))
    } catch (error) {
      if (!(error instanceof SallyportError)) throw error
      throw new TokenError('store_unavailable', `the leases can't be asked: ${error.code}`, { cause: error })
    }
  }
  return new RenewedLeases({
    take: (key, holder, ttlMs) => within(key, (tx, connection) => leaseTake(tx, connection, holder, ttlMs)),
    renew: (key, holder, ttlMs) => within(key, (tx, connection) => leaseRenew(tx, connection, holder, ttlMs)),
    drop: (key, holder) => within(key, (tx, connection) => leaseDrop(tx, connection, holder)),
    close: () => Promise.resolve(),
  })
}

/** @throws TypeError for a key that `leaseKey` does not make of a connection. */
function credentialOf(key: string): { readonly org: OrgId; readonly connection: ConnectionId } {
  const [, scope = '', id = ''] = key.split(':')
  if (!isUuid(scope) || !isUuid(id) || leaseKey({ scope, id }) !== key) throw new TypeError('a lease of the gateway is of a connection')
  return { org: scope as string as OrgId, connection: id as string as ConnectionId }
}
